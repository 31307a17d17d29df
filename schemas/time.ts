/** Times of the wire are RFC 3339 in UTC with milliseconds. These are pure: nothing here asks what time it is. */

/** `ms` since 1970 as `2026-01-31T09:30:00.000Z`. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
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
