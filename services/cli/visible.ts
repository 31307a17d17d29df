/**
 * Words of agents and tools on a person's screen. The threat: characters that move the cursor, hide text or turn its
 * direction, so that what is read is not what is approved. They are shown as escapes, and nothing is left out.
 */

/**
 * Controls and line ends; format characters (zero-width, bidirectional, tags); unassigned and private use; lone
 * surrogates; separators other than the space; variation selectors; and letters that show as nothing.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/gu;

/** One line of text with everything invisible written as `\u202e` or `\u{e0041}`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escape);
}

/** A value as JSON, indented by two, every string of it made visible. Line ends are the layout's own. */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2)
    .split("\n")
    .map((line) => visible(line))
    .join("\n");
}

/** The same on one line, cut at `max` characters with a sign that it was. */
export function visibleShort(value: unknown, max = 120): string {
  const text = visible(typeof value === "string" ? value : JSON.stringify(value) ?? "");
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

function escape(character: string): string {
  const point = character.codePointAt(0) ?? 0;
  return point > 0xffff ? `\\u{${point.toString(16)}}` : `\\u${point.toString(16).padStart(4, "0")}`;
}
