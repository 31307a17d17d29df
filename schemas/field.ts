/**
 * Paths to one field of a tool's input, as contracts and tools write them: dotted (`order.total`, `lines.0.price`)
 * or, for names that hold a dot, a JSON pointer (`/order/total`). In a path to personal fields `*` is every item.
 */
import { z } from "zod";

const DOTTED = /^[^./~*\s]+(\.[^./~*\s]+)*$/;
const POINTER = /^(\/([^/~]|~[01])+)+$/;
const DOTTED_ALL = /^([^./~*\s]+|\*)(\.([^./~*\s]+|\*))*$/;

export const fieldPathSchema = z
  .string()
  .max(512)
  .refine((text) => DOTTED.test(text) || POINTER.test(text), "expected a path as `order.total` or `/order/total`");

/** The same with `*` for every item of an array or every member of an object. */
export const fieldPatternSchema = z
  .string()
  .max(512)
  .refine((text) => DOTTED_ALL.test(text) || POINTER.test(text), "expected a path as `customer.email` or `people.*.name`");

/** Whether a text is a JSON pointer (RFC 6901); the empty one is the whole value. */
export function isPointer(text: string): boolean {
  return text === "" || /^(\/([^/~]|~[01])*)+$/.test(text);
}

/** The names on the way to the field. */
export function fieldSegments(path: string): string[] {
  if (!path.startsWith("/")) return path.split(".");
  return path
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value at a path; undefined when any step of the way is missing. Inherited members do not exist here. */
export function fieldAt(value: unknown, path: string): unknown {
  let at = value;
  for (const segment of fieldSegments(path)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, segment)) return undefined;
    if (Array.isArray(at) && !/^(0|[1-9][0-9]*)$/.test(segment)) return undefined;
    at = (at as Record<string, unknown>)[segment];
  }
  return at;
}
