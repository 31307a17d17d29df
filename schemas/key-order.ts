/**
 * The order in which the members of an object are written, in a document's canonical text and in an event alike: by
 * UTF-16 code units, as RFC 8785 prescribes it.
 */

/** Up to here sorting by hand is the quicker way even for keys in no order; beyond it the platform is. */
const FEW = 24;

/** Own enumerable string keys, a new array. Few keys, and mostly in order already: nothing is called for them. */
export function keysInOrder(members: object): string[] {
  const keys = Object.keys(members);
  // without a comparison of its own the platform's sort compares code units
  if (keys.length > FEW) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] as string;
    let to = i;
    for (; to > 0 && (keys[to - 1] as string) > key; to--) keys[to] = keys[to - 1] as string;
    keys[to] = key;
  }
  return keys;
}
