/** What happened, as it is published to everybody who may listen: whole events, typed by their name. */
import { EVENT_TYPES, type EventBody, type EventData, type EventType, type Premise } from "../../schemas/event.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { decode } from "../bus/codec.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { NotUnderstood } from "./errors.ts";
import { listen } from "./listen.ts";

/** An event of the journal. The first of a commit also carries the input and the facts that it rests on. */
export type TypedEvent<T extends EventType = EventType> = {
  [K in T]: Omit<EventBody, "type" | "data"> & { readonly type: K; readonly data: EventData<K> & Partial<Premise> };
}[T];

export interface EventFilter<T extends EventType> {
  /** As `action.approved`; all when left out. */
  readonly type?: T;
  /** A run's full name; all when left out. */
  readonly run?: string;
}

/**
 * Core messages: they are heard while one listens, and not kept for who comes later. `prev` and `seq` tell of a gap.
 * Types that are newer than this client are passed over.
 */
export function events<T extends EventType>(nc: NatsConnection, ns: Namespace, filter: EventFilter<T>): AsyncIterable<TypedEvent<T>> {
  // Every type is two tokens; the name of a tool may be several.
  const subject =
    filter.type === undefined && filter.run === undefined
      ? subjects.event(ns, "*", ">")
      : subjects.event(ns, filter.type ?? "*.*", filter.run ?? ">");
  return listen(nc, subject, (message) => readEvent<T>(message.data));
}

const KNOWN: ReadonlySet<string> = new Set(EVENT_TYPES);

/** Reads an event's body; undefined for a type that this client does not know. @throws NotUnderstood */
export function readEvent<T extends EventType>(data: Uint8Array): TypedEvent<T> | undefined {
  let body: Partial<EventBody> | undefined;
  try {
    body = decode(data) as Partial<EventBody>;
  } catch (cause) {
    throw new NotUnderstood("the event is not MessagePack", { cause });
  }
  if (body?.v !== 1 || typeof body.type !== "string") throw new NotUnderstood("the event has a form that is not known");
  return KNOWN.has(body.type) ? (body as unknown as TypedEvent<T>) : undefined;
}
