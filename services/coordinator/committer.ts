/**
 * Group commit: the commits of many runs go into the journal as one atomic batch, each fenced by the last sequence
 * of its own subject. A batch costs 2.6 ms on a single server whatever it holds, so what waits together goes together.
 *
 * A refused batch does not say whose fault it was, and a lost answer does not say anything: in every doubt the
 * leader is read back and the stored BYTES are compared with what was sent. Rivals derive the same event ids from
 * different inputs, so ids prove nothing.
 */
import type { Logger } from "pino";
import { positionOf, sequenceOf } from "../../schemas/segments.ts";
import { parseLog, segmentOfSubject } from "../../schemas/subjects.ts";
import type { SealedEvent } from "../bus/commit.ts";
import type { StreamReader } from "../bus/journal.ts";
import { INCOMPLETE_BATCH, type Publisher, PublishError } from "../bus/publisher.ts";
import { pause } from "./pause.ts";

/** Commits of one aggregate, in order; all of them land or none. */
export interface Part {
  readonly subject: string;
  /** Last position of the subject before this, 0 for none. */
  readonly expected: number;
  readonly events: readonly SealedEvent[];
}

export type Landing =
  /** Stored; `last` is the position of the last event. */
  | { readonly kind: "stored"; readonly last: number }
  /** Somebody else wrote to the subject: load again, decide again. */
  | { readonly kind: "moved" }
  /** The server does not take this part, alone: not now, not later. */
  | { readonly kind: "refused"; readonly why: string };

/** Storage is full or a limit is reached: the plane waits, it does not refuse its users. */
const FULL: ReadonlySet<number> = new Set([10023, 10047, 10077, 10122]);
const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/** Failures in a row, of which a server that answers nothing leaves five seconds each. */
const ALARM_AFTER = 2;
/** Conflicts of a batch in which nobody moved, before it is halved. */
const TRIES_BEFORE_HALVING = 2;
/** Times that a part alone is sent again after the server lost some of it, with longer and longer pauses between. */
const TRIES_ALONE = 6;
const ALONE_RETRY_MS = 50;

export class GroupCommitter {
  readonly #publisher: Publisher;
  readonly #journal: StreamReader;
  readonly #log: Logger;
  readonly #maySend: (segment: number) => boolean;
  #stopped = false;

  /** @param maySend whether what starts a run in this segment may still be sent, and need not be decided again */
  constructor(publisher: Publisher, journal: StreamReader, log: Logger, maySend: (segment: number) => boolean = () => true) {
    this.#publisher = publisher;
    this.#journal = journal;
    this.#log = log;
    this.#maySend = maySend;
  }

  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves with the landing of each part, in order. Waits as long as the journal cannot be reached. */
  async append(parts: readonly Part[]): Promise<Landing[]> {
    const landings: Landing[] = new Array<Landing>(parts.length);
    const slots = parts.map((part, index) => ({ part, land: (landing: Landing) => (landings[index] = landing) }));
    // a batch is of one stream
    const bySegment = new Map<number, Slot[]>();
    for (const slot of slots) {
      const segment = segmentOfSubject(slot.part.subject);
      const others = bySegment.get(segment);
      if (others === undefined) bySegment.set(segment, [slot]);
      else others.push(slot);
    }
    await Promise.all([...bySegment].map(([segment, own]) => this.#append(own, 0, segment)));
    return landings;
  }

  async #append(slots: readonly Slot[], tries: number, segment: number): Promise<void> {
    for (let attempt = 1; slots.length > 0; attempt++) {
      if (this.#stopped) throw new Stopped();
      slots = this.#sendable(slots, segment);
      if (slots.length === 0) return;
      try {
        const messages = slots.flatMap(({ part }) =>
          part.events.map((event, index) => (index === 0 ? { ...event, expectLastSubjectSequence: sequenceOf(part.expected) } : event)),
        );
        const ack = await this.#publisher.batch(messages);
        let last = positionOf(segment, ack.seq - messages.length);
        for (const { part, land } of slots) land({ kind: "stored", last: (last += part.events.length) });
        return;
      } catch (error) {
        if (!(error instanceof PublishError)) throw error;
        this.#log.warn({ kind: error.kind, code: error.code, parts: slots.length }, error.message);
        // for whoever runs the server: nobody is refused, nothing is lost, and nothing goes on before there is room again
        if (error.kind !== "conflict" && attempt === (FULL.has(error.code ?? 0) ? 1 : ALARM_AFTER)) {
          this.#log.error({ alarm: "storage", kind: error.kind, code: error.code, why: error.message }, "the journal takes nothing: is the disk full?");
        }
        if (error.kind === "refused" && !FULL.has(error.code ?? 0)) {
          await this.#alone(slots, error, tries, segment);
          return;
        }
        if (error.kind === "conflict" || error.inDoubt) {
          slots = await this.#readBack(slots);
        }
        if (error.kind !== "conflict") {
          await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
        } else if (++tries > TRIES_BEFORE_HALVING && slots.length > 1) {
          await this.#halves(slots, segment);
          return;
        } else if (slots.length === 1) {
          // nobody wrote, and still it does not land: a message in its middle is refused, which the server does not say
          if (error.code === INCOMPLETE_BATCH && attempt >= TRIES_ALONE) {
            await this.#alone(slots, error, tries, segment);
            return;
          }
          await pause(Math.min(MAX_RETRY_MS, ALONE_RETRY_MS * attempt));
        }
      }
    }
  }

  /** Finds the part that the server refuses. */
  async #alone(slots: readonly Slot[], error: PublishError, tries: number, segment: number): Promise<void> {
    if (slots.length > 1) return this.#halves(slots, segment, tries);
    slots[0]?.land({ kind: "refused", why: error.message });
  }

  async #halves(slots: readonly Slot[], segment: number, tries = 0): Promise<void> {
    const middle = Math.ceil(slots.length / 2);
    await this.#append(slots.slice(0, middle), tries, segment);
    await this.#append(slots.slice(middle), tries, segment);
  }

  /** Without the starts of runs that may belong elsewhere by now: they are decided again. */
  #sendable(slots: readonly Slot[], segment: number): readonly Slot[] {
    const starts = ({ part: { expected, subject } }: Slot) => expected === 0 && parseLog(subject)?.kind === "run";
    if (this.#maySend(segment) || !slots.some(starts)) return slots;
    return slots.filter((slot) => {
      if (!starts(slot)) return true;
      slot.land({ kind: "moved" });
      return false;
    });
  }

  /** Settles what landed and what was overtaken; returns what must be sent again. */
  async #readBack(slots: readonly Slot[]): Promise<Slot[]> {
    const again: Slot[] = [];
    await Promise.all(
      slots.map(async (slot) => {
        const landing = await this.#landingOf(slot.part);
        if (landing === undefined) again.push(slot);
        else slot.land(landing);
      }),
    );
    return slots.filter((slot) => again.includes(slot));
  }

  async #landingOf(part: Part): Promise<Landing | undefined> {
    const segment = segmentOfSubject(part.subject);
    for (let attempt = 1; ; attempt++) {
      if (this.#stopped) throw new Stopped();
      try {
        const last = await this.#journal.lastOf(part.subject, segment);
        if ((last?.seq ?? 0) === part.expected) return undefined;
        let index = 0;
        const range = { subject: part.subject, segment, fromSeq: positionOf(segment, sequenceOf(part.expected) + 1), leader: true };
        for await (const message of this.#journal.read(range)) {
          const sent = part.events[index];
          if (sent === undefined || Buffer.compare(sent.data, message.data) !== 0) return { kind: "moved" };
          index += 1;
          if (index === part.events.length) return { kind: "stored", last: message.seq };
        }
        // the beginning of our own commit and no more: whoever loads the run completes it
        return { kind: "moved" };
      } catch (error) {
        if (error instanceof Stopped) throw error;
        this.#log.warn({ error: String(error) }, "the journal cannot be read back");
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
  }
}

interface Slot {
  readonly part: Part;
  readonly land: (landing: Landing) => void;
}

/** The coordinator is being stopped; what is undecided stays in the inbox. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}
