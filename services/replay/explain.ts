/** Why an action was decided as it was: what was asked, which policies determined it, and what would have to differ. */
import type { RunState } from "../../machines/state.ts";
import type { Judgement, JudgementRequest } from "../../schemas/judgement.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { JournalEvent } from "../bus/commit.ts";
import { type Turn, turnsOf } from "../policy/explain.ts";
import type { Case } from "../policy/case.ts";
import { askedOf, type Judge, PolicyJudge } from "../policy/judgement.ts";
import { requestOfRules1 } from "../policy/rules-1.ts";
import { toolFacts } from "../policy/tool-facts.ts";
import { Validators } from "../registry/validate.ts";
import { governingDigests, type Library } from "./documents.ts";
import type { StoredCommit } from "./fold.ts";
import { Bench, Misfit } from "./judge.ts";
import { type Judged, judgedIn } from "./judged.ts";
import { Replayer } from "./replay.ts";

export interface Explanation {
  readonly run: string;
  readonly action: string;
  readonly tool: string;
  /** The event in whose commit it was judged, for the last time. */
  readonly seq: number;
  readonly at: string;
  /** As recorded. */
  readonly judgement: Judgement;
  /** As it is judged again; undefined where a document is missing. */
  readonly request?: JudgementRequest;
  /** The policies that determined it, with their text. */
  readonly policies: readonly { readonly id: string; readonly effect: string; readonly place?: string; readonly text?: string }[];
  readonly turns: readonly Turn[];
  /** Why there is less than there should be: a missing document, a record that is judged otherwise today. */
  readonly caveat?: string;
}

/** Nothing was judged of it: it was not proposed, was refused before, or is not judged yet. */
export class NotJudged extends Error {
  override readonly name = "NotJudged";
}

/** @param events of the run, in order @throws NotJudged, ReadError */
export async function explainAction(ns: Namespace, run: string, events: AsyncIterable<JournalEvent>, library: Library, action: string): Promise<Explanation> {
  const bench = new Bench(library);
  let found: Explanation | undefined;
  let why = `run \`${run}\` has no action \`${action}\``;
  const before = (state: RunState, stored: StoredCommit): void => {
    const judged = judgedIn(state, stored);
    if (judged?.action !== action) return;
    if (judged.facts.judgement !== undefined) found = explained(bench, state, stored, judged, judged.facts.judgement);
    else why = judged.facts.faults.length > 0 ? `\`${action}\` was rejected before it was judged: ${judged.facts.faults[0]?.message ?? ""}` : `\`${action}\` is not judged yet`;
  };
  const replayer = new Replayer(ns, "run", run, { before });
  for await (const event of events) {
    const digests = governingDigests(event);
    if (digests.length > 0) await library.fetch(digests);
    const differs = replayer.push(event);
    if (differs !== undefined) throw new NotJudged(`event ${differs.seq} of \`${run}\` is not replayed as recorded`);
  }
  if (found === undefined) throw new NotJudged(why);
  return found;
}

function explained(bench: Bench, state: RunState, { first }: StoredCommit, judged: Judged, judgement: Judgement): Explanation {
  const { seq, action, body, facts, more } = judged;
  const about = { run: state.run, action, tool: body.tool, seq, at: first.at, judgement };
  const listed = judgement.policies.map(({ id, effect, file, line }) => ({ id, effect, ...(file !== undefined && { place: line === undefined ? file : `${file}:${line}` }) }));
  try {
    const governing = bench.governing(facts, state, body);
    const engine = new PolicyJudge();
    let asked: Case | undefined;
    const judge: Judge = { judge: (one) => engine.judge((asked = one)), reads: (policy, effect) => engine.reads(policy, effect) };
    const computed = toolFacts({ validators: new Validators(), judge }, governing, state, body, first.cause.time, more);
    const set = engine.set(governing.policy);
    const policies = listed.map((policy) => ({ ...policy, ...(set?.texts[policy.id] !== undefined && { text: set.texts[policy.id] }) }));
    if (asked === undefined) return { ...about, policies, turns: [], caveat: "it is not judged today: its documents find faults" };
    const other = computed.judgement?.decision === judgement.decision ? {} : { caveat: `judged again, the decision is \`${computed.judgement?.decision ?? "none"}\`` };
    if (asked.call === undefined) return { ...about, request: requestOfRules1(asked), policies, turns: [], caveat: "rules 1 judged it, and what would have to differ is told for rules 2 only" };
    const put = askedOf(asked, asked.call);
    return { ...about, request: put.request, policies, turns: turnsOf(set, put, governing.policy?.value.settings?.risk), ...other };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    return { ...about, policies: listed, turns: [], caveat: `document \`${error.digest}\`: ${error.message}` };
  }
}

