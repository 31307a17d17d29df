/** The small comparisons that widenings are told by. */

/** What the second list has and the first has not. */
export function added(before: readonly string[] | undefined, after: readonly string[] | undefined): string[] {
  return (after ?? []).filter((item) => !(before ?? []).includes(item));
}

export function list(items: readonly string[]): string {
  return items.map((item) => `\`${item}\``).join(", ");
}

/** Whether a limit lets more through; none at all lets everything through. */
export function isMore(before: number | string | undefined, after: number | string | undefined): boolean {
  if (before === undefined) return false;
  return after === undefined || Number(after) > Number(before);
}

/** A sentence, where a limit has been raised or is gone. */
export function raised(what: string, before: number | string | undefined, after: number | string | undefined): string[] {
  if (!isMore(before, after)) return [];
  return [after === undefined ? `${what} ${verb(what)} no longer limited (${before} before)` : `${what} ${verb(what)} limited to ${after}, no longer to ${before}`];
}

function verb(what: string): string {
  return /^(requests|steps|tokens|uses|seconds)/.test(what) ? "are" : "is";
}

interface Asked {
  readonly role: string;
  readonly count: number;
}

/** Whether a forbid is lifted by fewer people than before, or by others; one that asked nobody was lifted by none. */
export function fewer(before: Asked | undefined, after: Asked | undefined, forbids: boolean): boolean {
  if (!forbids || after === undefined) return false;
  return before === undefined || after.count < before.count || after.role !== before.role;
}
