/**
 * Watches a journal with an auditor's rights and signs checkpoints of it, with a key that no other part of the plane
 * has (AUD-1). It signs nothing once the journal does not hold what it signed before.
 */
import { partsOf, type SignedCheckpoint } from "../../schemas/checkpoint.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { segmentOf } from "../../schemas/segments.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { type Ends, SegmentsFollower } from "../projection/segments-follower.ts";
import { CheckpointAudit } from "./checkpoint.ts";
import { Heads } from "./heads.ts";
import type { Sink } from "./sinks.ts";
import type { Witness } from "./witness.ts";

export interface WitnessOptions {
  /** Logged in with the role `auditor`. */
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly witness: Witness;
  /** The checkpoint that it signed last, from wherever it keeps them. */
  readonly previous: SignedCheckpoint | undefined;
  /** Its own memory: the others are sent nothing that this has not taken, or two lives would sign one number. */
  readonly memory?: Sink;
  /** Each is sent every checkpoint, in order, until it has taken it. */
  readonly sinks: readonly Sink[];
  /** Checkpoints of an earlier life that a sink has not taken, oldest first: sent before all others. */
  readonly owed?: ReadonlyMap<Sink, readonly SignedCheckpoint[]>;
  /** How often in a row a sink is asked; for ever when left out. */
  readonly tries?: number;
  /** Between checkpoints, ms; nothing is signed while nothing happens. Without it only {@link WitnessService.sign} signs. */
  readonly everyMs?: number;
  /** Last position of each segment of the journal, as the read model says it. */
  readonly ends: () => Promise<Ends>;
  /** RFC 3339 in UTC. */
  readonly now: () => string;
  readonly onTaken?: (sink: Sink, checkpoint: SignedCheckpoint) => Promise<void> | void;
  readonly onSigned?: (checkpoint: SignedCheckpoint) => void;
  readonly onAlarm: (message: string) => void;
}

const RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

export class WitnessService {
  readonly #options: WitnessOptions;
  readonly #heads = new Heads();
  readonly #audit: CheckpointAudit;
  readonly #follower: SegmentsFollower;
  /** Of each sink: whether it has taken everything so far. */
  readonly #deliveries: Map<Sink, Promise<boolean>>;
  #kept = Promise.resolve(true);
  #tries: number;
  readonly #halt = new AbortController();
  #previous: SignedCheckpoint | undefined;
  #audited = false;
  #fault: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#previous = options.previous;
    this.#audit = new CheckpointAudit(options.previous === undefined ? [] : [options.previous]);
    this.#deliveries = new Map(options.sinks.map((sink) => [sink, Promise.resolve(true)]));
    this.#tries = options.tries ?? Number.POSITIVE_INFINITY;
    const listener = { name: "witness", from: 1, take: (batch: readonly StoredMessage[]) => this.#take(batch) };
    this.#follower = new SegmentsFollower(options.nc, options.ns, [listener], { ends: options.ends, onAlarm: options.onAlarm });
  }

  /** Reads the journal from its first message to its end, and then follows it. @throws ReadError */
  async start(): Promise<void> {
    const { everyMs, onAlarm, owed = new Map<Sink, readonly SignedCheckpoint[]>() } = this.#options;
    for (const [sink, checkpoints] of owed) for (const one of checkpoints) this.#send(sink, one);
    await this.#follower.start();
    if (everyMs === undefined) return;
    this.#timer = setInterval(() => {
      try {
        this.sign();
      } catch (error) {
        onAlarm((error as Error).message);
      }
    }, everyMs);
  }

  /**
   * Signs where the journal stands, and sends it to every sink. Signs nothing new when nothing happened since.
   * @throws Error when the journal does not hold what was signed before
   */
  sign(): SignedCheckpoint {
    const { ns, witness, now, onSigned } = this.#options;
    this.#conclude();
    if (this.#fault !== undefined) throw new Error(`nothing is signed: ${this.#fault}`);
    if (this.#previous?.key === witness.key && this.#stands(this.#previous)) return this.#previous;
    const signed = witness.sign(ns, this.#heads, now(), this.#previous);
    this.#previous = signed;
    this.#keep(signed);
    onSigned?.(signed);
    return signed;
  }

  /** Whether its own memory has what was signed so far. */
  kept(): Promise<boolean> {
    return this.#kept;
  }

  /** Resolves when every sink has what was signed so far, or is asked no more. @returns those that have not taken it */
  async delivered(): Promise<readonly Sink[]> {
    const taken = await Promise.all([...this.#deliveries].map(async ([sink, done]) => [sink, await done] as const));
    return taken.flatMap(([sink, all]) => (all ? [] : [sink]));
  }

  /** The same, and whoever does not take it now is not asked again. */
  finish(): Promise<readonly Sink[]> {
    this.#halt.abort();
    this.#tries = 1;
    return this.delivered();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#tries = 0;
    this.#halt.abort();
    await this.#follower.stop();
  }

  /** Whether nothing happened since. */
  #stands(previous: SignedCheckpoint): boolean {
    const parts = partsOf(previous);
    return parts.every(({ segment, last }) => this.#heads.last(segment) === last) && this.#heads.segments.every((segment) => parts.some((part) => part.segment === segment));
  }

  #take(batch: readonly StoredMessage[]): void {
    for (const message of batch) {
      // a batch that failed half way comes again
      if (message.seq <= this.#heads.last(segmentOf(message.seq))) continue;
      if (!this.#audited) this.#audit.push(message);
      this.#heads.push(message);
    }
    if (this.#options.previous !== undefined && this.#audit.done) this.#conclude();
  }

  /** Once: what this witness signed in an earlier life still has to be so. */
  #conclude(): void {
    if (this.#audited) return;
    this.#audited = true;
    const [finding] = this.#audit.conclude().findings;
    if (finding === undefined) return;
    this.#fault = `checkpoint ${finding.n} does not hold: ${finding.why}`;
    this.#options.onAlarm(this.#fault);
  }

  /** Memory first, then everybody at once. */
  #keep(signed: SignedCheckpoint): void {
    const { memory } = this.#options;
    const kept = memory === undefined ? this.#kept : this.#kept.then((before) => before && this.#deliver(memory, signed));
    this.#kept = kept;
    for (const sink of this.#deliveries.keys()) this.#send(sink, signed, kept);
  }

  /** One after the other for each sink: a later checkpoint never stands before an earlier one. */
  #send(sink: Sink, signed: SignedCheckpoint, kept: Promise<boolean> = Promise.resolve(true)): void {
    const before = this.#deliveries.get(sink);
    this.#deliveries.set(sink, kept.then(async (known) => known && (await before) !== false && this.#deliver(sink, signed)));
  }

  async #deliver(sink: Sink, signed: SignedCheckpoint): Promise<boolean> {
    for (let attempt = 0; attempt < this.#tries; attempt++) {
      try {
        await sink.put(JSON.stringify(signed));
        await this.#options.onTaken?.(sink, signed);
        return true;
      } catch (error) {
        this.#options.onAlarm(`\`${sink.name}\` did not take checkpoint ${signed.n}: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (attempt + 1 < this.#tries) await waited(Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** attempt), this.#halt.signal);
    }
    return false;
  }
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
