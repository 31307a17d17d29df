/**
 * Judging again (law 2): a comparison of its own beside exact replay, which feeds recorded verdicts to the machine and
 * believes them. Contract, tool and policy set are fetched by their recorded hashes and asked what the record says
 * they were asked. What is compared is what has consequences; the words in which an engine explains itself may change.
 */
import type { RunState } from "../../machines/state.ts";
import { canonicalText } from "../../schemas/canonical.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import type { Ask, Decision, Effect } from "../../schemas/judgement.ts";
import { RULING_POLICY_SET } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { Digest } from "../../schemas/ids.ts";
import { type KeyId, sealedIn, withheldIn } from "../../schemas/sealed.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { PolicyJudge } from "../policy/judgement.ts";
import type { Reads } from "../policy/reads.ts";
import { type Governing, type Judging, toolFacts } from "../policy/tool-facts.ts";
import { marksOfTool, replaced } from "../registry/personal.ts";
import { Validators } from "../registry/validate.ts";
import type { InForce } from "../registry/view.ts";
import type { Library } from "./documents.ts";
import type { StoredCommit } from "./fold.ts";
import { type Judged, judgedIn } from "./judged.ts";
import type { Difference } from "./replay.ts";

export interface JudgeDifference extends Difference {
  readonly action: string;
  readonly tool: string;
}

export interface JudgeReport {
  /** Proposals that the same documents judge in the same way. */
  readonly same: number;
  /** Of these, those with personal fields: that they fit the tool's schema is believed as it was recorded. */
  readonly sealed: number;
  /** Proposals that are otherwise the same, and of which nobody can recompute all, because their subject was erased. */
  readonly erased: readonly { readonly seq: number; readonly action: string }[];
  readonly differences: readonly JudgeDifference[];
  /** Proposals whose documents cannot be had, and which document of each. */
  readonly unknown: readonly { readonly seq: number; readonly action: string; readonly why: string }[];
}

/** A document that the record names and that cannot be used. */
export class Misfit extends Error {
  override readonly name = "Misfit";
  readonly field: string;
  readonly digest: Digest;
  /** It is there and is not what the record takes it for: no coordinator writes that. */
  readonly forged: boolean;
  constructor(field: string, digest: Digest, why: string, forged: boolean) {
    super(why);
    this.field = `facts.documents.${field}`;
    this.digest = digest;
    this.forged = forged;
  }
}

/** Compiled policies and schemas, for as many runs as one likes. */
export class Bench {
  readonly library: Library;
  /** Keys that were destroyed, as far as {@link note} was told of them. */
  readonly erased = new Set<KeyId>();
  readonly #judge = new PolicyJudge();
  readonly #judging: Judging = { validators: new Validators(), judge: this.#judge };

  constructor(library: Library) {
    this.library = library;
  }

  /** The documents that the record says the proposal was judged by. @throws Misfit */
  governing({ documents }: ToolFacts, state: RunState, body: ToolProposal): Governing {
    const { library } = this;
    return {
      contract: found("contract", documents.contract, (digest) => library.agent(digest), ({ agent }) => agent.name, state.holder),
      tool: found("tool", documents.tool, (digest) => library.tool(digest), ({ name }) => name, body.tool),
      policy: found("policy", documents.policy, (digest) => library.policy(digest), ({ name }) => name, RULING_POLICY_SET),
    };
  }

  judge(governing: Governing, state: RunState, { body, more, facts }: Judged, time: string): ToolFacts {
    const keys = keysIn(governing, body);
    // what is personal is judged as it is recorded; only whether it fits the schema is asked of the plain form
    const believed = keys.length === 0 ? undefined : { faults: facts.faults, sources: facts.sources ?? [] };
    return toolFacts(this.#judging, governing, state, body, time, believed === undefined ? more : { ...more, believed });
  }

  /** Takes note of an erasure: what was sealed under its key can be judged by nobody as it was. */
  note({ subject, data }: Pick<StoredMessage, "subject" | "data">): void {
    if (parseLog(subject)?.kind !== "erasure") return;
    try {
      const { type, data: own } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() }).body;
      if (type === "erasure.requested") this.erased.add(own["key"] as KeyId);
    } catch (error) {
      // what is no event says nothing of erasures; whoever checks the aggregate names it
      if (!(error instanceof EventMalformed)) throw error;
    }
  }

  /** What a set's policies read of a call, as {@link toolFacts} asks it; undefined for everything. */
  reads(policy: Governing["policy"], effect: Effect): Reads {
    return this.#judge.reads(policy, effect);
  }
}

/** The keys that what is personal in a proposal was sealed under; `withheld` for what was not even sealed. */
function keysIn({ tool, contract }: Governing, { input }: ToolProposal): (KeyId | "withheld")[] {
  if (tool === undefined) return [];
  const keys: (KeyId | "withheld")[] = [];
  replaced(input, marksOfTool(tool.value, contract?.value), ({ value }) => {
    const sealed = sealedIn(value);
    if (sealed !== undefined) keys.push(sealed.key);
    else if (withheldIn(value) !== undefined) keys.push("withheld");
    return value;
  });
  return keys;
}

function found<T extends object>(field: string, digest: Digest | undefined, read: (digest: Digest) => T | string, nameOf: (value: T) => string, name: string): InForce<T> | undefined {
  if (digest === undefined) return undefined;
  const value = read(digest);
  if (typeof value === "string") throw new Misfit(field, digest, value, false);
  if (nameOf(value) !== name) throw new Misfit(field, digest, `the ${field} of that hash is \`${nameOf(value)}\`, not \`${name}\``, true);
  return { digest, value };
}

/** Judges the proposals of one run again. Give {@link before} to its replayer. */
export class Rejudge {
  readonly #bench: Bench;
  #same = 0;
  /** Those that hold personal fields and are otherwise the same, with their keys. */
  readonly #sealed: { readonly seq: number; readonly action: string; readonly keys: readonly (KeyId | "withheld")[] }[] = [];
  readonly #differences: JudgeDifference[] = [];
  readonly #unknown: JudgeReport["unknown"][number][] = [];

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  readonly before = (state: RunState, stored: StoredCommit): void => {
    const judged = judgedIn(state, stored);
    if (judged === undefined) return;
    const { seq, action, body, facts } = judged;
    const at = { seq, action, tool: body.tool };
    try {
      const governing = this.#bench.governing(facts, state, body);
      const computed = this.#bench.judge(governing, state, judged, stored.first.cause.time);
      const difference = differenceOf(facts, computed);
      // what waits for its allowances is counted when it is judged
      if (difference === undefined && verdictOf(facts).decision === "waiting") return;
      const keys = keysIn(governing, body);
      if (difference === undefined && keys.length > 0) this.#sealed.push({ seq, action, keys });
      else if (difference === undefined) this.#same += 1;
      else this.#differences.push({ ...at, ...difference });
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      const { field, digest, message, forged } = error;
      if (forged) this.#differences.push({ ...at, field, recorded: digest, computed: message });
      // what waited for its allowances is told of where it was judged
      else if (verdictOf(facts).decision !== "waiting") this.#unknown.push({ seq, action: at.action, why: `document \`${digest}\`: ${message}` });
    }
  };

  get report(): JudgeReport {
    // an erasure may have been read after what it erased
    const { erased } = this.#bench;
    const gone = this.#sealed.filter(({ keys }) => keys.some((key) => key !== "withheld" && erased.has(key)));
    const sealed = this.#sealed.length - gone.length;
    return { same: this.#same + sealed, sealed, erased: gone.map(({ seq, action }) => ({ seq, action })), differences: this.#differences, unknown: this.#unknown };
  }
}

/** What a verdict means for the action; `invalid` and `stopped` where nothing was asked, `waiting` where it is asked later. */
export interface Verdict {
  readonly decision: Decision | "invalid" | "stopped" | "waiting";
  readonly ask?: Ask;
}

export function verdictOf({ judgement, guard, faults }: ToolFacts): Verdict {
  if (judgement === undefined) return { decision: faults.length > 0 ? "invalid" : guard === undefined ? "waiting" : "stopped" };
  const { decision, ask } = judgement;
  return ask === undefined ? { decision } : { decision, ask };
}

export function policiesOf({ judgement }: ToolFacts): string[] {
  return (judgement?.policies ?? []).map(({ id, effect }) => `${effect} ${id}`).sort();
}

/** The first of the things that have consequences in which the two are not the same. */
function differenceOf(recorded: ToolFacts, computed: ToolFacts): Omit<Difference, "seq"> | undefined {
  const things: readonly [string, unknown, unknown][] = [
    ["facts.faults", validity(recorded), validity(computed)],
    ["facts.judgement.decision", verdictOf(recorded).decision, verdictOf(computed).decision],
    ["facts.judgement.policies", policiesOf(recorded), policiesOf(computed)],
    ["facts.judgement.ask", verdictOf(recorded).ask, verdictOf(computed).ask],
    ...(["effect", "timeout_ms", "retries", "idempotent", "cost_micro_usd", "input_tokens", "output_tokens"] as const).map(
      (name): [string, unknown, unknown] => [`facts.tool.${name}`, recorded.tool?.[name], computed.tool?.[name]],
    ),
    ["facts.judgement.risk", recorded.judgement?.risk, computed.judgement?.risk],
    ["facts.amount", recorded.amount, computed.amount],
    ["facts.sources", recorded.sources, computed.sources],
    ["facts.standing", recorded.standing, computed.standing],
    ["facts.approval_ttl_ms", recorded.approval_ttl_ms, computed.approval_ttl_ms],
  ];
  for (const [field, one, other] of things) if (!same(one, other)) return { field, recorded: one, computed: other };
  return undefined;
}

const validity = ({ faults }: ToolFacts) => (faults.length === 0 ? "valid" : "invalid");

/** Equal whatever the order of keys: what was stored has them sorted. */
export function same(one: unknown, other: unknown): boolean {
  return canonicalText({ value: one }) === canonicalText({ value: other });
}
