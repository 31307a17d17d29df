/**
 * A lane is the queue of one aggregate: its inputs are decided in order, one commit in flight, and never by two turns
 * at once. Lanes with control inputs go first, so that no flood of proposals delays an approval, a cancel or a report.
 */
import type { AggregateKind, Digest } from "../../schemas/ids.ts";
import { parseAggregateToken, shareOf } from "../../schemas/subjects.ts";
import type { Loaded } from "./aggregates.ts";
import type { Arrival } from "./arrival.ts";
import { RestingRuns, isOver } from "./resting.ts";

export type LaneState =
  /** Nothing waits, or what waits is not to be tried before somebody wakes the lane. */
  | "idle"
  | "queued"
  /** Its turn is being decided, stored, or loaded. */
  | "busy";

export class Lane {
  readonly token: string;
  readonly kind: AggregateKind;
  readonly name: string;
  readonly share: number;
  /** Its share is another owner's: what is under way ends, and nothing follows. */
  gone = false;
  state: LaneState = "idle";
  loaded: Loaded | undefined;
  /** Somebody else may have written since it was loaded: a refusal is fenced by nothing, so it is folded again first. */
  suspect = false;
  /** Why nothing of this aggregate is decided any more. */
  frozen: Error | undefined;
  /** Debts that this owner has paid, by key. */
  issued = new Set<string>();
  /** Stands among the urgent. */
  urgent = false;
  /** Set while everything owed is to be paid again; called when that is under way. */
  swept: (() => void) | undefined;
  /** Inputs to decide one to a commit, because the journal did not take them together. */
  careful = 0;
  /** Documents that the next inputs need, null for what cannot be had. */
  readonly documents = new Map<Digest, Uint8Array | null>();
  readonly control: Arrival[] = [];
  readonly inbox: Arrival[] = [];
  /** Behind all inputs that were stored before them. */
  readonly due: Arrival[] = [];

  constructor(token: string) {
    this.token = token;
    this.share = shareOf(token);
    const { kind, name } = parseAggregateToken(token);
    this.kind = kind;
    this.name = name;
  }

  get waiting(): boolean {
    return this.swept !== undefined || this.control.length > 0 || this.inbox.length > 0 || this.due.length > 0;
  }

  /** Takes decided inputs back, in front and in the order in which they were decided. */
  putBack(arrivals: readonly Arrival[]): void {
    for (const arrival of arrivals.toReversed()) this.#queueOf(arrival).unshift(arrival);
  }

  push(arrival: Arrival): void {
    this.#queueOf(arrival).push(arrival);
  }

  /** What was owed is being paid again, or cannot be. */
  endSweep(): void {
    const { swept } = this;
    this.swept = undefined;
    swept?.();
  }

  #queueOf(arrival: Arrival): Arrival[] {
    return arrival.kind === "due" ? this.due : arrival.kind === "propose" ? this.inbox : this.control;
  }

  /** The next input to decide, left in its queue. */
  queue(): Arrival[] | undefined {
    if (this.control.length > 0) return this.control;
    if (this.inbox.length > 0) return this.inbox;
    return this.due.length > 0 ? this.due : undefined;
  }
}

/** First in, first out, without moving what waits. */
class Queue {
  #items: Lane[] = [];
  #head = 0;

  push(lane: Lane): void {
    this.#items.push(lane);
  }

  shift(): Lane | undefined {
    const lane = this.#items[this.#head];
    if (lane === undefined) return undefined;
    if (++this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
    return lane;
  }
}

/** Folded aggregates kept as they are; of the idle ones beyond it runs go to rest, others are folded again when needed. */
const MAX_LANES = 2048;
/** Of them runs that are over: somebody may ask once more, soon. Each would be marked at every collection of garbage, for nothing. */
const MAX_OVER = 128;
/** Putting one to rest takes a tenth of a millisecond: so many at a time keep nobody waiting. */
const TO_REST_AT_ONCE = 16;

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #urgent = new Queue();
  readonly #ordinary = new Queue();
  readonly #resting = new RestingRuns();
  /** Those that ended longest ago first. */
  readonly #over = new Set<Lane>();
  readonly #most: number;
  #evictAt: number;

  /** @param most lanes that are kept as they are */
  constructor(most = MAX_LANES) {
    this.#most = most;
    this.#evictAt = most;
  }

  get size(): number {
    return this.#lanes.size;
  }

  lane(token: string): Lane {
    let lane = this.#lanes.get(token);
    if (lane === undefined) {
      lane = new Lane(token);
      this.#lanes.set(token, lane);
      this.#resting.wake(lane);
      if (this.#lanes.size > this.#evictAt) this.#evict(lane);
    }
    return lane;
  }

  push(arrival: Arrival): void {
    const lane = this.lane(arrival.token);
    lane.push(arrival);
    if (lane.state === "queued" && lane.control.length > 0) this.#urge(lane);
    this.wake(lane);
  }

  /** Has everything that this aggregate owes paid again; `swept` is called when that is under way. */
  sweep(token: string, swept: () => void): void {
    const lane = this.lane(token);
    if (lane.frozen !== undefined) return swept();
    const { swept: before } = lane;
    lane.swept = () => {
      before?.();
      swept();
    };
    this.wake(lane);
  }

  /** Queues a lane that is idle and has something to do. */
  wake(lane: Lane): void {
    if (lane.state !== "idle" || !lane.waiting) return;
    lane.state = "queued";
    if (lane.control.length > 0) this.#urge(lane);
    else this.#ordinary.push(lane);
  }

  /** The next lane to take a turn; it is busy until {@link release}. */
  take(): Lane | undefined {
    for (;;) {
      const lane = this.#urgent.shift() ?? this.#ordinary.shift();
      if (lane === undefined) return undefined;
      // a lane that became urgent stands in both queues
      if (lane.state !== "queued") continue;
      lane.state = "busy";
      lane.urgent = false;
      return lane;
    }
  }

  release(lane: Lane): void {
    lane.state = "idle";
    if (lane.gone) {
      lane.endSweep();
      return;
    }
    if (lane.waiting) {
      this.wake(lane);
      return;
    }
    // an aggregate without a single event is nothing to remember
    if (lane.loaded?.head.seq === 0) this.#lanes.delete(lane.token);
    else {
      // the least recently used stand first
      this.#lanes.delete(lane.token);
      this.#lanes.set(lane.token, lane);
      if (lane.frozen === undefined && lane.loaded !== undefined && isOver(lane.loaded)) this.#keepFew(lane);
    }
  }

  /** Forgets inputs that are no longer in hand: they come again. */
  forget(gone: (arrival: Arrival) => boolean): void {
    for (const lane of this.#lanes.values()) {
      for (const queue of [lane.control, lane.inbox, lane.due]) {
        for (let i = queue.length - 1; i >= 0; i--) if (gone(queue[i] as Arrival)) queue.splice(i, 1);
      }
    }
  }

  /** Inputs of a share were another owner's for a while, or may have been. */
  suspect(share: number): void {
    for (const lane of this.#lanes.values()) if (lane.share === share) lane.suspect = true;
    this.#resting.forget(share);
  }

  /** Forgets a share that another one owns now. */
  drop(share: number): void {
    this.#resting.forget(share);
    for (const lane of this.#lanes.values()) {
      if (lane.share !== share) continue;
      lane.gone = true;
      for (const queue of [lane.control, lane.inbox, lane.due]) queue.length = 0;
      this.#lanes.delete(lane.token);
      // whoever is busy with it ends it
      if (lane.state === "busy") continue;
      lane.state = "idle";
      lane.endSweep();
    }
  }

  loaded(): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.loaded !== undefined);
  }

  #urge(lane: Lane): void {
    if (lane.urgent) return;
    lane.urgent = true;
    this.#urgent.push(lane);
  }

  /** Of those that are over only the latest. */
  #keepFew(over: Lane): void {
    this.#over.delete(over);
    this.#over.add(over);
    if (this.#over.size <= MAX_OVER) return;
    const [oldest] = this.#over as Iterable<Lane> as [Lane];
    this.#over.delete(oldest);
    // one that has something to do comes here again
    if (oldest.state === "idle" && !oldest.waiting && this.#lanes.get(oldest.token) === oldest) this.#lanes.delete(oldest.token);
  }

  #evict(made: Lane): void {
    let spared = 0;
    for (const lane of this.#lanes.values()) {
      if (lane.state !== "idle" || lane.waiting || lane === made) continue;
      this.#lanes.delete(lane.token);
      this.#resting.put(lane);
      if (++spared === TO_REST_AT_ONCE) break;
    }
    // where none could be spared, not every new lane looks through all of them again
    this.#evictAt = Math.max(this.#most, spared > 0 ? this.#lanes.size : Math.ceil(this.#lanes.size * 1.1));
  }
}
