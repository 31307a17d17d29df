/** Arguments for mutants of what a decision is made of: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

const SAME_LISTS = "a short cut: where the decision changed none, the two together are the run's own";
const NOT_READ = "a short cut: what is not judged is not given it, and the chart looks at it nowhere else";

export const MACHINES: readonly Argued[] = [
  ...of(
    "machines/signals.ts",
    [
      'if (open.body.name !== "return" || open.body.unused < body.unused || open.body.last !== body.last) {',
      'open.body.name !== "return"', "false", "asked some lines before, by the table of answers: here the compiler wants it",
    ],
    [
      'if (asked.name !== "lease" || (granted > 0 && (granted < asked.need || granted > Math.max(asked.need, asked.want)))) {',
      'asked.name !== "lease"', "false", "asked by whoever calls it, by the table of answers: here the compiler wants it",
    ],
    [
      'if (id === undefined || filled === undefined || work.action(id)?.value !== "reserving") return DONE;',
      "id === undefined", "false", "every lease is asked for by an action: here the compiler wants it",
    ],
    [
      'if (id === undefined || filled === undefined || work.action(id)?.value !== "reserving") return DONE;',
      "filled === undefined", "false", "an action lets go of what it waits for when it ends, and not before: then it is not reserving either",
    ],
    [
      'if (id === undefined || filled === undefined || work.action(id)?.value !== "reserving") return DONE;',
      'work.action(id)?.value !== "reserving"', "false", "nothing but an action that is reserving waits for a lease: of one that ended nothing was filled",
    ],
  ),
  ...of(
    "machines/judging.ts",
    [
      'if (spends && facts.tool !== undefined && facts.judgement?.decision !== "deny") work.purse.reserve(id, facts.tool);',
      "facts.tool !== undefined", "true", "an unknown tool is a fault, and without a fault the tool is known: here the compiler wants it",
    ],
    [
      "const text = valid && lacks.length === 0 ? actionDocument(work.state, work.envelope, id, asked, facts.documents) : undefined;",
      "valid", "true", NOT_READ,
    ],
    [
      "const text = valid && lacks.length === 0 ? actionDocument(work.state, work.envelope, id, asked, facts.documents) : undefined;",
      "lacks.length === 0", "true", NOT_READ,
    ],
    [
      "const standings = work.standings.size === 0 ? work.state.standings : new Map([...work.state.standings, ...work.standings]);",
      "work.standings.size === 0", "false", SAME_LISTS,
    ],
    [
      "const standing = spends && lacks.length === 0 ? standingFor(standings, work.marks, asked, facts, work.at) : undefined;",
      "spends", "true", "a short cut: the chart rejects or denies before it looks at what stands, and what it does not rest on is not used",
    ],
    [
      "const standing = spends && lacks.length === 0 ? standingFor(standings, work.marks, asked, facts, work.at) : undefined;",
      "lacks.length === 0", "true", NOT_READ,
    ],
    [
      "if (standing !== undefined && work.action(id)?.context.rests?.request === standing.request) {",
      "work.action(id)?.context.rests?.request === standing.request", "true",
      "an approval is found for what is to be asked for alone, and the chart then rests on it: a second lock on what is used up",
    ],
    [
      "if (principal === undefined || envelope === undefined || own == null || !principal.verified || !own.verified) return;",
      "envelope === undefined", "false", "without an envelope there is no token of its own either, which is asked next: here the compiler wants it",
    ],
  ),
  ...of(
    "machines/proposals.ts",
    [
      "if (refusal.length === 0) work.propose(`${input.actor}/${input.id}`, { kind: \"start\", seq: work.next - 1, at: work.at });",
      "refusal.length === 0", "true", "of a refusal nothing is kept: the working copy is thrown away",
    ],
  ),
  ...of(
    "machines/work.ts",
    [
      "return id === undefined ? undefined : this.action(id);",
      "id === undefined", "false", "under no id there is no action: the answer is undefined too",
    ],
    [
      'return [...ids].filter((id) => !ENDED.has(this.action(id)?.value ?? ""));',
      '""', '"mutant"', "every id is one of an action that there is; and neither word is a state",
    ],
    [
      'else if (effect.type === "requestApproval" && id !== undefined) {',
      'effect.type === "requestApproval"', "true", "the charts leave two effects, of which the other was taken before: the rest is an assertion",
    ],
    [
      'else if (effect.type === "requestApproval" && id !== undefined) {',
      "id !== undefined", "true", "of the charts only that of an action asks for approvals: the rest is an assertion",
    ],
  ),
  ...of(
    "machines/step.ts",
    ['id: "signalbox",', '"signalbox"', '""', "a name that XState asks for, and reads of actors that are spawned alone: no chart spawns any"],
    ['sessionId: "signalbox",', '"signalbox"', '""', "a name that XState asks for, and reads of actors that are spawned alone: no chart spawns any"],
  ),
  ...of(
    "machines/flat.ts",
    [
      'demand((root.always ?? []).length === 0 && initial.length === 1 && root.type === "compound" && typeof machine.config.context !== "object");',
      "initial.length === 1", "true", "one state at a time is what a chart of this type has, and it begins in one",
    ],
    [
      'demand((root.always ?? []).length === 0 && initial.length === 1 && root.type === "compound" && typeof machine.config.context !== "object");',
      'root.type === "compound"', "true", "a chart of any other type begins in no state or in several, which was asked before",
    ],
    ['const [first = ""] = initial;', '""', '"mutant"', "there is a first state, which was demanded before: here the compiler wants one"],
    [
      "const { context = () => ({}), options } = machine.config as { context?: FlatChart[\"context\"]; options?: { maxIterations?: number } };",
      "({})", "undefined", "copied into an empty object either way",
    ],
    ['override readonly name = "NotFlat";', '"NotFlat"', '""', "caught where it is thrown, and shown to nobody"],
    [
      'demand(typeof given === "object" && given !== null && "type" in given && typeof given.type === "string");',
      '"type" in given', "true", "what is not there is no text, which is asked next: here the compiler wants it",
    ],
    [
      'demand(typeof given === "object" && given !== null && "type" in given && typeof given.type === "string");',
      'typeof given.type === "string"', "true", "under what is no text there is no implementation, which is asked next: here the compiler wants it",
    ],
  ),
  ...of("machines/versions.ts", [
    'const isProbed = (input: RunInput): boolean => input.kind === "report" && input.body.status === "probed";',
    'input.kind === "report"', "true", "of all inputs a report alone has such a status: here the compiler wants it",
  ]),
];
