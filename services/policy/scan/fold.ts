/**
 * Text as it is compared: what looks the same is the same. Each character is folded by itself, so that the folded form
 * of a part is a part of the folded form of the whole.
 */

const PLAIN = /^[\x20-\x40\x5b-\x7e]*$/;
const ASCII = /^[\t\n\v\f\r\x20-\x7e]*$/;
/** Marks that stand on letters, and characters that show nothing: zero-width, directions, soft hyphens, tags. */
const UNSEEN = /[\p{M}\p{Cf}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]+/gu;

/** Compatibility forms resolved (NFKD), marks and what cannot be seen left out, small letters, any white space one space. */
export function folded(text: string): string {
  if (ASCII.test(text)) {
    const small = PLAIN.test(text) ? text : text.toLowerCase();
    return SPACES.test(small) ? small.replace(/\s+/g, " ") : small;
  }
  return text.replace(FOREIGN, (part) => part.normalize("NFKD").replace(UNSEEN, "").toLowerCase().replace(UNSEEN, "").replaceAll("ς", "σ")).toLowerCase().replace(/\s+/g, " ");
}

const FOREIGN = /[^\x00-\x7f]+/g;

/** White space that is not one space. */
const SPACES = /[\t\n\v\f\r]|\x20\x20/;
