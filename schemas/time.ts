/** Times of the wire are RFC 3339 in UTC with milliseconds. These are pure: nothing here asks what time it is. */

const MINUTE = 60_000;
/** The minute that was written last, and how it begins: times come in order, and a date is taken apart once a minute. */
let minute = Number.NaN;
let prefix = "";
const SECONDS = Array.from({ length: 60 }, (_, second) => String(second).padStart(2, "0"));
const MILLIS = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, "0")}Z`);

/** `ms` since 1970 as `2026-01-31T09:30:00.000Z`. */
export function timestamp(ms: number): string {
  const of = Math.floor(ms / MINUTE);
  const rest = ms - of * MINUTE;
  if (of === minute && Number.isInteger(rest)) return `${prefix}${SECONDS[Math.floor(rest / 1000)] as string}${MILLIS[rest % 1000] as string}`;
  const text = new Date(ms).toISOString();
  if (text.length === 24) {
    minute = of;
    prefix = text.slice(0, 17);
  }
  return text;
}

/** Milliseconds since 1970 of a {@link timestamp}. */
export function millis(at: string): number {
  return Date.parse(at);
}

export function plusMillis(at: string, ms: number): string {
  return timestamp(millis(at) + ms);
}

/** The later of two timestamps of the same form. */
export function later(a: string, b: string): string {
  return a > b ? a : b;
}
