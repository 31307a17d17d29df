/** What `JSON.parse` does not tell of its text: how deep it is, and which keys stand twice. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Counts the keys of a JSON text and watches its depth, in one pass over the bytes. Outside of strings a colon
 * stands behind a key and nowhere else. Of what is not JSON it says something harmless.
 */
export function scanJson(data: Uint8Array, maxDepth: number): { keys: number; tooDeep: boolean } {
  let keys = 0;
  let depth = 0;
  for (let i = 0; i < data.length; i++) {
    switch (data[i]) {
      case QUOTE:
        for (i++; i < data.length && data[i] !== QUOTE; i++) if (data[i] === BACKSLASH) i++;
        break;
      case COLON:
        keys++;
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > maxDepth) return { keys, tooDeep: true };
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      default:
        break;
    }
  }
  return { keys, tooDeep: false };
}

interface Level {
  /** Keys seen, in an object. */
  readonly keys: Set<string> | undefined;
  /** Where in the object or array we are. */
  step: string | number;
}

/** The path of the first key that stands twice in one object of a valid JSON text, as steps; empty when there is none. */
export function duplicateKeyPath(text: string): (string | number)[] {
  const levels: Level[] = [];
  for (let i = 0; i < text.length; i++) {
    const level = levels.at(-1);
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const start = i;
        for (i++; text.charCodeAt(i) !== QUOTE; i++) if (text.charCodeAt(i) === BACKSLASH) i++;
        if (level?.keys === undefined || !isKey(text, i + 1)) break;
        const key = JSON.parse(text.slice(start, i + 1)) as string;
        level.step = key;
        if (level.keys.has(key)) return levels.map(({ step }) => step);
        level.keys.add(key);
        break;
      }
      case OPEN_OBJECT:
        levels.push({ keys: new Set(), step: "" });
        break;
      case OPEN_ARRAY:
        levels.push({ keys: undefined, step: 0 });
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        levels.pop();
        break;
      case 0x2c:
        if (level !== undefined && typeof level.step === "number") level.step++;
        break;
    }
  }
  return [];
}

/** Whether the string that ends before a place is a key. */
function isKey(text: string, from: number): boolean {
  let i = from;
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}
