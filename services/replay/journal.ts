/** Replays and verifies what a journal holds: one aggregate, or everything. */
import type { AggregateKind, Digest, Namespace } from "../../schemas/ids.ts";
import { type LogAddress, parseLog, patterns, subjects } from "../../schemas/subjects.ts";
import { EventMalformed, type JournalEvent, decodeEvent } from "../bus/commit.ts";
import type { StoredMessage, StreamReader } from "../bus/journal.ts";
import { governingDigests } from "./documents.ts";
import { type Bench, type JudgeReport, Rejudge } from "./judge.ts";
import { ChainVerifier, type ReplayReport, Replayer, type VerifyReport } from "./replay.ts";
import { stateHash } from "./state-hash.ts";
import { openFirst, type OpenedEvent } from "./strict.ts";
import { withheldOf } from "./withheld.ts";

export interface Checked {
  readonly replay: ReplayReport;
  readonly verify: VerifyReport;
  /** Of the state that its events amount to; none where they are not all identical. */
  readonly state_hash?: Digest;
  /** Of runs, when they were judged again. */
  readonly judge?: JudgeReport;
}

export type Messages = AsyncIterable<StoredMessage> | Iterable<StoredMessage>;

/** One aggregate; undefined when the journal has none of that name. */
export async function checkAggregate(journal: StreamReader, ns: Namespace, kind: AggregateKind, name: string): Promise<Checked | undefined> {
  const [checked] = await checkMessages(ns, journal.read({ subject: subjects.log(ns, kind, name) }));
  return checked;
}

/** Every aggregate of the namespace, in the order of its first event. */
export function checkAll(journal: StreamReader, ns: Namespace): Promise<Checked[]> {
  return checkMessages(ns, journal.read({ subject: patterns.log(ns), pageSize: 2000 }));
}

/** Any sequence of stored messages in stream order: a journal, a copy of it, an export. */
export async function checkMessages(ns: Namespace, messages: Messages, bench?: Bench): Promise<Checked[]> {
  const checks = new Checks(ns, bench);
  for await (const message of messages) {
    const pending = checks.take(message);
    if (pending !== undefined) await pending;
  }
  return checks.concluded();
}

/** What shows at one message: where its aggregate parts from what it should be. */
export interface Found {
  readonly kind: AggregateKind;
  readonly name: string;
  readonly checked: Checked;
}

/** Checks messages of many aggregates as they come. */
export class Checks {
  readonly #ns: Namespace;
  readonly #bench: Bench | undefined;
  readonly #checks = new Map<string, Check>();

  /** @param bench judges every proposal again; without it recorded verdicts are believed */
  constructor(ns: Namespace, bench?: Bench) {
    this.#ns = ns;
    this.#bench = bench;
  }

  get aggregates(): number {
    return this.#checks.size;
  }

  /**
   * Takes the next message in stream order. Await what it returns: the documents that it was judged by are fetched
   * first, and nothing is returned, and no turn of the event loop lost, when there are none.
   * @throws ReadError
   */
  take(message: StoredMessage): Promise<void> | undefined {
    const check = this.#of(message);
    if (check === undefined || check.broken !== undefined) return undefined;
    const withheld = withheldOf(message);
    if (withheld !== undefined) {
      eachAlone(check);
      check.slow = true;
      const event = decoded(check, message);
      if (event === undefined) return undefined;
      check.verify.push(event, withheld.link);
      check.replay.withhold();
      return undefined;
    }
    if (check.open.length === 0) {
      check.first = check.slow ? undefined : openFirst(message.data);
      if (check.first === undefined) return this.#alone(check, message);
      const { body } = check.first;
      check.open.push(message);
      const digests = this.#bench === undefined ? [] : governingDigests({ body });
      if (digests.length > 0) return this.#bench?.library.fetch(digests).then(() => whole(check));
    } else check.open.push(message);
    whole(check);
    return undefined;
  }

  /** An event of which it is not known what follows, or that is no event. */
  #alone(check: Check, message: StoredMessage): Promise<void> | undefined {
    const event = decoded(check, message);
    if (event === undefined) return undefined;
    const digests = this.#bench === undefined ? [] : governingDigests(event);
    if (digests.length > 0) return this.#bench?.library.fetch(digests).then(() => push(check, event));
    push(check, event);
    return undefined;
  }

  /**
   * The aggregate of this message, the first time that something is wrong with it. A commit that goes on in a later
   * message is none yet.
   */
  fresh(message: StoredMessage): Found | undefined {
    const check = this.#checks.get(message.subject);
    if (check === undefined || check.told) return undefined;
    const wrong = check.broken ?? check.replay.difference ?? check.verify.fault ?? check.judge?.report.differences[0];
    if (wrong === undefined) return undefined;
    check.told = true;
    const checked = concluded(check);
    return { kind: checked.replay.kind, name: checked.replay.name, checked };
  }

  /** Proposals that nobody can judge again, as far as anything was judged: their subject was erased, or a document is missing. */
  get unjudged(): { readonly erased: number; readonly unknown: number } {
    let [erased, unknown] = [0, 0];
    for (const { judge } of this.#checks.values()) {
      const report = judge?.report;
      erased += report?.erased.length ?? 0;
      unknown += report?.unknown.length ?? 0;
    }
    return { erased, unknown };
  }

  concluded(): Checked[] {
    return [...this.#checks.values()].map(concluded);
  }

  #of({ subject }: StoredMessage): Check | undefined {
    const known = this.#checks.get(subject);
    if (known !== undefined) return known;
    const address = parseLog(subject);
    if (address === undefined) return undefined;
    const { kind, name } = address;
    const judge = kind === "run" && this.#bench !== undefined ? new Rejudge(this.#bench) : undefined;
    const replay = new Replayer(this.#ns, kind, name, judge && { before: judge.before });
    const check: Check = { replay, verify: new ChainVerifier(kind, name), judge, open: [], first: undefined, slow: false, broken: this.#twice(address), told: false };
    this.#checks.set(subject, check);
    return check;
  }

  /** A run has one place for life: one that stands in two segments of the journal was started twice. */
  #twice({ kind, name, segment }: LogAddress): Check["broken"] {
    for (let before = 1; kind === "run" && before < segment; before++) {
      if (this.#checks.has(subjects.log(this.#ns, kind, name, before))) return { streamSeq: 0, why: `it stands in segment ${before} of the journal too` };
    }
    return undefined;
  }
}

interface Check {
  readonly replay: Replayer;
  readonly verify: ChainVerifier;
  readonly judge: Rejudge | undefined;
  /** A commit of which more is to come, and its first event. */
  readonly open: StoredMessage[];
  first: OpenedEvent | undefined;
  /** Something is not as it should be: each event is looked at alone from now on. */
  slow: boolean;
  /** A message that is no event at all. */
  broken: { readonly streamSeq: number; readonly why: string } | undefined;
  told: boolean;
}

/** When all of a commit is there it is proved at once, or each of its events is looked at. */
function whole(check: Check): void {
  const { open, first, replay, verify } = check;
  if (first === undefined || open.length < first.body.part[1]) return;
  check.first = undefined;
  if (verify.fault === undefined && replay.proves(first, open)) {
    verify.proved(replay.head);
    open.length = 0;
  } else eachAlone(check);
}

function eachAlone(check: Check): void {
  if (check.open.length > 0) check.slow = true;
  for (const message of check.open.splice(0)) {
    if (check.broken !== undefined) return;
    const event = decoded(check, message);
    if (event !== undefined) push(check, event);
  }
}

function decoded(check: Check, message: StoredMessage): JournalEvent | undefined {
  try {
    return decodeEvent(message);
  } catch (error) {
    if (!(error instanceof EventMalformed)) throw error;
    check.broken = { streamSeq: message.seq, why: error.message };
    return undefined;
  }
}

function push({ verify, replay }: Check, event: JournalEvent): void {
  verify.push(event);
  replay.push(event);
}

function concluded(check: Check): Checked {
  // the rest of the last commit is not there
  eachAlone(check);
  const { replay, verify, judge, broken } = check;
  const judged = judge && { judge: judge.report };
  const { events, identical } = replay.report;
  const folded = events === identical && replay.state !== undefined ? { state_hash: stateHash(replay.state) } : undefined;
  if (broken === undefined) return { replay: replay.report, verify: verify.report, ...folded, ...judged };
  const seq = verify.report.events + 1;
  return {
    replay: { ...replay.report, difference: replay.report.difference ?? { seq, field: "event", recorded: broken.why, computed: "an event" } },
    verify: { ...verify.report, fault: verify.report.fault ?? { seq, ...broken } },
    ...judged,
  };
}
