/** Where in a value something stands. Kept as a list of steps, because the path is needed only when something is found. */
export interface Place {
  readonly parent: Place | undefined;
  readonly key: string | number;
}

const MAX_PATH = 512;

/** RFC 6901, cut to 512 characters; empty for the value itself. */
export function pathOf(at: Place | undefined): string {
  const keys: (string | number)[] = [];
  for (let place = at; place !== undefined; place = place.parent) keys.unshift(place.key);
  const path = keys.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  return path.slice(0, MAX_PATH).toWellFormed();
}

/** A piece of text in a value: a string, or the name of a member. `name`: the member that holds it, if one does. */
export interface Piece {
  readonly text: string;
  readonly at: Place | undefined;
  readonly name: string | undefined;
  /** It is the name of a member, which holds `member`. */
  readonly isName: boolean;
  readonly member?: unknown;
}

/**
 * Visits every string and every member's name of a JSON value, in its order, until `visit` answers false.
 * Numbers are visited as their digits when `numbers` is said. What is nested too deep to have come over the wire is left out.
 */
export function eachText(value: unknown, visit: (piece: Piece) => boolean | void, numbers = false): void {
  walk(value, undefined, undefined, 0, visit, numbers);
}

const MAX_DEPTH = 128;

function walk(value: unknown, at: Place | undefined, name: string | undefined, depth: number, visit: (piece: Piece) => boolean | void, numbers: boolean): boolean {
  if (typeof value === "string") return visit({ text: value, at, name, isName: false }) !== false;
  if (typeof value === "number") return !numbers || visit({ text: String(value), at, name, isName: false }) !== false;
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return true;
  if (Array.isArray(value)) {
    // items of a list are what the list is called
    for (let key = 0; key < value.length; key++) if (!walk(value[key], { parent: at, key }, name, depth + 1, visit, numbers)) return false;
    return true;
  }
  for (const [key, member] of Object.entries(value)) {
    const place = { parent: at, key };
    if (visit({ text: key, at: place, name: undefined, isName: true, member }) === false) return false;
    if (!walk(member, place, key, depth + 1, visit, numbers)) return false;
  }
  return true;
}
