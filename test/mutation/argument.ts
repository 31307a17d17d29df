/** What an argument says: why a mutant that no test catches could or should not be caught. */
export interface Argued {
  readonly file: string;
  /** The line as it stands, without its indentation. */
  readonly line: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

type Entry = readonly [line: string, from: string, to: string, why: string];
export const of = (file: string, ...entries: readonly Entry[]): Argued[] => entries.map(([line, from, to, why]) => ({ file, line, from, to, why }));
