/** What is personal in a request for approval, for the eyes of whoever answers it (law 10). */
import { isDeepStrictEqual } from "node:util";
import { fieldSegments } from "../../schemas/field.ts";
import type { Actor } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sealedIn } from "../../schemas/sealed.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { RevealAnswer, RevealedField } from "../projection/reveal.ts";
import type { Session } from "./session.ts";

const TIMEOUT_MS = 5_000;

/** What stands in a view in the place of what nobody can open. */
const ERASED = "(erased)";

export interface Revealed {
  /** The view with what is personal in it opened; for reading alone, since the digest is over the sealed one. */
  readonly view: Record<string, unknown>;
  readonly fields: readonly RevealedField[];
  /** Why it stays sealed. */
  readonly trouble?: string;
}

/** Asks only when there is something sealed in it. Never throws: what cannot be opened is shown as it is. */
export async function revealed(session: Session, run: string, request: string, view: Record<string, unknown>): Promise<Revealed> {
  if (!holdsSealed(view as JsonValue)) return { view, fields: [] };
  try {
    const answer = await session.nc.request(subjects.reveal(session.ns, session.name as Actor), JSON.stringify({ run, request }), { timeout: TIMEOUT_MS });
    const fault = answer.headers?.get("Nats-Service-Error");
    if (fault) return { view, fields: [], trouble: fault };
    const { fields } = answer.json<RevealAnswer>();
    return { view: fields.reduce((value, { path, value: plain }) => put(value, fieldSegments(path), plain ?? ERASED) as Record<string, unknown>, view), fields };
  } catch (error) {
    return { view, fields: [], trouble: (error as { code?: string }).code === "503" ? "nobody answers: the role `reader` must run" : (error as Error).message.toLowerCase() };
  }
}

/** An input that people wrote, with the sealed values that it leaves as they are: only what differs is an edit. */
export function keptSealed(input: JsonValue, old: JsonValue, fields: readonly RevealedField[]): JsonValue {
  return fields.reduce((value, { path, value: plain }) => {
    const segments = fieldSegments(path);
    if (segments[0] !== "action_document" || segments[1] !== "input" || plain === undefined) return value;
    const at = segments.slice(2);
    return isDeepStrictEqual(valueAt(value, at), plain) ? (put(value, at, valueAt(old, at)) as JsonValue) : value;
  }, input);
}

function holdsSealed(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return false;
  return sealedIn(value) !== undefined || Object.values(value).some((member) => holdsSealed(member as JsonValue));
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at, segment) => (typeof at === "object" && at !== null ? (at as Record<string, unknown>)[segment] : undefined), value);
}

function put(value: unknown, [segment, ...rest]: readonly string[], leaf: unknown): unknown {
  if (segment === undefined) return leaf;
  if (Array.isArray(value)) return value.map((item: unknown, i) => (String(i) === segment ? put(item, rest, leaf) : item));
  if (typeof value !== "object" || value === null) return value;
  return { ...value, [segment]: put((value as Record<string, unknown>)[segment], rest, leaf) };
}
