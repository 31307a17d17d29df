/**
 * Folding: the state that stored events amount to. The machines are run again over the recorded inputs and facts;
 * a journal that they do not reproduce is not folded but refused.
 */
import type { RunInput } from "../../machines/decide.ts";
import { type DocumentKind, type DocumentState } from "../../machines/registry.ts";
import type { RunState } from "../../machines/state.ts";
import { type MachineVersion, machineVersion } from "../../machines/versions.ts";
import type { EventBody, EventDraft, Premise } from "../../schemas/event.ts";
import type { AppliedFacts, Facts } from "../../schemas/facts.ts";
import type { Actor, Digest, Namespace, RunId } from "../../schemas/ids.ts";
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
}

export function version(name: string): MachineVersion {
  const found = machineVersion(name);
  if (found === undefined) throw new MachineMissing(`this release has no machine version \`${name}\``);
  return found;
}

/**
 * Runs a machine over one recorded commit; that of the state's version, unless another one rehearses.
 * @throws Diverged, MachineMissing
 */
export function recompute(state: RunState, stored: StoredCommit, machine = version(state.machine)): Computed {
  const decision = machine.decide(state, inputOf(stored), stored.premise.facts as Facts);
  if (decision.kind !== "commit") {
    throw new Diverged(stored.first.seq, `event ${stored.first.seq} was recorded, but the machine answers \`${decision.kind}\``);
  }
  return {
    drafts: decision.drafts,
    content: contentOf(stored, decision.drafts, decision.change.at, state.machine),
    apply: () => machine.evolve(state, decision.change),
  };
}

export function recomputeDocument(state: DocumentState, stored: StoredCommit, machine = version(state.machine)): Computed {
  const { cause } = stored.first;
  const body = stored.premise.input as { document: Digest };
  const decision = machine.decideDocument(
    state,
    { actor: cause.actor, id: cause.id, time: cause.time, hash: stored.premise.input_hash as Digest, document: body.document },
    stored.premise.facts as AppliedFacts,
  );
  if (decision.kind !== "commit") {
    throw new Diverged(stored.first.seq, `event ${stored.first.seq} was recorded, but the machine answers \`${decision.kind}\``);
  }
  return {
    drafts: decision.drafts,
    content: contentOf(stored, decision.drafts, decision.change.at, state.machine),
    apply: () => machine.evolveDocument(state, decision.change),
  };
}

function contentOf(stored: StoredCommit, drafts: readonly EventDraft[], at: string, machine: string): CommitContent {
  return { drafts, at, machine, cause: stored.first.cause, premise: stored.premise };
}

export interface Folded<S> {
  readonly state: S;
  /** A commit of which only the beginning is stored: the owner completes it with the same bytes (law 1). */
  readonly torn: StoredCommit | undefined;
}

/** Folds a run from all of its events. Undefined when there are none. @throws Diverged, MachineMissing */
export function foldRun(ns: Namespace, run: RunId, events: Iterable<JournalEvent>): Folded<RunState> | undefined {
  let state: RunState | undefined;
  for (const stored of commits(events)) {
    state ??= version(stored.first.machine).emptyRun(ns, run, stored.first.machine);
    if (!stored.complete) return { state, torn: stored };
    applyAsRecorded(recompute(state, stored), stored);
  }
  return state && { state, torn: undefined };
}

export function foldDocument(
  ns: Namespace,
  kind: DocumentKind,
  name: string,
  events: Iterable<JournalEvent>,
): Folded<DocumentState> | undefined {
  let state: DocumentState | undefined;
  for (const stored of commits(events)) {
    state ??= version(stored.first.machine).emptyDocument(ns, kind, name, stored.first.machine);
    if (!stored.complete) return { state, torn: stored };
    applyAsRecorded(recomputeDocument(state, stored), stored);
  }
  return state && { state, torn: undefined };
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
