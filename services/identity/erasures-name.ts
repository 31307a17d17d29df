/** The only aggregate of kind `erasure` in a namespace. */
export const ERASURES_NAME = "subjects";
