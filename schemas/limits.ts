/** Sizes and depths that the wire admits. Constants of the wire, never settings. */

/** Bytes of an input's body; larger values are documents. */
export const MAX_BODY_BYTES = 512 * 1024;

/** Levels of objects and arrays in a body. */
export const MAX_BODY_DEPTH = 64;
