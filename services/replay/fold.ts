/**
 * Folding: the state that stored events amount to. The machines are run again over the recorded inputs and facts;
 * a journal that they do not reproduce is not folded but refused.
 */
import { chainOf } from "../../machines/chain.ts";
import type { RunInput } from "../../machines/decide.ts";
import type { ErasureState } from "../../machines/erasure.ts";
import type { GuardState } from "../../machines/guard.ts";
import type { LedgerState } from "../../machines/ledger.ts";
import { type DocumentKind, type DocumentState } from "../../machines/registry.ts";
import type { SegmentsInput, SegmentsState } from "../../machines/segments.ts";
import type { Change, RunState } from "../../machines/state.ts";
import { type MachineVersion, machineVersion } from "../../machines/versions.ts";
import type { Cause, EventBody, EventDraft, Premise } from "../../schemas/event.ts";
import type { AppliedFacts, ErasureFacts, Facts, GuardFacts, LedgerFacts, SegmentsFacts } from "../../schemas/facts.ts";
import type { Actor, AggregateKind, Digest, LedgerName, Namespace, RunId } from "../../schemas/ids.ts";
import type { GuardControl, RecordedErasure, SignalInput } from "../../schemas/inputs.ts";
import type { CommitContent, JournalEvent } from "../bus/commit.ts";

/** The machines do not compute what the journal holds. */
export class Diverged extends Error {
  override readonly name = "Diverged";
  readonly seq: number;
  constructor(seq: number, message: string) {
    super(message);
    this.seq = seq;
  }
}

/** No program of this release can drive a run of that version. */
export class MachineMissing extends Error {
  override readonly name = "MachineMissing";
  readonly machine: string;
  constructor(machine: string) {
    super(`this release has no machine version \`${machine}\``);
    this.machine = machine;
  }
}

/** Events of one input. `complete` is false for a commit of which the journal holds only the beginning. */
export interface StoredCommit {
  readonly events: readonly JournalEvent[];
  readonly first: EventBody;
  readonly premise: Premise;
  readonly complete: boolean;
}

/** Groups an aggregate's events, in order, into its commits. @throws Diverged when parts do not follow each other */
export function* commits(events: Iterable<JournalEvent>): Generator<StoredCommit> {
  let open: JournalEvent[] = [];
  for (const event of events) {
    const [index, count] = event.body.part;
    const expected = open.length + 1;
    if (index !== expected || (open[0] !== undefined && open[0].body.part[1] !== count)) {
      throw new Diverged(event.body.seq, `event ${event.body.seq} is part ${index} of ${count}, where part ${expected} belongs`);
    }
    open.push(event);
    if (index === count) {
      yield commit(open, true);
      open = [];
    }
  }
  if (open.length > 0) yield commit(open, false);
}

function commit(events: readonly JournalEvent[], complete: boolean): StoredCommit {
  const first = (events[0] as JournalEvent).body;
  const { input, input_hash, facts } = first.data as Partial<Premise>;
  if (input === undefined || input_hash === undefined || facts === undefined) {
    throw new Diverged(first.seq, `event ${first.seq} begins a commit and holds no input`);
  }
  return { events, first, premise: { input, input_hash, facts }, complete };
}

export function inputOf({ first, premise }: StoredCommit): RunInput {
  const { cause } = first;
  return {
    kind: cause.kind as RunInput["kind"],
    actor: cause.actor as Actor,
    id: cause.id,
    time: cause.time,
    traceparent: cause.traceparent,
    hash: premise.input_hash as Digest,
    body: premise.input,
  } as RunInput;
}

export interface Computed {
  readonly drafts: readonly EventDraft[];
  readonly content: CommitContent;
  /** Applies the commit to the state. */
  apply(): void;
  /** Of a run: what it does to the state. */
  readonly change?: Change;
}

export function version(name: string): MachineVersion {
  const found = machineVersion(name);
  if (found === undefined) throw new MachineMissing(name);
  return found;
}

/** An aggregate's folded state, by the machine that drives it. */
export type Driven =
  | { readonly kind: "run"; readonly state: RunState }
  | { readonly kind: "ledger"; readonly state: LedgerState }
  | { readonly kind: "guard"; readonly state: GuardState }
  | { readonly kind: "segments"; readonly state: SegmentsState }
  | { readonly kind: "erasure"; readonly state: ErasureState }
  | { readonly kind: DocumentKind; readonly state: DocumentState };

/**
 * An aggregate before its first event.
 * @param machine name of the version that its events will carry; another one may drive it all the same
 * @throws MachineMissing
 */
export function beginning(ns: Namespace, kind: AggregateKind, name: string, machine: string, by = version(machine)): Driven {
  switch (kind) {
    case "run":
      return { kind, state: by.emptyRun(ns, name as RunId, machine) };
    case "ledger":
      return { kind, state: by.emptyLedger(ns, name as LedgerName, machine) };
    case "guard":
      return { kind, state: by.emptyGuard(ns, name, machine) };
    case "segments":
      return { kind, state: by.emptySegments(ns, name, machine) };
    case "erasure":
      return { kind, state: by.emptyErasure(ns, name, machine) };
    default:
      return { kind, state: by.emptyDocument(ns, kind, name, machine) };
  }
}

/** Runs an aggregate's machine over one recorded commit. @throws Diverged, MachineMissing */
export function recomputed({ kind, state }: Driven, stored: StoredCommit, machine = version(state.machine)): Computed {
  switch (kind) {
    case "run":
      return recompute(state, stored, machine);
    case "ledger":
      return recomputeLedger(state, stored, machine);
    case "guard":
      return recomputeGuard(state, stored, machine);
    case "segments":
      return recomputeSegments(state, stored, machine);
    case "erasure":
      return recomputeErasure(state, stored, machine);
    default:
      return recomputeDocument(state, stored, machine);
  }
}

/**
 * Runs a machine over one recorded commit; that of the state's version, unless another one rehearses.
 * @throws Diverged, MachineMissing
 */
export function recompute(state: RunState, stored: StoredCommit, machine = version(state.machine)): Computed {
  const decision = machine.decide(state, inputOf(stored), stored.premise.facts as Facts);
  if (decision.kind !== "commit") throw notRecorded(stored, decision.kind);
  const { cause } = stored.first;
  return {
    drafts: decision.drafts,
    content: contentOf(stored, decision.drafts, decision.change.at, state.machine, chained(cause, chainAfter(state, decision.change))),
    apply: () => machine.evolve(state, decision.change),
    change: decision.change,
  };
}

export function recomputeDocument(state: DocumentState, stored: StoredCommit, machine = version(state.machine)): Computed {
  const body = stored.premise.input as { document: Digest };
  const decision = machine.decideDocument(state, { ...fromOf(stored), document: body.document }, stored.premise.facts as AppliedFacts);
  return computedFrom(state, stored, decision, (change) => machine.evolveDocument(state, change));
}

function recomputeLedger(state: LedgerState, stored: StoredCommit, machine: MachineVersion): Computed {
  const input = { ...fromOf(stored), body: stored.premise.input as SignalInput };
  const decision = machine.decideLedger(state, input, stored.premise.facts as LedgerFacts);
  return computedFrom(state, stored, decision, (change) => machine.evolveLedger(state, change));
}

function recomputeGuard(state: GuardState, stored: StoredCommit, machine: MachineVersion): Computed {
  const input = { ...fromOf(stored), body: stored.premise.input as GuardControl };
  const decision = machine.decideGuard(state, input, stored.premise.facts as GuardFacts);
  return computedFrom(state, stored, decision, (change) => machine.evolveGuard(state, change));
}

function recomputeSegments(state: SegmentsState, stored: StoredCommit, machine: MachineVersion): Computed {
  const input = { ...fromOf(stored), body: stored.premise.input as SegmentsInput["body"] };
  const decision = machine.decideSegments(state, input, stored.premise.facts as SegmentsFacts);
  return computedFrom(state, stored, decision, (change) => machine.evolveSegments(state, change));
}

function recomputeErasure(state: ErasureState, stored: StoredCommit, machine: MachineVersion): Computed {
  const input = { ...fromOf(stored), body: stored.premise.input as RecordedErasure };
  const decision = machine.decideErasure(state, input, stored.premise.facts as ErasureFacts);
  return computedFrom(state, stored, decision, (change) => machine.evolveErasure(state, change));
}

type Decided<C> = { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: C } | { readonly kind: "duplicate" | "refuse" };

/** Of every aggregate but a run, whose events carry a chain of delegation besides. */
function computedFrom<C extends { readonly at: string }>(
  state: { readonly machine: string },
  stored: StoredCommit,
  decision: Decided<C>,
  evolve: (change: C) => void,
): Computed {
  if (decision.kind !== "commit") throw notRecorded(stored, decision.kind);
  const { drafts, change } = decision;
  return { drafts, content: contentOf(stored, drafts, change.at, state.machine), apply: () => evolve(change) };
}

function fromOf({ first, premise }: StoredCommit) {
  const { actor, id, time } = first.cause;
  return { actor, id, time, hash: premise.input_hash as Digest };
}

function notRecorded({ first }: StoredCommit, answer: string): Diverged {
  return new Diverged(first.seq, `event ${first.seq} was recorded, but the machine answers \`${answer}\``);
}

/**
 * The chain of delegation that the events of a commit carry (ID-3): the run's, as the commit leaves it. A run that was
 * turned away has none but its agent. Version 1 recorded none.
 */
export function chainAfter(state: RunState, change: Change): readonly string[] | undefined {
  if (state.machine === "1") return undefined;
  const chain = chainOf(state, change);
  return chain.length > 0 ? chain : [`agent:${change.set.holder ?? state.holder}`];
}

/** A cause with the chain that belongs to it, and no other. */
export function chained({ chain: _, ...cause }: Cause, chain: readonly string[] | undefined): Cause {
  return chain === undefined ? cause : { ...cause, chain: [...chain] };
}

function contentOf(stored: StoredCommit, drafts: readonly EventDraft[], at: string, machine: string, cause = stored.first.cause): CommitContent {
  return { drafts, at, machine, cause, premise: stored.premise };
}

export interface Folded<S> {
  readonly state: S;
  /** A commit of which only the beginning is stored: the owner completes it with the same bytes (law 1). */
  readonly torn: StoredCommit | undefined;
}

/**
 * Folds an aggregate from all of its events. Undefined when there are none.
 * @param before sees each whole commit on the state that it was decided on
 * @throws Diverged, MachineMissing
 */
export function fold(
  ns: Namespace,
  kind: AggregateKind,
  name: string,
  events: Iterable<JournalEvent>,
  before: (driven: Driven, stored: StoredCommit, computed: Computed) => void = () => undefined,
): Folded<Driven> | undefined {
  let driven: Driven | undefined;
  for (const stored of commits(events)) {
    driven ??= beginning(ns, kind, name, stored.first.machine);
    if (!stored.complete) return { state: driven, torn: stored };
    const computed = recomputed(driven, stored);
    before(driven, stored, computed);
    applyAsRecorded(computed, stored);
  }
  return driven && { state: driven, torn: undefined };
}

/** Folds a run. @throws Diverged, MachineMissing */
export function foldRun(ns: Namespace, run: RunId, events: Iterable<JournalEvent>): Folded<RunState> | undefined {
  const folded = fold(ns, "run", run, events);
  return folded && { state: folded.state.state as RunState, torn: folded.torn };
}

/** Types must agree before a commit is applied; bytes are compared by `replay.ts`, which has the time for it. */
function applyAsRecorded(computed: Computed, stored: StoredCommit): void {
  const { drafts } = computed;
  stored.events.forEach(({ body }, index) => {
    if (body.type !== drafts[index]?.type) {
      throw new Diverged(body.seq, `event ${body.seq} is \`${body.type}\`, but the machine computes \`${drafts[index]?.type ?? "nothing"}\``);
    }
  });
  if (drafts.length !== stored.events.length) {
    throw new Diverged(stored.first.seq, `${stored.events.length} event(s) were recorded, but the machine computes ${drafts.length}`);
  }
  computed.apply();
}
