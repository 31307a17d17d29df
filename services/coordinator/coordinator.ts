/**
 * The coordinator of one namespace: inputs in, one commit each into the journal, then effects, then acknowledgement
 * (law 3). It holds nothing that cannot be folded again from the journal, and has no clock and no dice (law 1).
 * The desk takes inputs in, turns decide and store them, the sweeper repeats what is owed.
 */
import type { Logger } from "pino";
import { DOCUMENT_KINDS, type DocumentKind } from "../../machines/registry.ts";
import { MACHINE_VERSIONS } from "../../machines/versions.ts";
import type { AggregateKind, Digest, Namespace, RunId } from "../../schemas/ids.ts";
import { parseLog, patterns, shareOf, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { Msg, NatsConnection, Subscription } from "../bus/connection.ts";
import { Documents } from "../bus/documents.ts";
import { readHeaders } from "../bus/headers.ts";
import { SegmentTable } from "../bus/segment-table.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { Publisher } from "../bus/publisher.ts";
import { Timers } from "../bus/timers.ts";
import type { PersonalMaster } from "../identity/sealing.ts";
import { BUILT_IN_DOCUMENTS } from "../registry/built-in.ts";
import { Validators } from "../registry/validate.ts";
import { RegistryView } from "../registry/view.ts";
import { Admissions, type Quota } from "./admission.ts";
import { Applied } from "./applied.ts";
import { GroupCommitter } from "./committer.ts";
import { Desk } from "./desk.ts";
import { GuardView } from "./guard-view.ts";
import { type Judge, PolicyJudge } from "../policy/judgement.ts";
import { Lanes } from "./lanes.ts";
import { LiveRunIndex } from "./live-runs.ts";
import { Loader } from "./loader.ts";
import { Outbox } from "./outbox.ts";
import { Placement, type PlacementOptions } from "./placement.ts";
import { pause } from "./pause.ts";
import { People } from "./people.ts";
import { Personal } from "./personal.ts";
import { type KeeperSettings, SegmentKeeper, TABLE_TOKEN } from "./segment-keeper.ts";
import { Shares } from "./shares.ts";
import { Sweeper } from "./sweep.ts";
import { Turns } from "./turns.ts";

export interface CoordinatorOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly log: Logger;
  readonly quota?: Quota;
  /** Runs that may owe something. Without it the run index says so, and what the journal holds behind it. */
  readonly liveRuns?: () => Promise<Iterable<RunId>>;
  /** Of the journal: when the next is opened and an old one sealed. */
  readonly segments?: PlacementOptions & KeeperSettings;
  /** Aggregates that are kept as they are; of the others runs are put to rest. A couple of thousand when left out. */
  readonly awake?: number;
  /** The run index; without it the journal is read from its beginning. It may be deleted. */
  readonly liveFile?: string;
  /** Opens the keys of data subjects. Without it what is personal is withheld, and refused. */
  readonly personal?: PersonalMaster;
  /** The machine versions that it plays, oldest first; fewer than the program has, it is one of an older release. All when left out. */
  readonly machines?: readonly string[];
  /** Who rules on proposals; the policies in force when left out. */
  readonly judge?: Judge;
  /** Which process this is, for others on the same machine, who then need not wait for its silence; null: it is not said. */
  readonly process?: string | null;
}

const REST_EVERY_MS = 1000;
/** The first machine version whose releases know of segments. */
const KNOWS_SEGMENTS = 3;
const FAREWELL_MS = 1000;
const RETRY_MS = 250;
const MAX_RETRY_MS = 5000;

export class Coordinator {
  readonly #ns: Namespace;
  readonly #log: Logger;
  readonly #nc: NatsConnection;
  readonly #publisher: Publisher;
  readonly #committer: GroupCommitter;
  readonly #outbox: Outbox;
  readonly #documents: Documents;
  readonly #applied: Applied;
  readonly #guard: GuardView;
  readonly #placement: Placement;
  readonly #keeper: SegmentKeeper;
  readonly #lanes: Lanes;
  readonly #desk: Desk;
  readonly #turns: Turns;
  readonly #sweeper: Sweeper;
  readonly #shares: Shares;
  readonly #liveRuns: LiveRunIndex;
  readonly #personal: Personal;
  #subscriptions: Subscription[] = [];
  #restTimer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: CoordinatorOptions) {
    const { nc, ns, quota, machines = MACHINE_VERSIONS } = options;
    const log = options.log.child({ service: "coordinator", ns });
    this.#ns = ns;
    this.#log = log;
    this.#lanes = new Lanes(options.awake);
    this.#nc = nc;
    this.#publisher = new Publisher(nc);
    const journal = new SegmentedReader(nc, ns, new SegmentTable(options.segments?.marginMs));
    this.#documents = new Documents(nc, this.#publisher, ns);
    const registry = new RegistryView(ns, journal, this.#documents);
    const people = new People(registry);
    this.#applied = new Applied(registry, (kind) => {
      if (kind === "person") people.changed();
    });
    this.#guard = new GuardView(ns, journal, people);
    this.#placement = new Placement(nc, ns, journal, this.#documents, { together: () => Number(this.#shares.commonMachine) >= KNOWS_SEGMENTS, ...options.segments });
    this.#committer = new GroupCommitter(this.#publisher, journal, log, (segment) => this.#placement.maySend(segment));
    this.#keeper = new SegmentKeeper({
      ...options.segments,
      nc,
      ns,
      journal,
      placement: this.#placement,
      documents: this.#documents,
      publisher: this.#publisher,
      owns: () => this.owned.has(shareOf(TABLE_TOKEN)),
      log,
    });
    this.#outbox = new Outbox(nc, ns, this.#publisher, new Timers(this.#publisher, ns), log);
    this.#personal = new Personal({ nc, ns, publisher: this.#publisher, registry, master: options.personal, log });
    this.#desk = new Desk({
      admissions: new Admissions(quota),
      lanes: this.#lanes,
      outbox: this.#outbox,
      sure: () => this.#shares.sure(),
      careful: (message) => this.#personal.careful(message),
      log,
    });
    this.#liveRuns = new LiveRunIndex({ journal, ns, file: options.liveFile, log });
    this.#turns = new Turns({
      lanes: this.#lanes,
      sources: { registry, validators: new Validators(), judge: options.judge ?? new PolicyJudge(), guard: this.#guard, people, personal: this.#personal, placement: this.#placement },
      loader: new Loader({
        journal,
        committer: this.#committer,
        ns,
        log,
        placement: this.#placement,
        first: (subject) => this.#liveRuns.first(subject),
        machines: { plays: (machine) => machines.includes(machine), newest: () => this.#shares.commonMachine },
      }),
      lacks: (share, machine) => this.#shares.lacks(share, machine),
      committer: this.#committer,
      applied: this.#applied,
      documents: this.#documents,
      outbox: this.#outbox,
      desk: this.#desk,
      mayDecide: () => this.#shares.certain,
      log,
    });
    const liveRuns = options.liveRuns ?? (() => this.#liveRuns.runs());
    const wake = () => this.#turns.wake();
    this.#sweeper = new Sweeper(this.#lanes, liveRuns, wake, log);
    this.#shares = new Shares({
      nc,
      ns,
      ...(options.process !== undefined && { process: options.process }),
      machines,
      lanes: this.#lanes,
      desk: this.#desk,
      outbox: this.#outbox,
      sweeper: this.#sweeper,
      wake,
      log,
    });
  }

  /** Shares of the inputs that it owns; none while others own all. */
  get owned(): ReadonlySet<number> {
    return this.#shares.owned;
  }

  /** Looks after the journal's segments now, and not only when it is time; for operators' tools and tests. */
  lookAfterSegments(): Promise<void> {
    return this.#keeper.look();
  }

  /** Why inputs would wait; undefined when it decides those of its shares, or watches while others own all. */
  get unready(): string | undefined {
    if (this.#stopped) return "stopping";
    if (this.#restTimer === undefined) return "it is taking over";
    if (this.#turns.held) return "what is in force is being read again";
    return this.#shares.certain ? undefined : "nobody has heard its signs of life: its shares may be another one's";
  }

  /** Takes its part of the namespace over: what is in force, inputs from the oldest, and what is owed. */
  async start(): Promise<void> {
    for (const kind of DOCUMENT_KINDS) this.#hear(kind, ({ subject, data }) => this.#onApplied(subject, data));
    this.#hear("guard", (message) => this.#onGuard(message.subject, message.data, Number(readHeaders(message).headers.get("Nats-Sequence") ?? 0)));
    this.#hear("segments", () => void this.#placement.refresh().catch((error: unknown) => this.#log.warn({ error: String(error) }, "the table of segments cannot be read")));
    await this.#applied.load();
    await this.#guard.load();
    await this.#placement.refresh();
    await this.#personal.start();
    // a change of documents names these by their digests, and whoever reads it looks them up
    await Promise.all(BUILT_IN_DOCUMENTS.map(({ bytes }) => this.#documents.put(bytes, "application/json")));
    void this.#watch();
    await this.#shares.start();
    // stopped while it took over: nothing is begun any more
    if (this.#stopped) return;
    this.#restTimer = setInterval(() => void this.#desk.recordRest(), REST_EVERY_MS);
    this.#liveRuns.keep();
    this.#keeper.start();
  }

  /** Leaves everything undecided in the inbox. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#restTimer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#turns.stop();
    this.#applied.stop();
    this.#sweeper.stop();
    this.#personal.stop();
    this.#liveRuns.stop();
    this.#keeper.stop();
    this.#committer.stop();
    await this.#shares.stop();
    // what was counted and is in no record: only memory knows it
    await Promise.race([this.#desk.recordRest(), pause(FAREWELL_MS)]);
    this.#outbox.stop();
    this.#publisher.close();
  }

  /** What other coordinators store of this kind. */
  #hear(kind: AggregateKind, take: (message: Msg) => void): void {
    const subscription = this.#nc.subscribe(patterns.liveOfKind(this.#ns, kind), {
      callback: (error, message) => {
        if (error === null) take(message);
        // deaf, it would judge by what was in force when it started
        else if (!this.#stopped) this.#log.error({ alarm: "deaf", kind, error: error.message }, "what others put in force is not heard");
      },
    });
    this.#subscriptions.push(subscription);
  }

  /** While the connection was away documents may have been applied: nothing is judged before they are known. */
  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (this.#stopped) return;
      if (status.type === "disconnect") this.#turns.hold();
      if (status.type !== "reconnect") continue;
      await this.#reload();
      this.#turns.resume();
      this.#shares.sweep();
    }
  }

  async #reload(): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        await this.#applied.load();
        await this.#guard.load();
        await this.#placement.refresh();
        await this.#personal.load();
        return;
      } catch (error) {
        this.#log.warn({ error: String(error) }, "what is in force cannot be read");
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
  }

  /** Another coordinator's stop, as soon as it is heard of; what is granted does not rest on hearing of it. */
  #onGuard(subject: string, data: Uint8Array, streamSeq: number): void {
    const failed = (error: unknown) => this.#log.warn({ subject, error: String(error) }, "a stop cannot be read");
    try {
      const known = this.#guard.put(decodeEvent({ subject, data, seq: streamSeq, time: 0, headers: new Map() }));
      if (!known) this.#guard.load().catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #onApplied(subject: string, data: Uint8Array): void {
    const address = parseLog(subject);
    if (address === undefined) return;
    try {
      const { body } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() });
      const { seq, data: own } = body;
      this.#applied
        .put(address.kind as DocumentKind, address.name, own["document"] as Digest, seq)
        .catch((error: unknown) => this.#log.warn({ subject, error: String(error) }, "an applied document cannot be read"));
    } catch (error) {
      this.#log.warn({ subject, error: String(error) }, "an applied document cannot be read");
    }
  }
}
