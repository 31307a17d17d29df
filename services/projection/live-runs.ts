/**
 * Which runs may owe something: those that have not ended, and those that ended with an action in flight or in doubt, or
 * with an allowance that no account has confirmed to be back. A fold over the journal's run events, of which most are
 * placed by their headers alone; runs that owe nothing leave no trace in it, so its size is that of what is live.
 *
 * A run too many costs a look at it; one too few would be forgotten. Where headers leave a doubt, the run stays.
 */
import type { EventBody, EventData } from "../../schemas/event.ts";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { positionOf, segmentOf, sequenceOf } from "../../schemas/segments.ts";
import { parseLog, patterns, subjects } from "../../schemas/subjects.ts";
import { chainLink, decodeEvent } from "../bus/commit.ts";
import type { StoredMessage, StreamReader } from "../bus/journal.ts";
import { type Glance, glance } from "./glance.ts";

const TYPE_PREFIX = "signalbox.".length;
const ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);
/** An action in doubt is not closed: it waits for a probe, or for somebody to resolve it, also when its run has ended. */
const CLOSES: ReadonlySet<string> = new Set(["action.succeeded", "action.failed", "action.retrying"]);

interface Life {
  /** Position of the run's first event: where reading it begins. */
  readonly first: number;
  ended: boolean;
  /** Once it has ended: the commit seen last is not whole. */
  torn: boolean;
  readonly inFlight: Set<string>;
  readonly leased: Set<string>;
}

/** One live run as a snapshot holds it: name, first sequence, ended and torn as 0 or 1, actions in flight, allowances. */
export type LiveRow = readonly [run: string, first: number, ended: number, torn: number, inFlight: readonly string[], leased: readonly string[]];

/** How far a journal was taken. */
export interface LiveHead {
  readonly ns: string;
  /** Position of the last run event that was taken; 0 for none. */
  readonly position: number;
  /** Chain link of that event: another journal, or one that went on from an older copy of itself, holds another one there. */
  readonly mark: string;
}

export interface LiveSnapshot extends LiveHead {
  readonly runs: readonly LiveRow[];
}

export class LiveRuns {
  readonly ns: Namespace;
  readonly #segment: number;
  readonly #prefix: string;
  /** By subject. */
  readonly #runs = new Map<string, Life>();
  #position: number;
  #mark: string;
  #last: StoredMessage | undefined;

  /**
   * @param snapshot one that {@link isPartOf} the journal; from the segment's beginning without it
   * @param segment of the journal: all of its runs, and no other's
   */
  constructor(ns: Namespace, snapshot?: LiveSnapshot, segment = 1) {
    this.ns = ns;
    this.#segment = segment;
    this.#position = snapshot?.position ?? positionOf(segment, 0);
    this.#prefix = patterns.logOfKind(ns, "run", segment).slice(0, -1);
    this.#mark = snapshot?.mark ?? "";
    for (const [run, first, ended, torn, inFlight, leased] of snapshot?.runs ?? []) {
      this.#runs.set(subjects.log(ns, "run", run, segment), { first, ended: ended === 1, torn: torn === 1, inFlight: new Set(inFlight), leased: new Set(leased) });
    }
  }

  /** Position of the last run event that was taken. */
  get position(): number {
    return this.#position;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** In the order of their first events. */
  *names(): Generator<RunId> {
    for (const subject of this.#runs.keys()) yield nameOf(subject);
  }

  /** Position of a run's first event; undefined for one that is not live. */
  first(subject: string): number | undefined {
    return this.#runs.get(subject)?.first;
  }

  /** Takes the journal's next message, of whatever kind; what was taken before is left out. */
  take(message: StoredMessage): void {
    const { subject, headers, seq } = message;
    if (seq <= this.#position || !subject.startsWith(this.#prefix)) return;
    this.#position = seq;
    this.#last = message;
    const type = headers.get("ce-type")?.slice(TYPE_PREFIX) ?? "";
    let life = this.#runs.get(subject);
    if (life === undefined) {
      // whatever follows the end of a run that owed nothing changes nothing
      if (type !== "run.started") return;
      this.#runs.set(subject, (life = { first: seq, ended: false, torn: false, inFlight: new Set(), leased: new Set() }));
    }
    if (type === "action.started") life.inFlight.add(actionOf(message));
    // of the actions that end with their run most were never started: which one it is tells them apart
    else if (CLOSES.has(type) && life.inFlight.size > 0) life.inFlight.delete(actionOf(message));
    else if (type === "budget.leased" || type === "budget.returned") account(life.leased, message);
    if (ENDS.has(type)) life.ended = true;
    if (!life.ended) return;
    life.torn = isTorn(message);
    if (!life.torn && life.inFlight.size === 0 && life.leased.size === 0) this.#runs.delete(subject);
  }

  get head(): LiveHead {
    if (this.#last !== undefined) {
      this.#mark = markOf(this.#last);
      // it is a view into a page that came off the wire
      this.#last = undefined;
    }
    return { ns: this.ns, position: this.#position, mark: this.#mark };
  }

  snapshot(): LiveSnapshot {
    const runs = [...this.#runs].map(([subject, { first, ended, torn, inFlight, leased }]): LiveRow => [nameOf(subject), first, Number(ended), Number(torn), [...inFlight], [...leased]]);
    return { ...this.head, runs };
  }

  /**
   * Reads on to where the journal's leader stands now.
   * @param most events: then it is left where it is by then
   * @throws ReadError
   */
  async catchUp(journal: StreamReader, most = Number.POSITIVE_INFINITY): Promise<void> {
    const segment = this.#segment;
    const subject = patterns.logOfKind(this.ns, "run", segment);
    const last = (await journal.lastOf(subject, segment))?.seq ?? 0;
    if (last <= this.#position) return;
    let taken = 0;
    for await (const message of journal.read({ subject, segment, fromSeq: this.#position + 1, pageSize: 2000 })) {
      this.take(message);
      if (++taken >= most) return;
    }
    // a copy of the stream may lag behind its leader: what it lacks is little
    for await (const message of journal.read({ subject, segment, fromSeq: this.#position + 1, untilSeq: last, leader: true })) this.take(message);
  }
}

/** Whether this is a part of the journal as it is now: the leader is asked what stands at that position. @throws ReadError */
export async function isPartOf({ ns, position, mark }: LiveHead, journal: StreamReader): Promise<boolean> {
  if (sequenceOf(position) === 0) return true;
  const segment = segmentOf(position);
  const range = { subject: patterns.log(ns as Namespace, segment), segment, fromSeq: position, untilSeq: position, leader: true };
  for await (const message of journal.read(range)) return markOf(message) === mark;
  return false;
}

function markOf({ subject, data }: StoredMessage): string {
  return Buffer.from(chainLink(subject, data)).toString("hex");
}

function nameOf(subject: string): RunId {
  return (parseLog(subject)?.name ?? "") as RunId;
}

/** A day's allowance is owed back until its account has confirmed it; a minute's ends with its minute. */
function account(leased: Set<string>, message: StoredMessage): void {
  const body = bodyOf(message);
  if (body === undefined) return;
  const { ledger, unit, window } = body.data as EventData<"budget.leased" | "budget.returned">;
  if (window.includes("T")) return;
  const key = `${ledger}/${unit}/${window}`;
  if (body.type === "budget.leased" && (body.data as EventData<"budget.leased">).granted > 0) leased.add(key);
  if (body.type === "budget.returned" && (body.data as EventData<"budget.returned">).last) leased.delete(key);
}

function actionOf(message: StoredMessage): string {
  return String(glanceOf(message)?.data["action"] ?? "");
}

/** The first part of a commit alone was stored: whoever loads the run completes it. */
function isTorn(message: StoredMessage): boolean {
  const [index, count] = glanceOf(message)?.part ?? [1, 1];
  return index < count;
}

function glanceOf(message: StoredMessage): Glance | undefined {
  try {
    return glance(message);
  } catch {
    return undefined;
  }
}

/** What is no event of ours is met again, and frozen, when its run is loaded. */
function bodyOf(message: StoredMessage): EventBody | undefined {
  try {
    return decodeEvent(message).body;
  } catch {
    return undefined;
  }
}
