/**
 * Rehearsals: what would have become of the recorded inputs under another machine or another rule. Nothing is asserted
 * beyond a run's first divergence: from there on its senders would have seen something else, and said something else.
 */
import type { RunState } from "../../machines/state.ts";
import type { MachineVersion } from "../../machines/versions.ts";
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, type JournalEvent } from "../bus/commit.ts";
import type { Reads } from "../policy/reads.ts";
import { MACHINE_OF_RULES_1 } from "../policy/rules-1.ts";
import type { InForce } from "../registry/view.ts";
import { governingDigests, type Library } from "./documents.ts";
import type { StoredCommit } from "./fold.ts";
import type { Messages } from "./journal.ts";
import { type Bench, Misfit, policiesOf, same, type Verdict, verdictOf } from "./judge.ts";
import { judgedIn } from "./judged.ts";
import { type Difference, Replayer } from "./replay.ts";

/** The first thing of a run that would be otherwise. */
export interface Divergence extends Difference {
  readonly action?: string;
  readonly tool?: string;
}

export interface RehearsalReport {
  readonly kind: AggregateKind;
  readonly name: string;
  /** What was looked at: events for a machine, judged proposals for a rule. */
  readonly compared: number;
  readonly same: number;
  readonly divergence: Divergence | undefined;
  /** Those after the divergence, and those that cannot be told. */
  readonly unknown: number;
  /** Why something cannot be told that does not follow a divergence: a missing document, a record that does not replay. */
  readonly why?: string;
  /** Judged the same, by other policies. */
  readonly other_policies?: number;
}

export interface Rehearsal {
  push(event: JournalEvent): void;
  readonly report: RehearsalReport;
}

/**
 * The recorded inputs and facts, given to another machine from the aggregate's first event on: what state an earlier
 * version was in means nothing to it. The recorded machine runs beside it, so that a record which does not replay at
 * all is not blamed on the other.
 */
export function rehearseMachine(ns: Namespace, kind: AggregateKind, name: string, machine: MachineVersion): Rehearsal {
  const other = new Replayer(ns, kind, name, { machine });
  const recorded = new Replayer(ns, kind, name);
  let compared = 0;
  let why: string | undefined;
  return {
    push: (event) => {
      compared += 1;
      if (other.difference !== undefined || why !== undefined) return;
      const differs = recorded.push(event);
      if (differs === undefined) other.push(event);
      else why = `event ${differs.seq} is not replayed as recorded`;
    },
    get report(): RehearsalReport {
      const { identical, difference } = other.report;
      const unknown = compared - identical - (difference === undefined ? 0 : 1);
      // a commit that is not whole cannot be told either
      const untold = why ?? (other.difference === undefined && difference !== undefined ? "its last commit is not whole" : undefined);
      return { kind, name, compared, same: identical, divergence: other.difference, unknown, ...(untold !== undefined && { why: untold }) };
    },
  };
}

/**
 * Every tool proposal since then, judged by another policy set, with the contract and the tool that were recorded.
 * What the run was before is folded as recorded.
 * @param since RFC 3339; proposals that the server stored earlier are not judged
 */
export function rehearsePolicy(ns: Namespace, name: string, bench: Bench, policy: InForce<PolicySet>, since = ""): Rehearsal {
  let [compared, alike, unknown, other] = [0, 0, 0, 0];
  let divergence: Divergence | undefined;
  let why: string | undefined;
  const before = (state: RunState, stored: StoredCommit): void => {
    const { cause } = stored.first;
    if (cause.time < since) return;
    const judged = judgedIn(state, stored);
    // validation comes first, and asks no policy
    if (judged?.facts.judgement === undefined) return;
    const { seq, action, body, facts } = judged;
    compared += 1;
    if (divergence !== undefined) {
      unknown += 1;
      return;
    }
    try {
      const governing = { ...bench.governing(facts, state, body), policy };
      const untold = sumsNotRecorded(facts, state, governing.tool?.value, bench.reads(policy, facts.tool?.effect ?? "irreversible"));
      if (untold !== undefined && state.machine !== MACHINE_OF_RULES_1) {
        unknown += 1;
        why ??= `\`${action}\`: ${untold}`;
        return;
      }
      const computed = bench.judge(governing, state, judged, cause.time);
      if (same(verdictOf(facts), verdictOf(computed))) {
        alike += 1;
        if (!same(policiesOf(facts), policiesOf(computed))) other += 1;
      } else {
        const recorded = verdictText(verdictOf(facts));
        divergence = { seq, action, tool: body.tool, field: "decision", recorded, computed: verdictText(verdictOf(computed)) };
      }
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      unknown += 1;
      why ??= `\`${action}\`: document \`${error.digest}\`: ${error.message}`;
    }
  };
  const replayer = new Replayer(ns, "run", name, { before });
  return {
    push: (event) => {
      const differs = replayer.push(event);
      if (differs !== undefined) why ??= `event ${differs.seq} is not replayed as recorded`;
    },
    get report(): RehearsalReport {
      return { kind: "run", name, compared, same: alike, divergence, unknown, ...(why !== undefined && { why }), other_policies: other };
    },
  };
}

/** Sums over the day are asked of the ledger only where something reads them: another set may read what nobody asked for. */
function sumsNotRecorded({ amount, needs = [] }: ToolFacts, state: RunState, tool: Tool | undefined, reads: Reads): string | undefined {
  if (amount === undefined) return undefined;
  const exists = { target: tool?.amount?.target !== undefined, principal: state.envelope?.principal?.verified === true, agent: true };
  const read = (name: keyof typeof exists) => exists[name] && (reads === undefined || (reads.has("amounts") && reads.has(`${name}_day`)));
  const missing = (["target", "principal", "agent"] as const).filter((name) => read(name) && !needs.some(({ dimension }) => dimension === name));
  return missing.length === 0 ? undefined : `the record has no sum of the day per ${missing.join(", ")}`;
}

/** `allow`, `deny`, `ask 2 of approver within 600 s`. */
function verdictText({ decision, ask }: Verdict): string {
  if (ask === undefined) return decision;
  return `${decision} ${ask.count} of ${ask.role}${ask.expires_seconds === undefined ? "" : ` within ${ask.expires_seconds} s`}`;
}

/**
 * Rehearses every aggregate among the messages, in the order of its first event.
 * @param make none for what is not to be rehearsed
 * @param library is given the documents that each proposal was judged by
 * @param since RFC 3339; aggregates without an input from then on are left out
 * @throws ReadError
 */
export async function rehearse(
  messages: Messages,
  make: (kind: AggregateKind, name: string) => Rehearsal | undefined,
  library?: Library,
  since = "",
): Promise<RehearsalReport[]> {
  const all = new Map<string, { readonly rehearsal: Rehearsal | undefined; last: string }>();
  for await (const message of messages) {
    const address = parseLog(message.subject);
    if (address === undefined) continue;
    let one = all.get(message.subject);
    if (one === undefined) all.set(message.subject, (one = { rehearsal: make(address.kind, address.name), last: "" }));
    if (one.rehearsal === undefined) continue;
    const event = decodeEvent(message);
    one.last = event.body.cause.time;
    const digests = library === undefined ? [] : governingDigests(event);
    if (digests.length > 0) await library?.fetch(digests);
    one.rehearsal.push(event);
  }
  return [...all.values()].flatMap(({ rehearsal, last }) => (rehearsal === undefined || last < since ? [] : [rehearsal.report]));
}
