/** A small fault that is put into a copy of the code, and the tests that must not let it pass. */

export const LAWS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;

export interface Mutant {
  /** Number of the law, and what is broken in a word. */
  readonly id: string;
  /** Of DESIGN. */
  readonly law: (typeof LAWS)[number];
  /** Relative to the checkout. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly original: string;
  readonly replacement: string;
  readonly broken: string;
  /** Each of them fails. */
  readonly caughtBy: readonly Catcher[];
}

export interface Catcher {
  /** A test file, relative to the checkout. */
  readonly file: string;
  /** Part of the titles that are run, where the whole file would take long; a text, no pattern. */
  readonly only?: string;
}
