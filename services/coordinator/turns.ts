/**
 * Turns: lanes that have something to decide are decided together, stored as one batch, and concluded. After the
 * commit the effects, after the effects the acknowledgement (law 3). A lane is busy from its turn until its
 * conclusion, so one commit of an aggregate is in flight at a time.
 */
import type { Logger } from "pino";
import { news } from "../../machines/answers.ts";
import { owedErasures } from "../../machines/erasure.ts";
import { type Owed, owed } from "../../machines/owed.ts";
import type { DocumentKind } from "../../machines/registry.ts";
import type { Digest, RunId } from "../../schemas/ids.ts";
import type { DueInput } from "../../schemas/inputs.ts";
import { reason } from "../../schemas/reason.ts";
import type { Pseudonym } from "../../schemas/sealed.ts";
import { DocumentCorrupt, DocumentMissing, type Documents } from "../bus/documents.ts";
import { verifyPrincipal } from "../identity/principal.ts";
import { readStored } from "../registry/parse.ts";
import { MachineMissing } from "../replay/fold.ts";
import type { Applied } from "./applied.ts";
import type { Arrival } from "./arrival.ts";
import { type GroupCommitter, type Landing, Stopped } from "./committer.ts";
import type { Desk } from "./desk.ts";
import type { FactSources, Needs, NeedsToken } from "./facts.ts";
import type { Lane, Lanes } from "./lanes.ts";
import type { Loader } from "./loader.ts";
import type { Outbox } from "./outbox.ts";
import { pause } from "./pause.ts";
import { type Done, type Turn, answersOf, guarded, takeTurn } from "./turn.ts";

/** Events in one batch. More raises throughput a little and latency a lot. */
const BATCH_EVENTS = 256;
/** Batches under way at once: while the server stores one, the next is decided. */
const BATCHES = 2;

export interface TurnParts {
  readonly lanes: Lanes;
  readonly sources: FactSources;
  readonly loader: Loader;
  readonly committer: GroupCommitter;
  readonly applied: Applied;
  readonly documents: Documents;
  readonly outbox: Outbox;
  readonly desk: Desk;
  /** Something of this share is driven by a version that this coordinator does not have. */
  readonly lacks: (share: number, machine: string) => void;
  /** Whether nobody else owns what is in hand, for certain. Whoever finds out that it is so calls {@link Turns.wake}. */
  readonly mayDecide: () => boolean;
  readonly log: Logger;
}

export class Turns {
  readonly #parts: TurnParts;
  #batches = 0;
  #queued = false;
  #held = false;
  #stopped = false;

  constructor(parts: TurnParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Decides nothing until {@link resume}: what is in force is not known. */
  hold(): void {
    this.#held = true;
  }

  resume(): void {
    this.#held = false;
    this.wake();
  }

  /** Inputs that came in together are decided together. */
  wake(): void {
    if (this.#queued) return;
    this.#queued = true;
    setImmediate(() => {
      this.#queued = false;
      this.#pump();
    });
  }

  /** At most one batch in one go: the client writes to the socket only when this returns. */
  #pump(): void {
    const { lanes, sources, mayDecide } = this.#parts;
    while (!this.#stopped && !this.#held && this.#batches < BATCHES && mayDecide()) {
      const batch: Turn[] = [];
      let room = BATCH_EVENTS;
      let more = false;
      while (room > 0) {
        const lane = lanes.take();
        if (lane === undefined) break;
        more = true;
        if (lane.frozen !== undefined) this.#refuseFrozen(lane, lane.frozen);
        else if (lane.loaded === undefined || lane.suspect) void this.#load(lane);
        else {
          const turn = takeTurn(sources, lane, lane.loaded, room);
          room -= turn.events.length;
          if (turn.events.length > 0) batch.push(turn);
          else if (!claims(turn)) this.#conclude(turn);
          else void this.#refreshed().then(() => this.#conclude(turn), (error: unknown) => this.#unless(error));
        }
      }
      if (batch.length > 0) {
        void this.#commit(batch);
        this.wake();
        return;
      }
      if (!more) return;
    }
  }

  async #commit(batch: readonly Turn[]): Promise<void> {
    this.#batches += 1;
    try {
      const parts = batch.map(({ lane, expected, events }) => ({ subject: lane.loaded?.subject ?? "", expected, events }));
      const landings = await this.#parts.committer.append(parts);
      if (batch.some(claims)) await this.#refreshed();
      await Promise.all(batch.map((turn, index) => this.#landed(turn, landings[index])));
    } catch (error) {
      this.#unless(error);
    } finally {
      this.#batches -= 1;
      this.wake();
    }
  }

  /**
   * Before a grant goes out, the leader is asked whether anything was stopped: another coordinator's stop may have been
   * stored before the claim was, and not have been heard of yet. Waits as long as the leader does not answer.
   */
  async #refreshed(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (this.#stopped) throw new Stopped();
      try {
        await this.#parts.sources.guard.refresh();
        return;
      } catch (error) {
        this.#parts.log.warn({ error: String(error) }, "what is stopped cannot be read, and no claim is granted");
        await pause(Math.min(2000, 100 * attempt));
      }
    }
  }

  async #landed(turn: Turn, landing: Landing | undefined): Promise<void> {
    const { lane, done } = turn;
    const { desk, applied, log } = this.#parts;
    if (landing?.kind === "stored") {
      const { loaded } = lane;
      if (loaded !== undefined) loaded.streamSeq = landing.last;
      // in force before the next input is judged, and before it is acknowledged
      if (loaded?.kind === "guard") this.#parts.sources.guard.take(loaded.state, landing.last);
      // in force before the next input is judged
      const digest = turn.applied.at(-1);
      if (digest !== undefined) await applied.put(lane.kind as DocumentKind, lane.name, digest, lane.loaded?.head.seq ?? 0);
      this.#conclude(turn);
      return;
    }
    lane.loaded = undefined;
    const arrivals = done.map(({ arrival }) => arrival).filter(({ message }) => message.inHand);
    if (landing?.kind === "refused" && done.length === 1) {
      log.error({ aggregate: lane.token, why: landing.why }, "the journal does not take a commit");
      const why = reason("journal.refused", `the journal does not take it: ${landing.why}`);
      for (const arrival of arrivals) void desk.refuseArrival(arrival, [why]);
      lane.careful = Math.max(0, lane.careful - 1);
    } else {
      // somebody else wrote first, or one of several was refused: fold again and decide again, in the same order
      if (landing?.kind === "refused") lane.careful = done.length;
      lane.putBack(arrivals);
    }
    this.#parts.lanes.release(lane);
  }

  /** What was decided is stored, or needed no storing: effects go out, then inputs are acknowledged. */
  #conclude(turn: Turn): void {
    const { lane, done } = turn;
    const { outbox, desk, lanes, log } = this.#parts;
    let effects: Promise<void>[] = [];
    try {
      effects = this.#effects(turn);
    } catch (error) {
      log.error({ alarm: "frozen", aggregate: lane.token, why: String(error) }, "what an aggregate owes cannot be computed");
      lane.frozen = error as Error;
    }
    lane.endSweep();
    lane.careful = Math.max(0, lane.careful - done.length);
    for (const { arrival, refused, grant } of done) {
      if (grant !== undefined) this.#grant(lane, grant);
      if (refused !== undefined) void desk.refuseArrival(arrival, refused);
    }
    Promise.all(effects).then(
      () => {
        for (const { arrival, refused } of done) if (refused === undefined) arrival.message.ack();
      },
      (error: unknown) => this.#unless(error),
    );
    if (turn.reload) lane.loaded = undefined;
    if (turn.needs !== undefined) void this.#fetch(lane, turn.needs);
    else {
      lane.documents.clear();
      lanes.release(lane);
    }
    this.wake();
  }

  #grant({ loaded }: Lane, grant: NonNullable<Done["grant"]>): void {
    const { sources, outbox } = this.#parts;
    const { gateway, grant: body } = loaded === undefined ? grant : guarded(sources, loaded, grant);
    outbox.grant(gateway, body);
  }

  /** From the folded state, never from the commit: the same whoever computes it, and however often (law 3). */
  #effects({ lane, done, answers, strays, news: changed }: Turn): Promise<void>[] {
    const { outbox } = this.#parts;
    const { loaded } = lane;
    // what a ledger answers it remembers, and is asked again by whoever did not hear it
    if (loaded?.kind === "ledger") {
      return done.flatMap(({ arrival, reply }) => (reply === undefined ? [] : [outbox.signal(lane.token, arrival.actor, reply)]));
    }
    // the operator is told of it when the keys are gone, and the input stays until then
    if (loaded?.kind === "erasure") return owedErasures(loaded.state).map(({ subject, key }) => this.#parts.sources.personal.destroy(subject, key));
    if (loaded?.kind !== "run" || loaded.head.seq === 0) return [];
    const { state } = loaded;
    const debts = owed(state);
    const told = answersOf(state, answers);
    const now = lane.swept === undefined ? state.at : undefined;
    if (lane.swept !== undefined) lane.issued.clear();
    for (const debt of debts) if (debt.kind === "timer" && strays.some((stray) => replaced(debt, stray))) lane.issued.delete(debt.key);
    const effects = debts.filter((debt) => !lane.issued.has(debt.key)).map((debt) => outbox.pay(state.run, debt, now));
    lane.issued = new Set(debts.map((debt) => debt.key));
    outbox.letGo(state.run, lane.issued);
    for (const { agent, answer } of told) effects.push(outbox.answer(agent, answer));
    if (changed) effects.push(outbox.answer(state.holder, news(state)));
    return effects;
  }

  async #load(lane: Lane): Promise<void> {
    // before it is read: what makes it suspect meanwhile has it read once more
    lane.suspect = false;
    try {
      const loaded = await this.#parts.loader.load(lane);
      if (loaded instanceof Error) lane.frozen = loaded;
      else lane.loaded = loaded;
      lane.issued.clear();
    } catch (error) {
      this.#unless(error);
      return;
    }
    this.#parts.lanes.release(lane);
    this.wake();
  }

  #refuseFrozen(lane: Lane, why: Error): void {
    lane.endSweep();
    if (why instanceof MachineMissing) return this.#leave(lane, why);
    const frozen = reason("run.frozen", `\`${lane.token}\` is frozen: ${why.message}`, { help: "ask the plane's operator" });
    for (let queue = lane.queue(); queue !== undefined; queue = lane.queue()) {
      void this.#parts.desk.refuseArrival(queue.shift() as Arrival, [frozen]);
    }
    this.#parts.lanes.release(lane);
  }

  /** A release that has the version takes these inputs: this one leaves them where they are, and out of the others' way. */
  #leave(lane: Lane, { machine }: MachineMissing): void {
    for (let queue = lane.queue(); queue !== undefined; queue = lane.queue()) queue.shift()?.message.setAside();
    this.#parts.lacks(lane.share, machine);
    this.#parts.lanes.release(lane);
  }

  async #fetch(lane: Lane, needs: Needs["what"]): Promise<void> {
    if ("document" in needs) await this.#fetchDocument(lane, needs.document);
    else if ("table" in needs) await this.#readTable(lane, needs.table);
    else if ("keys" in needs) await this.#parts.sources.personal.fetch(needs);
    else if ("stored" in needs) await this.#lookUp(lane, needs.stored);
    else await this.#verify(lane, needs);
    this.#parts.lanes.release(lane);
    this.wake();
  }

  /** Waits as long as it cannot be read: in which segment a run starts is known or it does not start. */
  async #readTable(lane: Lane, time: string): Promise<void> {
    const { placement } = this.#parts.sources;
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        await (lane.kind === "run" ? placement?.ensure(time) : placement?.refresh(time));
        break;
      } catch (error) {
        this.#parts.log.warn({ error: String(error) }, "the table of segments cannot be read");
        await pause(Math.min(2000, 100 * attempt));
      }
    }
    // it may be in a segment in which nobody looked for it
    if (lane.loaded?.kind === "run" && lane.loaded.head.seq === 0) lane.loaded = undefined;
  }

  /** For the lane's next input, which asked for it; once, and with the issuers of that moment. */
  async #verify(lane: Lane, { token, agent, same }: NeedsToken): Promise<void> {
    const arrival = lane.queue()?.[0];
    if (arrival?.for !== "run" || arrival.principal !== token) return;
    try {
      const issuers = this.#parts.sources.registry.issuers();
      arrival.checked = await verifyPrincipal(token, { issuers, agent, run: lane.name as RunId, time: arrival.input.time, same });
    } catch (error) {
      this.#parts.log.error({ run: lane.name, error: String(error) }, "a principal's token could not be looked at");
      arrival.checked = { refusals: [reason("principal.unverifiable", "the principal's token cannot be verified")] };
    }
  }

  /** For the lane's next input, an erasure. */
  async #lookUp(lane: Lane, subject: Pseudonym): Promise<void> {
    const arrival = lane.queue()?.[0];
    if (arrival?.for !== "erasure") return;
    arrival.stored = (await this.#parts.sources.personal.stored(subject).catch(() => undefined)) ?? null;
  }

  async #fetchDocument(lane: Lane, digest: Digest): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        const bytes = await this.#parts.documents.get(digest);
        lane.documents.set(digest, bytes);
        const { document } = readStored(bytes);
        if (document?.kind === "tool") this.#parts.sources.registry.rememberTool(digest, document.value);
        break;
      } catch (error) {
        if (error instanceof DocumentMissing || error instanceof DocumentCorrupt) {
          lane.documents.set(digest, null);
          break;
        }
        this.#parts.log.warn({ digest, error: String(error) }, "a document cannot be read");
        await pause(Math.min(2000, 100 * attempt));
      }
    }
  }

  #unless(error: unknown): void {
    if (error instanceof Stopped || this.#stopped) return;
    this.#parts.log.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, "an unexpected error");
  }
}

/**
 * Timers of one name are one message: an owner that was cut off and arms an old one late takes the newer one's place.
 * The one that it armed is let go where it is the one that is owed, as by a run that is paused.
 */
function replaced(debt: Owed & { readonly kind: "timer" }, stray: DueInput): boolean {
  return debt.name === stray.timer && debt.armed !== stray.armed;
}

/** Whether it grants a claim. */
function claims({ done }: Turn): boolean {
  return done.some(({ grant }) => grant?.grant.verdict === "granted");
}
