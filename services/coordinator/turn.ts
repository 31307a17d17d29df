/**
 * One lane's turn: its waiting inputs are decided in order on its folded state, and sealed into what the next batch
 * appends. Whatever can throw for one input is caught here, for that input, before the batch is built.
 */
import { answerTo, touched } from "../../machines/answers.ts";
import type { RunInput } from "../../machines/decide.ts";
import type { DocumentState } from "../../machines/registry.ts";
import type { Change, RunState } from "../../machines/state.ts";
import { type MachineVersion, machineVersion } from "../../machines/versions.ts";
import type { Answer } from "../../schemas/answer.ts";
import { GRANT_WITHHELD, type Grant } from "../../schemas/dispatch.ts";
import type { EventDraft } from "../../schemas/event.ts";
import type { Facts, GuardHit } from "../../schemas/facts.ts";
import type { ActionId, Actor, Digest } from "../../schemas/ids.ts";
import type { DueInput, ReportInput, SignalInput } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type SealedEvent, seal } from "../bus/commit.ts";
import { chainAfter } from "../replay/fold.ts";
import type { Loaded } from "./aggregates.ts";
import type { Arrival } from "./arrival.ts";
import { type FactSources, type Lookups, Needs, Unbelieved, appliedFacts, fetching, gatherFacts, guardHit } from "./facts.ts";
import type { Lane } from "./lanes.ts";
import { ledgerFacts } from "./ledger-facts.ts";

/** What became of one input, told to its sender once the turn is stored. */
export interface Done {
  readonly arrival: Arrival;
  /** Reasons of a refusal; it leaves a record in REJECTED. */
  readonly refused: readonly Reason[] | undefined;
  /** A gateway is told what its report amounts to. */
  readonly grant: { readonly gateway: Actor; readonly grant: Grant } | undefined;
  /** A ledger's answer to the run that asked. */
  readonly reply?: SignalInput;
}

export interface Turn {
  readonly lane: Lane;
  /** The fence: last sequence of the subject before these events. */
  readonly expected: number;
  readonly events: readonly SealedEvent[];
  readonly done: readonly Done[];
  /** Keys of the proposals whose sender is told how they stand. */
  readonly answers: ReadonlySet<string>;
  /** The run's life changed by somebody else's word: its agent is told. */
  readonly news: boolean;
  /** Documents that this turn put in force. */
  readonly applied: readonly Digest[];
  /** Timers that fired and were not the ones that the run waits for: whoever armed one late took the newer one's place. */
  readonly strays: readonly DueInput[];
  /** What must be fetched or verified before the lane's next input can be decided. */
  readonly needs: Needs["what"] | undefined;
  /** Something threw: the state is folded again before the next turn. */
  readonly reload: boolean;
}

/** Inputs of one aggregate in one commit batch; the rest wait for the next. */
const MAX_INPUTS = 32;
/** An input at which the plane failed so often is refused, recorded, and does not hold up the others. */
const MAX_TRIES = 3;

interface Open {
  readonly events: SealedEvent[];
  readonly done: Done[];
  readonly answers: Set<string>;
  readonly applied: Digest[];
  readonly strays: DueInput[];
  news: boolean;
}

/** @param room events that the batch still takes; a single commit may exceed it */
export function takeTurn(sources: FactSources, lane: Lane, loaded: Loaded, room: number): Turn {
  const open: Open = { events: [], done: [], answers: new Set(), applied: [], strays: [], news: false };
  const expected = loaded.streamSeq;
  const lookups: Lookups = { ...sources, fetched: (digest) => lane.documents.get(digest) };
  const limit = lane.careful > 0 ? 1 : MAX_INPUTS;
  let needs: Turn["needs"];
  let reload = false;
  for (let inputs = 0; inputs < limit && open.events.length < room; inputs++) {
    const queue = lane.queue();
    const arrival = queue?.[0];
    if (queue === undefined || arrival === undefined) break;
    try {
      decideOne(lookups, loaded, arrival, open);
    } catch (error) {
      if (error instanceof Needs) {
        needs = error.what;
        break;
      }
      if (error instanceof Unbelieved) {
        open.done.push(refusal(arrival, error.reasons));
        queue.shift();
        continue;
      }
      reload = true;
      if (++arrival.tries < MAX_TRIES) break;
      open.done.push(refusal(arrival, [reason("plane.failed", `the plane failed at this input: ${error instanceof Error ? error.message : String(error)}`)]));
    }
    queue.shift();
    if (reload) break;
  }
  return { lane, expected, ...open, needs, reload };
}

function refusal(arrival: Arrival, refused: readonly Reason[], seq = 0): Done {
  return { arrival, refused, grant: grantFor(arrival, "refused", seq, refused[0]?.code) };
}

/** Decides, seals, and only then changes the loaded state: a throw leaves everything as it was. */
function decideOne(sources: Lookups, loaded: Loaded, arrival: Arrival, open: Open): void {
  const machine = machineVersion(loaded.state.machine);
  if (machine === undefined) throw new Error(`machine version \`${loaded.state.machine}\` is missing`);
  const revoked = revokedSender(sources, arrival);
  if (revoked !== undefined) {
    const why = reason("actor.revoked", `\`${arrival.actor}\` is ${revoked.kind === "disabled" ? "disabled" : "revoked"}: ${revoked.reason}`, { help: `\`${revoked.scope}\`` });
    open.done.push(refusal(arrival, [why], loaded.head.seq));
    return;
  }
  switch (arrival.for) {
    case "run":
      if (loaded.kind !== "run") break;
      return decideRun(sources, machine, loaded, arrival, open);
    case "ledger":
      if (loaded.kind !== "ledger") break;
      return decideLedger(sources, machine, loaded, arrival, open);
    case "guard":
      if (loaded.kind !== "guard") break;
      return decideGuard(sources, machine, loaded, arrival, open);
    case "segments":
      if (loaded.kind !== "segments") break;
      return decideSegments(sources, machine, loaded, arrival, open);
    case "erasure":
      if (loaded.kind !== "erasure") break;
      return decideErasure(sources, machine, loaded, arrival, open);
    case "document":
      if (loaded.kind === "run" || loaded.kind === "ledger" || loaded.kind === "guard" || loaded.kind === "erasure" || loaded.kind === "segments") break;
      return decideDocument(sources, machine, loaded, arrival, open);
  }
  throw new Error(`an input for a ${arrival.for} came to a ${loaded.kind}`);
}

/** Somebody revoked says nothing more, also not what they sent before and nobody has read yet (law 9). */
function revokedSender({ guard, people }: FactSources, { kind, actor }: Arrival): GuardHit | undefined {
  switch (kind) {
    case "propose":
      return guard.revokedAgent(actor);
    case "decide":
    case "control":
    case "apply":
      return guard.person(actor) ?? people.silenced(actor);
    default:
      return undefined;
  }
}

type Of<K extends Loaded["kind"]> = Extract<Loaded, { readonly kind: K }>;
type For<K extends Arrival["for"]> = Extract<Arrival, { readonly for: K }>;

function decideDocument(sources: Lookups, machine: MachineVersion, loaded: Loaded & { readonly state: DocumentState }, arrival: For<"document">, open: Open): void {
  const { state } = loaded;
  const { id, document } = arrival.input;
  const facts = appliedFacts(sources, loaded.ns, arrival.documentKind, arrival.name, arrival.input);
  const decision = machine.decideDocument(state, arrival.input, facts);
  if (!settled(loaded, arrival, decision, { id, document }, facts, (change) => machine.evolveDocument(state, change), open)) return;
  if (decision.kind === "commit") open.applied.push(document);
  open.done.push({ arrival, refused: undefined, grant: undefined });
}

function decideLedger(sources: Lookups, machine: MachineVersion, loaded: Of<"ledger">, arrival: For<"ledger">, open: Open): void {
  const { state } = loaded;
  const { input } = arrival;
  const facts = ledgerFacts(sources.registry, state.name, input.body);
  const decision = machine.decideLedger(state, input, facts);
  if (!settled(loaded, arrival, decision, input.body, facts, (change) => machine.evolveLedger(state, change), open)) return;
  // whoever asks again did not hear, or its owner died before it could
  if (decision.kind !== "refuse") open.done.push({ arrival, refused: undefined, grant: undefined, reply: decision.reply });
}

function decideGuard(sources: Lookups, machine: MachineVersion, loaded: Of<"guard">, arrival: For<"guard">, open: Open): void {
  const { state } = loaded;
  const { input } = arrival;
  const facts = { kind: "guard" as const, person: sources.people.facts(input.actor) };
  const decision = machine.decideGuard(state, input, facts);
  if (!settled(loaded, arrival, decision, input.body, facts, (change) => machine.evolveGuard(state, change), open)) return;
  open.done.push({ arrival, refused: undefined, grant: undefined });
}

function decideSegments({ placement }: Lookups, machine: MachineVersion, loaded: Of<"segments">, arrival: For<"segments">, open: Open): void {
  const facts = placement?.facts(arrival) ?? { kind: "segments" as const, streams: 1, lead_ms: 0 };
  const decision = machine.decideSegments(loaded.state, arrival.input, facts);
  if (settled(loaded, arrival, decision, arrival.input.body, facts, (change) => machine.evolveSegments(loaded.state, change), open)) open.done.push({ arrival, refused: undefined, grant: undefined });
}

function decideErasure(sources: Lookups, machine: MachineVersion, loaded: Of<"erasure">, arrival: For<"erasure">, open: Open): void {
  const { state } = loaded;
  if (sources.personal.keys === undefined) {
    open.done.push(refusal(arrival, [reason("erasure.no_keys", "this coordinator was started without the plane's key for personal data")]));
    return;
  }
  const input = sources.personal.erasure(arrival.input);
  // its name goes into the facts, and what is in memory may be an older one
  if (input.body.verb === "erase" && arrival.stored === undefined) throw new Needs({ stored: input.body.subject });
  const facts = { kind: "erasure" as const, ...(arrival.stored != null && { key: arrival.stored }) };
  const decision = machine.decideErasure(state, input, facts);
  if (!settled(loaded, arrival, decision, input.body, facts, (change) => machine.evolveErasure(state, change), open, input.hash)) return;
  open.done.push({ arrival, refused: undefined, grant: undefined });
}

type Decided<C> =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: C }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

/** Seals and applies what was decided of any aggregate but a run. False when it was refused, which is then done with. */
function settled<C extends { readonly at: string }>(
  loaded: Loaded,
  arrival: Arrival,
  decision: Decided<C>,
  body: unknown,
  facts: Facts,
  evolve: (change: C) => void,
  open: Open,
  hash?: Digest,
): boolean {
  if (decision.kind === "refuse") {
    open.done.push(refusal(arrival, decision.reasons));
    return false;
  }
  if (decision.kind === "commit") {
    append(loaded, arrival, decision.drafts, decision.change.at, body as JsonValue, facts, open, undefined, hash);
    evolve(decision.change);
  }
  return true;
}

function decideRun(sources: Lookups, machine: MachineVersion, loaded: Of<"run">, arrival: For<"run">, open: Open): void {
  const { state } = loaded;
  // from here on nobody sees what is personal in it
  const input = sources.personal.seal(state, arrival.input, arrival.message, fetching(sources));
  const stopped = stoppedBefore(sources, state, input);
  if (stopped !== undefined) {
    open.done.push(refusal(arrival, [stopReason(stopped)], state.seq));
    return;
  }
  const facts = gatherFacts(sources, state, input, arrival);
  const decision = machine.decide(state, input, facts);
  switch (decision.kind) {
    case "refuse":
      open.done.push(refusal(arrival, decision.reasons, state.seq));
      return;
    case "ignore":
      retell(loaded, input, open);
      if (input.kind === "due") open.strays.push(input.body);
      open.done.push({ arrival, refused: undefined, grant: undefined });
      return;
    case "duplicate":
      if (input.kind === "propose") open.answers.add(`${input.actor}/${input.id}`);
      else retell(loaded, input, open);
      // whoever repeats a report may have died before the agent was told
      if (input.kind === "report") addAnswerOf(state, input, open);
      open.done.push({ arrival, refused: undefined, grant: verdictOf(arrival, state) });
      return;
    case "commit": {
      if (loaded.head.seq === 0) sources.placement?.place(loaded, input.time);
      const before = state.life.value;
      const chain = chainAfter(state, decision.change);
      append(loaded, arrival, decision.drafts, decision.change.at, input.body as unknown as JsonValue, facts, open, chain, input.hash);
      const told = begunOf(state, decision.change);
      machine.evolve(state, decision.change);
      for (const key of touched(state, decision.change)) if (!told.has(key)) open.answers.add(key);
      // an agent's own `finish` or `fail` has an answer of its own
      open.news ||= state.life.value !== before && input.kind !== "propose";
      open.done.push({ arrival, refused: undefined, grant: verdictOf(arrival, state) });
    }
  }
}

/**
 * Proposals whose action only began: their agents were told that it is approved when it was dispatched, and hear the
 * same again when it has ended. Who asks is answered all the same.
 */
function begunOf(state: RunState, change: Change): ReadonlySet<string> {
  let begun: Set<string> | undefined;
  for (const [id, { value, context }] of change.actions) {
    if (value !== "started" || state.actions.get(id)?.value !== "dispatched" || change.proposals.size > 0) continue;
    begun ??= new Set();
    begun.add(`${context.agent}/${context.proposal}`);
  }
  return begun ?? NONE;
}
const NONE: ReadonlySet<string> = new Set();

/** Whoever owned the run before may have died between its commit and its answers. */
function retell({ recent }: Loaded, input: RunInput, open: Open): void {
  const told = recent.of(input);
  if (told === undefined) return;
  for (const key of told.keys) open.answers.add(key);
  open.news ||= told.news;
}

/** A machine that knows nothing of stops is not asked what one covers. */
function stoppedBefore(sources: FactSources, state: RunState, input: RunInput): GuardHit | undefined {
  if (state.machine !== "1" || state.inputs.has(`${input.kind}/${input.actor}/${input.id}`)) return undefined;
  if (input.kind === "propose" && input.body.kind === "tool") return guardHit(sources, state, input.body.tool);
  if (input.kind !== "report" || input.body.status !== "started") return undefined;
  return guardHit(sources, state, state.actions.get(input.body.action)?.context.tool);
}

function stopReason({ scope, reason: why }: GuardHit): Reason {
  return reason("guard.stopped", `\`${scope}\` is stopped: ${why}`);
}

/**
 * A grant as it may go out: once more, whatever was recorded meanwhile, nothing starts that is stopped (GUARD-9). The
 * claim stays in the journal; its holder was never told to act, and says so.
 */
export function guarded(sources: FactSources, loaded: Loaded, grant: NonNullable<Done["grant"]>): NonNullable<Done["grant"]> {
  if (grant.grant.verdict !== "granted" || loaded.kind !== "run") return grant;
  const hit = guardHit(sources, loaded.state, loaded.state.actions.get(grant.grant.action as ActionId)?.context.tool);
  return hit === undefined ? grant : { ...grant, grant: { ...grant.grant, verdict: "refused", code: GRANT_WITHHELD } };
}

function append(
  loaded: Loaded,
  arrival: Arrival,
  drafts: readonly EventDraft[],
  at: string,
  input: JsonValue,
  facts: Facts,
  open: Open,
  chain?: readonly string[],
  hash: Digest = arrival.input.hash,
): void {
  const { input: from } = arrival;
  const traceparent = "traceparent" in from ? from.traceparent : undefined;
  const sealed = seal(loaded, loaded.head, {
    drafts,
    at,
    machine: loaded.state.machine,
    cause: {
      id: from.id,
      kind: arrival.kind,
      actor: from.actor,
      time: from.time,
      ...(traceparent !== undefined && { traceparent }),
      ...(chain !== undefined && { chain: [...chain] }),
    },
    premise: { input, input_hash: hash, facts },
  });
  loaded.head = sealed.head;
  open.events.push(...sealed.events);
}

function addAnswerOf(state: RunState, input: RunInput & { kind: "report" }, open: Open): void {
  const action = state.actions.get(input.body.action)?.context;
  if (action !== undefined) open.answers.add(`${action.agent}/${action.proposal}`);
}

/** A claim is granted when the action stands in `started` with exactly that claim, now that the input was applied. */
function verdictOf(arrival: Arrival, state: RunState): Done["grant"] {
  if (arrival.for !== "run" || arrival.input.kind !== "report") return undefined;
  const report: ReportInput = arrival.input.body;
  if (report.status !== "started") return grantFor(arrival, "recorded", state.seq, undefined);
  const action = state.actions.get(report.action);
  const { claim, attempt } = action?.context ?? {};
  const holds = action?.value === "started" && attempt === report.attempt && claim?.gateway === report.claim.gateway && claim.nonce === report.claim.nonce;
  return holds
    ? grantFor(arrival, "granted", state.seq, undefined)
    : grantFor(arrival, "refused", state.seq, action?.context.error?.code ?? "report.not_holder");
}

function grantFor(arrival: Arrival, verdict: Grant["verdict"], seq: number, code: string | undefined): Done["grant"] {
  if (arrival.for !== "run" || arrival.input.kind !== "report") return undefined;
  const { body, actor } = arrival.input;
  return {
    gateway: actor,
    grant: {
      v: 1,
      run: arrival.token as Grant["run"],
      report: body.id,
      action: body.action,
      attempt: body.attempt,
      claim: body.claim,
      verdict,
      ...(code !== undefined && { code }),
      seq,
    },
  };
}

/** Answers to the proposals under these keys, each for the agent that made it. */
export function answersOf(state: RunState, keys: Iterable<string>): { agent: Actor; answer: Answer }[] {
  const answers: { agent: Actor; answer: Answer }[] = [];
  for (const key of keys) {
    const answer = answerTo(state, key);
    if (answer !== undefined) answers.push({ agent: key.slice(0, key.indexOf("/")) as Actor, answer });
  }
  return answers;
}
