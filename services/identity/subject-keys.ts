/**
 * The keys of data subjects (law 10), one for each and the same for everybody: whoever needs one first makes it, and
 * the store's expected sequence lets one of several win. Keys stand in the stream KEYS, wrapped with the plane's own key
 * from the data folder, and in memory here.
 *
 * An erasure overwrites a subject's key and leaves a message in its place, so that nobody who has not heard of it makes
 * another one under that name. A key that the journal says is erased is refused, whatever the store holds.
 */
import { z } from "zod";
import type { Namespace } from "../../schemas/ids.ts";
import { type KeyId, keyIdSchema, type Pseudonym } from "../../schemas/sealed.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { Msg, NatsConnection, Subscription } from "../bus/connection.ts";
import { readFiltered } from "../bus/filtered-read.ts";
import { readHeaders } from "../bus/headers.ts";
import { StreamReader } from "../bus/journal.ts";
import { PublishError, type Publisher } from "../bus/publisher.ts";
import { shred } from "../bus/shred.ts";
import { ERASURES_NAME } from "./erasures-name.ts";
import { type Erasure, Erasures } from "./erasures.ts";
import type { PersonalMaster, SubjectKey } from "./sealing.ts";

/** A key in the store that this plane's own key does not open. */
export class KeyDamaged extends Error {
  override readonly name = "KeyDamaged";
}

const storedSchema = z.union([
  z.strictObject({ v: z.literal(1), key: keyIdSchema, wrapped: z.string() }),
  z.strictObject({ v: z.literal(1), gone: keyIdSchema }),
]);

export interface SubjectKeysParts {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly master: PersonalMaster;
  /** Of a service that may read erasures and no other event. */
  readonly apart?: boolean;
  /** Undefined for whoever makes no keys. */
  readonly publisher?: Publisher;
  readonly onTrouble?: (error: unknown) => void;
  /** Keys that are held in memory. */
  readonly limit?: number;
}

const LIMIT = 10_000;
/** A key is asked for again after this long: a word of its erasure that was lost on the way keeps it no longer. */
const HELD_MS = 5 * 60_000;
const TRIES = 20;

export class SubjectKeys {
  readonly erasures: Erasures;
  readonly #parts: SubjectKeysParts;
  readonly #store: StreamReader;
  readonly #limit: number;
  /** Least recently fetched first. */
  readonly #current = new Map<Pseudonym, { readonly key: SubjectKey; readonly until: number }>();
  /** Asked for, and not there: an id is made of dice, so it will not come again. */
  readonly #gone = new Set<KeyId>();
  #live: Subscription | undefined;
  #stopped = false;

  constructor(parts: SubjectKeysParts) {
    this.#parts = parts;
    this.#limit = parts.limit ?? LIMIT;
    this.#store = new StreamReader(parts.nc, streamName("KEYS", parts.ns));
    const { nc, ns, apart } = parts;
    const stream = streamName("JOURNAL", ns);
    const subject = subjects.log(ns, "erasure", ERASURES_NAME);
    const journal = new StreamReader(nc, stream);
    const read = (fromSeq: number) => (apart !== true ? journal.read({ subject, fromSeq }) : readFiltered(nc, stream, subject, fromSeq));
    this.erasures = new Erasures(read, (erasure) => this.#forget(erasure));
  }

  /** Listens for erasures and reads those that there were. @throws ReadError, EventMalformed */
  async start(): Promise<void> {
    const { nc, ns, onTrouble } = this.#parts;
    this.#live ??= nc.subscribe(patterns.liveOfKind(ns, "erasure"), {
      callback: (error, message) => {
        if (error === null) this.#onErasure(message);
        else onTrouble?.(error);
      },
    });
    void this.#watch();
    await this.erasures.load();
  }

  stop(): void {
    this.#stopped = true;
    this.#live?.unsubscribe();
    this.#current.clear();
  }

  pseudonym(subject: string): Pseudonym {
    return this.#parts.master.pseudonym(this.#parts.ns, subject);
  }

  /** The subject's key, if it is at hand. */
  current(subject: Pseudonym): SubjectKey | undefined {
    const held = this.#current.get(subject);
    return held === undefined || held.until < performance.now() ? undefined : held.key;
  }

  /** A key that something was sealed with; `gone` when it was destroyed, undefined when it must be fetched first. */
  find(subject: Pseudonym, id: KeyId): SubjectKey | "gone" | undefined {
    if (this.erasures.has(id) || this.#gone.has(id)) return "gone";
    const key = this.current(subject);
    return key?.id === id ? key : undefined;
  }

  /**
   * Fetches the key of a subject from the store's leader.
   * @param wanted makes it when there is none; or the id that was asked for, which is remembered as gone when it is not there
   * @throws ReadError, PublishError, KeyDamaged
   */
  async fetch(subject: Pseudonym, wanted: "make" | KeyId): Promise<SubjectKey | undefined> {
    const { publisher, master, ns } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const last = await this.#last(subject);
      if (last?.key !== undefined && !this.erasures.has(last.key.id)) {
        this.#remember(last.key);
        if (wanted !== "make" && wanted !== last.key.id) this.#gone.add(wanted);
        return last.key;
      }
      this.#current.delete(subject);
      if (wanted !== "make") {
        this.#gone.add(wanted);
        return undefined;
      }
      if (publisher === undefined) throw new Error("who only reads makes no key");
      const made = master.newKey(subject);
      const message = last?.key === undefined ? { v: 1, key: made.id, wrapped: master.wrapped(ns, made) } : { v: 1, gone: last.key.id };
      try {
        await this.#put(publisher, subject, message, last?.seq ?? 0);
      } catch (error) {
        // another one was first, or it may be stored: the next look tells
        if (!(error instanceof PublishError) || attempt >= TRIES) throw error;
      }
    }
  }

  /** The id of the subject's key in the store, whatever is at hand here. @throws ReadError, KeyDamaged */
  async stored(subject: Pseudonym): Promise<KeyId | undefined> {
    return (await this.#last(subject))?.key?.id;
  }

  /**
   * Destroys a key: its bytes are overwritten in the store, and no other one is made under its name. Doing it again does
   * nothing, and after it was killed in between, the rest.
   * @throws ReadError, PublishError, NotShredded
   */
  async destroy({ subject, key }: Erasure): Promise<void> {
    const { nc, ns, publisher } = this.#parts;
    if (publisher === undefined) throw new Error("who only reads destroys nothing");
    this.#forget({ subject, key });
    for (let attempt = 1; ; attempt++) {
      const found: number[] = [];
      let last: { readonly seq: number; readonly is: boolean } | undefined;
      for await (const { seq, data } of this.#store.read({ subject: subjects.key(ns, subject), leader: true })) {
        const stored = storedOf(data);
        const is = stored !== undefined && "key" in stored && stored.key === key;
        if (is) found.push(seq);
        last = { seq, is };
      }
      if (last?.is === true) {
        try {
          await this.#put(publisher, subject, { v: 1, gone: key }, last.seq);
        } catch (error) {
          if (!(error instanceof PublishError) || attempt >= TRIES) throw error;
          continue;
        }
      }
      for (const seq of found) await shred(nc, streamName("KEYS", ns), seq);
      return;
    }
  }

  async #last(subject: Pseudonym): Promise<{ readonly seq: number; readonly key: SubjectKey | undefined } | undefined> {
    const { ns, master } = this.#parts;
    const message = await this.#store.lastOf(subjects.key(ns, subject));
    if (message === undefined) return undefined;
    const stored = storedOf(message.data);
    if (stored === undefined) throw new KeyDamaged(`the key of the subject \`${subject}\` cannot be read`);
    if ("gone" in stored) return { seq: message.seq, key: undefined };
    const key = master.unwrapped(ns, subject, stored.key, stored.wrapped);
    if (key === undefined) throw new KeyDamaged(`the key of the subject \`${subject}\` was wrapped with another \`keys/personal.key\``);
    return { seq: message.seq, key };
  }

  async #put(publisher: Publisher, subject: Pseudonym, message: object, expected: number): Promise<void> {
    const data = Buffer.from(JSON.stringify(message));
    await publisher.batch([{ subject: subjects.key(this.#parts.ns, subject), data, headers: { "content-type": "application/json" }, expectLastSubjectSequence: expected }]);
  }

  #remember(key: SubjectKey): void {
    this.#current.delete(key.subject);
    this.#current.set(key.subject, { key, until: performance.now() + HELD_MS });
    const [oldest] = this.#current.keys();
    if (this.#current.size > this.#limit && oldest !== undefined) this.#current.delete(oldest);
  }

  #forget({ subject, key }: Erasure): void {
    const held = this.#current.get(subject);
    if (held?.key.id !== key) return;
    this.#current.delete(subject);
    held.key.bytes.fill(0);
  }

  /** Whoever was away has not heard of erasures: nothing is held over it. */
  async #watch(): Promise<void> {
    const { nc, onTrouble } = this.#parts;
    for await (const { type } of nc.status()) {
      if (this.#stopped) return;
      if (type === "disconnect" || type === "reconnect") this.#current.clear();
      if (type === "reconnect") this.erasures.load().catch((error: unknown) => onTrouble?.(error));
    }
  }

  #onErasure(message: Msg): void {
    const { onTrouble } = this.#parts;
    try {
      const seq = Number(readHeaders(message).headers.get("Nats-Sequence") ?? 0);
      const known = this.erasures.put(decodeEvent({ subject: message.subject, data: message.data, seq, time: 0, headers: new Map() }));
      if (!known) this.erasures.load().catch((error: unknown) => onTrouble?.(error));
    } catch (error) {
      onTrouble?.(error);
    }
  }
}

function storedOf(data: Uint8Array): z.infer<typeof storedSchema> | undefined {
  try {
    return storedSchema.safeParse(JSON.parse(Buffer.from(data).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
