/**
 * Asks that wait, and who of them an answer is for. Nothing here speaks to the broker: what was heard comes in,
 * whoever can go is let go.
 */
import { z } from "zod";
import { type Answer, type Rejection, answerSchema, rejectionSchema } from "../../schemas/answer.ts";
import type { Digest } from "../../schemas/ids.ts";
import { type Asked, ofRejection } from "./reply.ts";

/** `verdict`: how the plane judged is enough. `result`: until nothing more will be said. */
export type Wait = "verdict" | "result";

export interface Waiting extends Asked {
  readonly agent: string;
  /** Of the body as it was sent; what has no readable id is recognised by it. */
  readonly sha256: Digest;
  readonly bytes: number;
  readonly wait: Wait;
  /** The newest answer that was not yet enough. */
  latest: Answer | undefined;
  /** Called once, with the answer that ends the wait, and the fault where it is the service that failed. */
  readonly done: (answer: Answer, fault?: ServiceFault) => void;
}

/** As the convention of micro services has it: a code like those of HTTP. */
export interface ServiceFault {
  readonly code: number;
  readonly message: string;
}

export interface WaitingLimits {
  readonly asks: number;
  /** Bodies are kept as long as the wait. */
  readonly bytes: number;
}

/** Additions to the wire must not break an older reader. */
const lenientAnswer = z.object(answerSchema.shape);
const lenientRejection = z.object(rejectionSchema.shape);

export class WaitingAsks<Ask extends Waiting> {
  readonly #limits: WaitingLimits;
  readonly #byRun = new Map<string, Set<Ask>>();
  readonly #byAgent = new Map<string, Map<Digest, Set<Ask>>>();
  #count = 0;
  #bytes = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  has(ask: Ask): boolean {
    return this.#byRun.get(runKey(ask.agent, ask.run))?.has(ask) === true;
  }

  /** False when there is no room. */
  add(ask: Ask): boolean {
    if (this.#count >= this.#limits.asks || this.#bytes + ask.bytes > this.#limits.bytes) return false;
    this.#count += 1;
    this.#bytes += ask.bytes;
    placeOf(this.#byRun, runKey(ask.agent, ask.run), () => new Set<Ask>()).add(ask);
    const digests = placeOf(this.#byAgent, ask.agent, () => new Map<Digest, Set<Ask>>());
    placeOf(digests, ask.sha256, () => new Set<Ask>()).add(ask);
    return true;
  }

  /** False when it was no longer waiting. */
  remove(ask: Ask): boolean {
    const run = this.#byRun.get(runKey(ask.agent, ask.run));
    if (run?.delete(ask) !== true) return false;
    if (run.size === 0) this.#byRun.delete(runKey(ask.agent, ask.run));
    const digests = this.#byAgent.get(ask.agent);
    const same = digests?.get(ask.sha256);
    same?.delete(ask);
    if (same?.size === 0) digests?.delete(ask.sha256);
    if (digests?.size === 0) this.#byAgent.delete(ask.agent);
    this.#count -= 1;
    this.#bytes -= ask.bytes;
    return true;
  }

  /** Everyone who waits, oldest first within a run. */
  *all(): Generator<Ask> {
    for (const run of this.#byRun.values()) yield* [...run];
  }

  /** An answer that was stored for this agent and run. */
  heard(agent: string, run: string, data: Uint8Array): void {
    const asks = this.#byRun.get(runKey(agent, run));
    // Most answers are for agents who did not ask: those are not even read.
    if (asks === undefined) return;
    const answer = lenientAnswer.safeParse(parse(data));
    if (!answer.success || answer.data.id === null) return;
    for (const ask of [...asks]) {
      if (ask.id !== answer.data.id) continue;
      // The plane repeats answers, and a repetition may overtake.
      if (ask.latest !== undefined && ask.latest.seq > answer.data.seq) continue;
      ask.latest = answer.data as Answer;
      if (suffices(ask.wait, ask.latest)) this.#release(ask, ask.latest);
    }
  }

  /**
   * A record of what was refused without entering a journal. It is matched by the body's hash and the run, never by
   * the id: an id used again with other content is refused without harm to the proposal that had it first.
   */
  refused(agent: string, data: Uint8Array): void {
    const digests = this.#byAgent.get(agent);
    if (digests === undefined) return;
    const rejection = lenientRejection.safeParse(parse(data));
    if (!rejection.success || rejection.data.kind !== "propose") return;
    for (const ask of [...(digests.get(rejection.data.sha256) ?? [])]) {
      if (ask.run === rejection.data.run) this.#release(ask, ofRejection(ask, rejection.data as Rejection));
    }
  }

  #release(ask: Ask, answer: Answer): void {
    if (this.remove(ask)) ask.done(answer);
  }
}

/**
 * Whether an answer ends the wait. It says itself whether more will come; and it is a verdict unless the action is not
 * judged yet, as while the ledger is asked for its allowances: then nobody is asked for approval either.
 */
export function suffices(wait: Wait, answer: Pick<Answer, "final" | "status" | "request">): boolean {
  return answer.final || (wait === "verdict" && (answer.status !== "pending" || answer.request !== undefined));
}

function runKey(agent: string, run: string): string {
  return `${agent}.${run}`;
}

function placeOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
  } catch {
    return undefined;
  }
}
