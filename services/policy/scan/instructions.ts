/** Instructions to a model, in a text that should only inform it. */

/** The rules that a text meets; none for most. */
export function instructionsIn(text: string): string[] {
  return OVERRIDE.test(text) ? ["override"] : [];
}

const OVERRIDE = /\b(?:ignore|disregard|forget|override) (?:all |any |every |the |your |my )*(?:previous|prior|above|earlier|preceding) (?:instructions|prompts|rules|directions|messages)/i;
