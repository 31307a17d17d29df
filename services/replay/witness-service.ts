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
  /** Each is sent every checkpoint, in order, until it has taken it. */
  readonly sinks: readonly Sink[];
  /** Between checkpoints, ms; nothing is signed while nothing happens. Without it only {@link WitnessService.sign} signs. */
  readonly everyMs?: number;
  /** Last position of each segment of the journal, as the read model says it. */
  readonly ends: () => Promise<Ends>;
  /** RFC 3339 in UTC. */
  readonly now: () => string;
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
  readonly #deliveries: Promise<void>[];
  readonly #halt = new AbortController();
  #previous: SignedCheckpoint | undefined;
  #audited = false;
  #fault: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#previous = options.previous;
    this.#audit = new CheckpointAudit(options.previous === undefined ? [] : [options.previous]);
    this.#deliveries = options.sinks.map(() => Promise.resolve());
    const listener = { name: "witness", from: 1, take: (batch: readonly StoredMessage[]) => this.#take(batch) };
    this.#follower = new SegmentsFollower(options.nc, options.ns, [listener], { ends: options.ends, onAlarm: options.onAlarm });
  }

  /** Reads the journal from its first message to its end, and then follows it. @throws ReadError */
  async start(): Promise<void> {
    await this.#follower.start();
    const { everyMs, onAlarm } = this.#options;
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
    this.#send(JSON.stringify(signed));
    onSigned?.(signed);
    return signed;
  }

  /** Resolves when every sink has what was signed so far. */
  async delivered(): Promise<void> {
    await Promise.all(this.#deliveries);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
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

  /** One after the other for each sink: a later checkpoint never stands before an earlier one. */
  #send(line: string): void {
    this.#options.sinks.forEach((sink, index) => {
      this.#deliveries[index] = (this.#deliveries[index] ?? Promise.resolve()).then(() => this.#deliver(sink, line));
    });
  }

  async #deliver(sink: Sink, line: string): Promise<void> {
    for (let attempt = 0; !this.#halt.signal.aborted; attempt++) {
      try {
        return await sink.put(line);
      } catch (error) {
        this.#options.onAlarm(`\`${sink.name}\` did not take a checkpoint: ${error instanceof Error ? error.message : String(error)}`);
        await waited(Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** attempt), this.#halt.signal);
      }
    }
  }
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
