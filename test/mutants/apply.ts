/** Putting a mutant into the text of its file. */
import type { Mutant } from "./mutant.ts";

/** How often the original text stands in a file; a mutant is meant for exactly one place. */
export function places(text: string, { original }: Pick<Mutant, "original">): number {
  return text.split(original).length - 1;
}

/** @throws when the original does not stand exactly once in the text */
export function mutated(text: string, mutant: Mutant): string {
  const found = places(text, mutant);
  if (found !== 1) throw new Error(`mutant \`${mutant.id}\`: its original stands ${found} times in \`${mutant.file}\`, and must stand once`);
  return text.replace(mutant.original, () => mutant.replacement);
}
