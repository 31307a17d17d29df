/**
 * Exact replay (CORE-6): the machines of the recorded version are run again over the recorded inputs and facts, and
 * every event that they compute is compared with the stored one, byte for byte. Nothing is asked, nothing is done.
 */
import type { RunState } from "../../machines/state.ts";
import type { MachineVersion } from "../../machines/versions.ts";
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import { type Aggregate, bodyOf, type ChainHead, EMPTY_CHAIN, type JournalEvent, chainLink, decodeEvent, headerFaults } from "../bus/commit.ts";
import { segmentOfSubject, subjects } from "../../schemas/subjects.ts";
import { decode, encode } from "../bus/codec.ts";
import { type Computed, Diverged, type Driven, type StoredCommit, beginning, commits, recomputed, version } from "./fold.ts";
import { sameBytes } from "./same-bytes.ts";
import { type Place, placeOf, sameCommit } from "./same-commit.ts";
import type { OpenedEvent } from "./strict.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { canonicalText } from "../../schemas/canonical.ts";

/** The first place where recorded and computed part. */
export interface Difference {
  readonly seq: number;
  /** Path into the event, as `data.reasons.0.code`; `chain`, `header …` or `event` where it is no field. */
  readonly field: string;
  readonly recorded: unknown;
  readonly computed: unknown;
}

export interface ReplayReport {
  readonly kind: AggregateKind;
  readonly name: string;
  readonly machine: string;
  readonly events: number;
  /** Events proved identical, all of them when there is no difference. */
  readonly identical: number;
  readonly difference: Difference | undefined;
  /** The last event's link, in hex: what the next one would carry as `prev`. */
  readonly head: string;
  /** Events that nobody can compute, because they or what came before them is withheld; absent when there are none. */
  readonly withheld?: number;
}

export interface ReplayOptions {
  /** Drives the aggregate instead of the recorded version; it has to reproduce what the recorded one wrote. */
  readonly machine?: MachineVersion;
  /** False believes the links as they stand: the chain is then for somebody else to verify. Only {@link Replayer.proves} heeds it. */
  readonly links?: boolean;
  /** Sees each of a run's commits before it is applied, with the state that it was decided on; not after a difference. */
  readonly before?: (state: RunState, stored: StoredCommit) => void;
}

/** Replays one aggregate, event by event in order. After a difference everything later is unknown and not compared. */
export class Replayer {
  readonly #aggregate: Aggregate;
  readonly #options: ReplayOptions;
  /** In the segment of the journal in which its first event is: a run has one place for life. */
  #place: Place | undefined;
  #state: Driven | undefined;
  #head: Head = new Head();
  #open: JournalEvent[] = [];
  /** Links of the open events' stored bytes: what follows an event that is identical carries its link. */
  #links: Uint8Array[] = [];
  #events = 0;
  #identical = 0;
  #difference: Difference | undefined;
  #machine = "";
  /** An event was withheld, and with it the state that those after it rest on. */
  #blind = false;

  constructor(ns: Namespace, kind: AggregateKind, name: string, options: ReplayOptions = {}) {
    this.#aggregate = { ns, kind, name };
    this.#options = options;
  }

  /**
   * Takes a whole commit at once, as it is stored. Returns false, and has taken nothing, when it cannot be told so fast
   * that it is identical: {@link push} each event then. Never throws.
   * @param opened its first event
   */
  proves(opened: OpenedEvent, messages: readonly StoredMessage[]): boolean {
    if (this.#difference !== undefined || this.#blind || this.#open.length > 0) return false;
    try {
      const { body } = opened;
      const stored = new WholeCommit(body, messages);
      const computed = this.#recompute(stored);
      const link = sameCommit(this.#placeBy((messages[0] as StoredMessage).subject), this.#head.seq, this.#options.links === false ? undefined : this.#head.link, messages, opened, computed);
      if (link === undefined) return false;
      if (this.#state?.kind === "run") this.#options.before?.(this.#state.state, stored);
      computed.apply();
      this.#head.set(this.#head.seq + messages.length, link);
    } catch {
      return false;
    }
    this.#events += messages.length;
    this.#identical += messages.length;
    return true;
  }

  /** Takes the next event. Returns the difference if this is where it shows. Never throws. */
  push(event: JournalEvent): Difference | undefined {
    this.#events += 1;
    if (this.#difference !== undefined || this.#blind) return undefined;
    const wrongHeader = headerFault(event);
    if (wrongHeader !== undefined) {
      return this.#differs(event.body.seq, `header ${wrongHeader}`, event.headers.get(wrongHeader), "as the body says");
    }
    this.#open.push(event);
    this.#links.push(linkOf(event));
    if (this.#open.length < event.body.part[1]) return undefined;
    const open = this.#open;
    const links = this.#links;
    this.#open = [];
    this.#links = [];
    try {
      return this.#compare(open, links);
    } catch (error) {
      // the whole commit is what was not computed, beginning with its first event
      const named = open.find(({ body }) => error instanceof Diverged && body.seq === error.seq) ?? (open[0] as JournalEvent);
      return this.#differs(named.body.seq, "event", named.body.type, error instanceof Error ? error.message : String(error));
    }
  }

  /** Takes the next event where its bytes are not to be had: neither it nor its commit nor what follows is compared. */
  withhold(): void {
    this.#events += 1;
    this.#blind = true;
    this.#open = [];
    this.#links = [];
  }

  get report(): ReplayReport {
    const { kind, name } = this.#aggregate;
    const torn = this.#open[0];
    const difference =
      this.#difference ??
      (torn && { seq: torn.body.seq, field: "event", recorded: `${this.#open.length} part(s)`, computed: `${torn.body.part[1]} part(s)` });
    return {
      kind,
      name,
      machine: this.#machine,
      events: this.#events,
      identical: this.#identical,
      difference,
      head: this.#head.hex,
      ...(this.#blind && { withheld: this.#events - this.#identical }),
    };
  }

  /** Where the chain stands behind the last identical event. */
  get head(): Readonly<Head> {
    return this.#head;
  }

  /** Where it differs; unlike in the report, a commit of which more may come is none. */
  get difference(): Difference | undefined {
    return this.#difference;
  }

  /** The state after the last event that was identical; undefined before the first. */
  get state(): Driven["state"] | undefined {
    return this.#state?.state;
  }

  #compare(events: readonly JournalEvent[], links: readonly Uint8Array[]): Difference | undefined {
    const [stored] = [...commits(events)] as [StoredCommit];
    const computed = this.#recompute(stored);
    const { drafts } = computed;
    let head: ChainHead = this.#head;
    for (const [index, event] of events.entries()) {
      if (index >= drafts.length) return this.#differs(event.body.seq, "event", event.body.type, "nothing");
      const expected = bodyOf(this.#aggregate, head, computed.content, index);
      const { subject } = this.#placeBy(event.subject);
      if (event.subject !== subject) return this.#differs(event.body.seq, "subject", event.subject, subject);
      if (!sameBytes(expected, event.data)) {
        const bytes = encode(expected);
        if (Buffer.compare(event.data, bytes) !== 0) return this.#differsIn(event, bytes);
      }
      this.#identical += 1;
      head = { seq: expected.seq, prev: links[index] as Uint8Array };
    }
    if (drafts.length > events.length) {
      const extra = drafts[events.length];
      return this.#differs(stored.first.seq + events.length, "event", "nothing", extra?.type);
    }
    if (this.#state?.kind === "run") this.#options.before?.(this.#state.state, stored);
    computed.apply();
    this.#head.at(head);
    return undefined;
  }

  /** @param first subject of its first event; of a later one it is not looked at */
  #placeBy(first: string): Place {
    if (this.#place !== undefined) return this.#place;
    const { ns, kind, name } = this.#aggregate;
    return (this.#place = placeOf(ns, name, subjects.log(ns, kind, name, kind === "run" ? segmentOfSubject(first) : 1)));
  }

  #recompute(stored: StoredCommit): Computed {
    const { ns, kind, name } = this.#aggregate;
    this.#machine ||= stored.first.machine;
    const machine = this.#options.machine ?? version(this.#machine);
    // it keeps the recorded version's name whoever drives it: the name is part of the bytes that are compared
    this.#state ??= beginning(ns, kind, name, this.#machine, machine);
    return recomputed(this.#state, stored, machine);
  }

  #differsIn(event: JournalEvent, computed: Uint8Array): Difference {
    const first = firstDifference(event.body, decode(computed), "");
    if (first !== undefined) return this.#differs(event.body.seq, first.field, first.recorded, first.computed);
    return this.#differs(event.body.seq, "encoding", `${event.data.length} bytes`, `${computed.length} bytes`);
  }

  #differs(seq: number, field: string, recorded: unknown, computed: unknown): Difference {
    return (this.#difference = { seq, field, recorded, computed });
  }
}

/** Where a chain stands; its link as bytes, or as so many characters, whichever was asked for or set last. */
class Head implements ChainHead {
  #seq = 0;
  #prev: Uint8Array | undefined = EMPTY_CHAIN.prev;
  #link: string | undefined;

  get seq(): number {
    return this.#seq;
  }
  get prev(): Uint8Array {
    return (this.#prev ??= Buffer.from(this.#link ?? "", "latin1"));
  }
  get link(): string {
    return (this.#link ??= Buffer.from(this.#prev ?? []).toString("latin1"));
  }
  get hex(): string {
    return Buffer.from(this.prev).toString("hex");
  }
  set(seq: number, link: string): void {
    this.#seq = seq;
    this.#link = link;
    this.#prev = undefined;
  }
  at({ seq, prev }: ChainHead): void {
    this.#seq = seq;
    this.#prev = prev;
    this.#link = undefined;
  }
}

/** A commit of whose events only the first was decoded. */
class WholeCommit implements StoredCommit {
  readonly first: StoredCommit["first"];
  readonly premise: StoredCommit["premise"];
  readonly complete = true;
  readonly #messages: readonly StoredMessage[];

  constructor(first: StoredCommit["first"], messages: readonly StoredMessage[]) {
    this.first = first;
    this.premise = first.data as unknown as StoredCommit["premise"];
    this.#messages = messages;
  }
  get events(): readonly JournalEvent[] {
    return this.#messages.map((message) => new Unread(message));
  }
}

/** A stored event that is decoded only when somebody asks for what it says. */
class Unread implements JournalEvent {
  readonly #message: StoredMessage;
  #body: JournalEvent["body"] | undefined;

  constructor(message: StoredMessage) {
    this.#message = message;
  }
  get subject(): string {
    return this.#message.subject;
  }
  get data(): Uint8Array {
    return this.#message.data;
  }
  get headers(): StoredMessage["headers"] {
    return this.#message.headers;
  }
  get streamSeq(): number {
    return this.#message.seq;
  }
  get storedAt(): number {
    return this.#message.time;
  }
  get body(): JournalEvent["body"] {
    return (this.#body ??= decodeEvent(this.#message).body);
  }
}

/** Replay and verification ask the same of an event one after the other: it is hashed, and its headers read, once. */
let asked: JournalEvent | undefined;
let link: Uint8Array = EMPTY_CHAIN.prev;
let header: string | undefined;

function ask(event: JournalEvent): void {
  if (asked === event) return;
  link = chainLink(event.subject, event.data);
  header = headerFaults(event)[0];
  asked = event;
}

function linkOf(event: JournalEvent): Uint8Array {
  ask(event);
  return link;
}

/** The first header that does not say what the body says. */
function headerFault(event: JournalEvent): string | undefined {
  ask(event);
  return header;
}

/** Fields in the order of their names, so that the same difference is always the first. */
function firstDifference(recorded: unknown, computed: unknown, field: string): Omit<Difference, "seq"> | undefined {
  if (recorded instanceof Uint8Array && computed instanceof Uint8Array) {
    if (Buffer.compare(recorded, computed) === 0) return undefined;
    return { field, recorded: Buffer.from(recorded).toString("hex"), computed: Buffer.from(computed).toString("hex") };
  }
  const bothObjects = typeof recorded === "object" && typeof computed === "object" && recorded !== null && computed !== null;
  if (!bothObjects) return Object.is(recorded, computed) ? undefined : { field, recorded, computed };
  const keys = [...new Set([...Object.keys(recorded), ...Object.keys(computed)])].sort();
  for (const key of keys) {
    const path = field === "" ? key : `${field}.${key}`;
    const found = firstDifference((recorded as Record<string, unknown>)[key], (computed as Record<string, unknown>)[key], path);
    if (found !== undefined) return found;
  }
  return undefined;
}

export interface VerifyReport {
  readonly kind: AggregateKind;
  readonly name: string;
  readonly events: number;
  readonly head: string;
  /** Events whose bytes are not to be had: of these their recorded links are followed; absent when there are none. */
  readonly withheld?: number;
  /** The first event that breaks the chain, and how. */
  readonly fault: { readonly seq: number; readonly streamSeq: number; readonly why: string } | undefined;
}

/** Checks the hash chain of one aggregate over stored bytes, and the headers against the bodies (law 7). */
export class ChainVerifier {
  readonly #kind: AggregateKind;
  readonly #name: string;
  readonly #head = new Head();
  #fault: VerifyReport["fault"];
  #withheld = 0;
  /** The event before, where it or the next one is withheld. */
  #before: { readonly body: JournalEvent["body"]; readonly withheld: boolean } | undefined;

  constructor(kind: AggregateKind, name: string) {
    this.#kind = kind;
    this.#name = name;
  }

  /** @param recorded its link, where the event is withheld and its own bytes are not to be had */
  push(event: JournalEvent, recorded?: Uint8Array): void {
    if (this.#fault !== undefined) return;
    const { body } = event;
    const withheld = recorded !== undefined;
    const why = this.#faultOf(event) ?? (withheld || this.#before?.withheld === true ? this.#strangers(body) : undefined);
    const { seq } = body;
    this.#before = { body, withheld };
    if (why !== undefined) this.#fault = { seq, streamSeq: event.streamSeq, why };
    else this.#head.at({ seq, prev: recorded ?? linkOf(event) });
    if (withheld) this.#withheld += 1;
  }

  /** Events that replay proved byte for byte, their links with them: the chain stands now where replay's does. */
  proved({ seq, link }: Readonly<Head>): void {
    this.#before = undefined;
    this.#head.set(seq, link);
  }

  get fault(): VerifyReport["fault"] {
    return this.#fault;
  }

  get report(): VerifyReport {
    return { kind: this.#kind, name: this.#name, events: this.#head.seq, head: this.#head.hex, ...(this.#withheld > 0 && { withheld: this.#withheld }), fault: this.#fault };
  }

  /** Events of one commit have one cause and one time; of a withheld one nothing else holds these. */
  #strangers(body: JournalEvent["body"]): string | undefined {
    const before = this.#before?.body;
    if (before === undefined || body.part[0] === 1) return undefined;
    const common = ({ at, cause, machine, part }: JournalEvent["body"]) => canonicalText({ at, cause: cause as never, machine, parts: part[1] });
    return body.part[0] === before.part[0] + 1 && common(body) === common(before) ? undefined : `its time, cause or part are not those of event ${before.seq}, which it was recorded with`;
  }

  #faultOf(event: JournalEvent): string | undefined {
    const { body } = event;
    if (body.run !== this.#name) return `it names \`${body.run}\``;
    if (body.seq !== this.#head.seq + 1) return `event ${body.seq} follows event ${this.#head.seq}`;
    if (Buffer.compare(body.prev, this.#head.prev) !== 0) return `its link is not the hash of event ${this.#head.seq}`;
    const wrong = headerFault(event);
    return wrong === undefined ? undefined : `header \`${wrong}\` is not what the body says`;
  }
}
