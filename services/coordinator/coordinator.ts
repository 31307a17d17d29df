/**
 * The coordinator of one namespace: inputs in, one commit each into the journal, then effects, then acknowledgement
 * (law 3). It holds nothing that cannot be folded again from the journal, and has no clock and no dice (law 1).
 */
import type { Logger } from "pino";
import { news } from "../../machines/answers.ts";
import { owed } from "../../machines/owed.ts";
import { DOCUMENT_KINDS, type DocumentKind } from "../../machines/registry.ts";
import type { Digest, Namespace, RunId } from "../../schemas/ids.ts";
import { reason } from "../../schemas/reason.ts";
import { aggregateToken, parseLog, patterns, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import { DocumentMissing, Documents } from "../bus/documents.ts";
import { Intake, type IntakeMessage } from "../bus/intake.ts";
import { StreamReader } from "../bus/journal.ts";
import { Publisher } from "../bus/publisher.ts";
import { Timers } from "../bus/timers.ts";
import { Validators } from "../registry/validate.ts";
import { RegistryView } from "../registry/view.ts";
import { Admissions, type Quota } from "./admission.ts";
import { loadAggregate } from "./aggregates.ts";
import { type Arrival, type Origin, readDue, readInput } from "./arrival.ts";
import { GroupCommitter, type Landing, Stopped } from "./committer.ts";
import type { FactSources } from "./facts.ts";
import { PolicyJudge } from "./judgement.ts";
import { type Lane, Lanes } from "./lanes.ts";
import { liveRunsOf } from "./live-runs.ts";
import { Outbox } from "./outbox.ts";
import { pause } from "./pause.ts";
import { type Turn, answersOf, takeTurn } from "./turn.ts";

export interface CoordinatorOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly log: Logger;
  readonly quota?: Quota;
  /** Runs that may owe something. Without it the journal is read from its beginning. */
  readonly liveRuns?: () => Promise<Iterable<RunId>>;
}

/** Events in one batch. More raises throughput a little and latency a lot. */
const BATCH_EVENTS = 256;
/** Batches under way at once: while the server stores one, the next is decided. */
const BATCHES = 2;
const MAX_UNACKNOWLEDGED = 4096;
const REST_EVERY_MS = 1000;
const MAX_FETCHED = 256;

export class Coordinator {
  readonly #ns: Namespace;
  readonly #log: Logger;
  readonly #nc: NatsConnection;
  readonly #publisher: Publisher;
  readonly #journal: StreamReader;
  readonly #documents: Documents;
  readonly #committer: GroupCommitter;
  readonly #outbox: Outbox;
  readonly #registry: RegistryView;
  readonly #sources: FactSources;
  readonly #admissions: Admissions;
  readonly #lanes = new Lanes();
  readonly #inbox: Intake;
  readonly #control: Intake;
  readonly #due: Intake;
  readonly #handlers = new Map<Intake, (messages: IntakeMessage[]) => void>();
  readonly #fetched = new Map<Digest, Uint8Array | null>();
  readonly #liveRuns: () => Promise<Iterable<RunId>>;
  /** Timers that wait for the inputs stored before them. */
  #fenced: { readonly inbox: number; readonly control: number; readonly arrivals: Arrival[] }[] = [];
  /** The last origin of each actor over its quota, for the record of the rest. */
  readonly #overQuota = new Map<string, Origin>();
  #subscriptions: Subscription[] = [];
  #restTimer: NodeJS.Timeout | undefined;
  #batches = 0;
  #pumpQueued = false;
  #stopped = false;

  constructor(options: CoordinatorOptions) {
    const { nc, ns, log } = options;
    this.#ns = ns;
    this.#log = log.child({ service: "coordinator", ns });
    this.#nc = nc;
    this.#publisher = new Publisher(nc);
    this.#journal = new StreamReader(nc, streamName("JOURNAL", ns));
    this.#documents = new Documents(nc, this.#publisher, ns);
    this.#committer = new GroupCommitter(this.#publisher, this.#journal, this.#log);
    this.#outbox = new Outbox(nc, ns, this.#publisher, new Timers(this.#publisher, ns), this.#log);
    this.#registry = new RegistryView(ns, this.#journal, this.#documents);
    this.#sources = {
      registry: this.#registry,
      validators: new Validators(),
      judge: new PolicyJudge(),
      fetched: (digest) => this.#fetched.get(digest),
    };
    this.#admissions = new Admissions(options.quota);
    this.#liveRuns = options.liveRuns ?? (() => liveRunsOf(this.#journal, ns));
    this.#inbox = this.#intake("INBOX", undefined, (messages) => this.#onProposals(messages));
    this.#control = this.#intake("CONTROL", undefined, (messages) => this.#onControl(messages));
    this.#due = this.#intake("TIMERS", patterns.dues(ns), (messages) => void this.#onDue(messages));
  }

  #intake(stream: "INBOX" | "CONTROL" | "TIMERS", filter: string | undefined, handler: (messages: IntakeMessage[]) => void): Intake {
    const intake: Intake = new Intake(this.#nc, {
      stream: streamName(stream, this.#ns),
      consumer: "coordinator",
      ...(filter !== undefined && { filter }),
      maxAckPending: MAX_UNACKNOWLEDGED,
      onReset: (generation, why) => {
        this.#log.info({ stream, generation, why }, "inputs are taken from the oldest again");
        this.#forget(stream, generation);
      },
      onTrouble: (error) => this.#log.warn({ stream, error: error.message }, "the consumer cannot be made"),
    });
    this.#handlers.set(intake, handler);
    return intake;
  }

  /** Takes the namespace over: what is in force, what is owed, then inputs from the oldest. */
  async start(): Promise<void> {
    for (const kind of DOCUMENT_KINDS) {
      this.#subscriptions.push(
        this.#nc.subscribe(patterns.liveOfKind(this.#ns, kind), {
          callback: (error, message) => {
            if (error === null) this.#onApplied(message.subject, message.data);
          },
        }),
      );
    }
    await this.#registry.load();
    for (const intake of [this.#control, this.#inbox, this.#due]) {
      const handler = this.#handlers.get(intake);
      if (handler !== undefined) await intake.start(handler);
    }
    this.#restTimer = setInterval(() => this.#recordRest(), REST_EVERY_MS);
    void this.#watch();
    await this.#sweep();
  }

  /** Leaves everything undecided in the inbox. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#restTimer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#committer.stop();
    this.#outbox.stop();
    await Promise.all([this.#inbox.stop(), this.#control.stop(), this.#due.stop()]);
    this.#publisher.close();
  }

  // --- inputs -----------------------------------------------------------------------------------------------------

  #onProposals(messages: readonly IntakeMessage[]): void {
    for (const message of messages) {
      const actor = message.subject.split(".")[5] ?? "";
      const admission = this.#admissions.admit(actor, message.time);
      if (admission.admitted) this.#take(message);
      else {
        const token = message.subject.split(".")[6] ?? "";
        const origin: Origin = { message, kind: "propose", actor, token };
        this.#overQuota.set(actor, origin);
        if (admission.record > 0) void this.#overdrawn(origin, admission.record);
        message.ack();
      }
    }
    this.#releaseDue();
    this.#queuePump();
  }

  #onControl(messages: readonly IntakeMessage[]): void {
    for (const message of messages) this.#take(message);
    this.#releaseDue();
    this.#queuePump();
  }

  #take(message: IntakeMessage): void {
    const read = readInput(message);
    if (read.ok) this.#lanes.push(read.arrival);
    else void this.#reject(read, read.reasons, read.id);
  }

  /** A timer is applied only behind the inputs that were stored before it: an approval stored in time wins. */
  async #onDue(messages: readonly IntakeMessage[]): Promise<void> {
    const arrivals: Arrival[] = [];
    for (const message of messages) {
      const arrival = readDue(message);
      if (arrival === undefined) message.ack();
      else arrivals.push(arrival);
    }
    for (let attempt = 1; !this.#stopped && arrivals.length > 0; attempt++) {
      try {
        const [inbox, control] = await Promise.all([this.#inbox.lastStored(), this.#control.lastStored()]);
        this.#fenced.push({ inbox, control, arrivals });
        break;
      } catch (error) {
        this.#log.warn({ error: String(error) }, "the fence of due timers cannot be read");
        await pause(Math.min(2000, 100 * attempt));
      }
    }
    this.#releaseDue();
    this.#queuePump();
  }

  #releaseDue(): void {
    if (this.#fenced.length === 0) return;
    this.#fenced = this.#fenced.filter(({ inbox, control, arrivals }) => {
      if (inbox > this.#inbox.handedThrough || control > this.#control.handedThrough) return true;
      for (const arrival of arrivals) if (arrival.message.generation === this.#due.generation) this.#lanes.push(arrival);
      return false;
    });
  }

  async #reject(origin: Origin, reasons: Parameters<Outbox["reject"]>[1], id: string | undefined): Promise<void> {
    try {
      await this.#outbox.reject(origin, reasons, id);
      origin.message.ack();
    } catch (error) {
      this.#unless(error);
    }
  }

  async #overdrawn(origin: Origin, count: number): Promise<void> {
    const why = reason("quota.exceeded", `\`${origin.actor}\` sent more than is admitted: ${count} input(s) were not judged`, {
      help: "send more slowly, and repeat what was not answered",
    });
    await this.#outbox.reject(origin, [why], undefined, count).catch((error: unknown) => this.#unless(error));
  }

  #recordRest(): void {
    for (const [actor, count] of this.#admissions.takeRest()) {
      const origin = this.#overQuota.get(actor);
      if (origin !== undefined) void this.#overdrawn(origin, count);
    }
    this.#overQuota.clear();
  }

  #forget(stream: string, generation: number): void {
    const kinds = { INBOX: ["propose"], CONTROL: ["decide", "report", "control", "apply"], TIMERS: ["due"] }[stream] ?? [];
    const gone = (arrival: Arrival) => kinds.includes(arrival.kind) && arrival.message.generation < generation;
    this.#lanes.forget(gone);
    this.#fenced = this.#fenced.filter(({ arrivals }) => !arrivals.every(gone));
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /** Inputs that came in together are decided together. */
  #queuePump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    setImmediate(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (!this.#stopped && this.#batches < BATCHES) {
      const batch: Turn[] = [];
      let room = BATCH_EVENTS;
      let more = false;
      while (room > 0) {
        const lane = this.#lanes.take();
        if (lane === undefined) break;
        more = true;
        if (lane.frozen !== undefined) this.#refuseFrozen(lane, lane.frozen);
        else if (lane.loaded === undefined) void this.#load(lane);
        else {
          const turn = takeTurn(this.#sources, lane, lane.loaded, room);
          room -= turn.events.length;
          if (turn.events.length > 0) batch.push(turn);
          else this.#conclude(turn);
        }
      }
      if (batch.length > 0) void this.#commit(batch);
      if (!more) return;
    }
  }

  async #commit(batch: readonly Turn[]): Promise<void> {
    this.#batches += 1;
    try {
      const parts = batch.map(({ lane, expected, events }) => ({ subject: lane.loaded?.subject ?? "", expected, events }));
      const landings = await this.#committer.append(parts);
      for (const [index, turn] of batch.entries()) await this.#landed(turn, landings[index]);
    } catch (error) {
      this.#unless(error);
    } finally {
      this.#batches -= 1;
      this.#queuePump();
    }
  }

  async #landed(turn: Turn, landing: Landing | undefined): Promise<void> {
    const { lane } = turn;
    if (landing?.kind === "stored") {
      if (lane.loaded !== undefined) lane.loaded.streamSeq = landing.last;
      // in force before the next input is judged
      for (const digest of turn.applied) await this.#registry.put(lane.kind as DocumentKind, lane.name, digest);
      this.#conclude(turn);
      return;
    }
    lane.loaded = undefined;
    if (landing?.kind === "refused") {
      this.#log.error({ subject: lane.token, why: landing.why }, "the journal does not take a commit");
      const why = reason("journal.refused", `the journal does not take it: ${landing.why}`);
      for (const { arrival } of turn.done) void this.#reject(arrival, [why], "input" in arrival ? arrival.input.id : undefined);
    } else {
      // somebody else wrote first: fold again and decide again, in the same order
      for (const { arrival } of [...turn.done].reverse()) {
        if (arrival.kind === "due") lane.due.unshift(arrival);
        else if (arrival.kind === "propose") lane.inbox.unshift(arrival);
        else lane.control.unshift(arrival);
      }
    }
    this.#lanes.release(lane);
  }

  /** What was decided is stored, or needed no storing: effects go out, then inputs are acknowledged. */
  #conclude(turn: Turn): void {
    const { lane } = turn;
    const effects: Promise<void>[] = [];
    const loaded = lane.loaded;
    if (loaded?.kind === "run" && loaded.head.seq > 0) {
      const { state } = loaded;
      if (lane.sweep) lane.issued.clear();
      const debts = owed(state);
      for (const debt of debts) if (!lane.issued.has(debt.key)) effects.push(this.#outbox.pay(state.run, debt));
      lane.issued = new Set(debts.map((debt) => debt.key));
      for (const { agent, answer } of answersOf(state, turn.answers)) effects.push(this.#outbox.answer(agent, answer));
      if (turn.news) effects.push(this.#outbox.answer(state.holder, news(state)));
    }
    lane.sweep = false;
    for (const { arrival, refused, grant } of turn.done) {
      if (grant !== undefined) this.#outbox.grant(grant.gateway, grant.grant);
      if (refused !== undefined) void this.#reject(arrival, refused, arrival.input.id);
    }
    // what could not be had a moment ago may have been stored since
    for (const [digest, bytes] of this.#fetched) if (bytes === null) this.#fetched.delete(digest);
    Promise.all(effects).then(
      () => {
        for (const { arrival, refused } of turn.done) if (refused === undefined) arrival.message.ack();
      },
      (error: unknown) => this.#unless(error),
    );
    if (turn.reload) lane.loaded = undefined;
    if (turn.needs !== undefined) void this.#fetch(lane, turn.needs);
    else this.#lanes.release(lane);
    this.#queuePump();
  }

  async #load(lane: Lane): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        const { loaded, rest } = await loadAggregate(this.#journal, this.#ns, lane.kind, lane.name);
        if (rest !== undefined) {
          const [landing] = await this.#committer.append([rest]);
          if (landing?.kind !== "stored") continue;
          loaded.streamSeq = landing.last;
        }
        lane.loaded = loaded;
        lane.issued.clear();
        break;
      } catch (error) {
        if (error instanceof Stopped) return;
        const { name, message } = error as Error;
        if (name === "Frozen" || name === "Diverged" || name === "EventMalformed" || name === "MachineMissing") {
          this.#log.error({ alarm: "frozen", aggregate: lane.token, why: message }, "an aggregate is frozen");
          lane.frozen = error as Error;
          break;
        }
        this.#log.warn({ aggregate: lane.token, error: message }, "the journal cannot be read");
        await pause(Math.min(2000, 100 * attempt));
      }
    }
    this.#lanes.release(lane);
    this.#queuePump();
  }

  #refuseFrozen(lane: Lane, why: Error): void {
    lane.sweep = false;
    // a release that has the version takes these inputs; this one leaves them where they are
    if (why.name === "MachineMissing") return;
    for (let queue = lane.queue(); queue !== undefined; queue = lane.queue()) {
      const arrival = queue.shift() as Arrival;
      const frozen = reason("run.frozen", `\`${lane.token}\` is frozen: ${why.message}`, { help: "ask the plane's operator" });
      void this.#reject(arrival, [frozen], arrival.input.id);
    }
    this.#lanes.release(lane);
  }

  async #fetch(lane: Lane, digest: Digest): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        this.#keep(digest, await this.#documents.get(digest));
        break;
      } catch (error) {
        if (error instanceof DocumentMissing || (error as Error).name === "DocumentCorrupt") {
          this.#keep(digest, null);
          break;
        }
        await pause(Math.min(2000, 100 * attempt));
      }
    }
    const document = await this.#registry.document(digest);
    if (document?.kind === "tool") this.#registry.rememberTool(digest, document.value);
    this.#lanes.release(lane);
    this.#queuePump();
  }

  #keep(digest: Digest, bytes: Uint8Array | null): void {
    this.#fetched.set(digest, bytes);
    for (const oldest of this.#fetched.keys()) {
      if (this.#fetched.size <= MAX_FETCHED) break;
      this.#fetched.delete(oldest);
    }
  }

  // --- taking over ------------------------------------------------------------------------------------------------

  /** Every run that may owe something is loaded, and what it owes is paid again. */
  async #sweep(): Promise<void> {
    try {
      for (const lane of this.#lanes.loaded()) lane.sweep = true;
      for (const run of await this.#liveRuns()) {
        const lane = this.#lanes.lane(aggregateToken("run", run));
        lane.sweep = true;
        this.#lanes.wake(lane);
      }
      this.#queuePump();
    } catch (error) {
      this.#log.error({ error: String(error) }, "what is owed could not be swept");
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (this.#stopped) return;
      if (status.type === "reconnect") {
        await this.#registry.load().catch((error: unknown) => this.#unless(error));
        await this.#sweep();
      }
    }
  }

  #onApplied(subject: string, data: Uint8Array): void {
    const address = parseLog(subject);
    if (address === undefined) return;
    try {
      const { body } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() });
      void this.#registry.put(address.kind as DocumentKind, address.name, body.data["document"] as Digest);
    } catch (error) {
      this.#log.warn({ subject, error: String(error) }, "an applied document cannot be read");
    }
  }

  #unless(error: unknown): void {
    if (error instanceof Stopped || this.#stopped) return;
    this.#log.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, "an unexpected error");
  }
}
