/** Arguments for mutants of the rules of actions, leases and reports: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const RULES: readonly Argued[] = [
  ...of(
    "machines/action-rules.ts",
    [
      "export const CONTEXT_FIELDS = 19;",
      "19", "19 + 1", "a limit that a test holds the context to: a larger one is a looser test, and no other behaviour",
    ],
    [
      'const asked = event.type === "JUDGE" && judgementOf(event).decision === "ask";',
      'event.type === "JUDGE"', "true", "`judgementOf` gives a denial for every other event: it is never `ask`",
    ],
    [
      'policies: event.type === "JUDGE" ? judgementOf(event).policies.map((policy) => policy.id) : [],',
      'event.type === "JUDGE"', "true", "`judgementOf` gives no policies for every other event",
    ],
    [
      'approvers: event.type === "GRANT" ? event.approvers : by === "standing" && event.type === "JUDGE" ? (event.standing?.approvers ?? []) : [],',
      'event.type === "JUDGE"', "true", "`by` is `standing` only for `JUDGE`: `restsOn` says so",
    ],
  ),
  ...of(
    "machines/leases.ts",
    [
      "const own = action === undefined ? [] : (state.holds.get(action) ?? []);",
      "action === undefined", "false", "nothing is held under no name: the map gives undefined for it",
    ],
    [
      "const granted = answered?.reply.granted ?? 0;",
      "0", "0 + 1", "only counted where an answer was found, and then it says how much",
    ],
    [
      "const hold = own.find((one) => accountKey(one) === key && one.dimension === need.dimension);",
      "own.find((one) => accountKey(one) === key && one.dimension === need.dimension)", "own.findLast((one) => accountKey(one) === key && one.dimension === need.dimension)", "an action has one hold for each account and dimension: the first is the last",
    ],
    [
      'if (answered === undefined || action === undefined || state.actions.get(action)?.value !== "reserving") return undefined;',
      "answered === undefined", "false", "an action is known only by its answer",
    ],
    [
      'if (answered === undefined || action === undefined || state.actions.get(action)?.value !== "reserving") return undefined;',
      "action === undefined", "false", "no action is called undefined: the map has no state for it",
    ],
  ),
  ...of(
    "machines/standing.ts",
    [
      'if (name === undefined || typeof value !== "object" || value === null) return value;',
      "name === undefined", "false", "a pointer has a part for each step: the last one is not stepped behind",
    ],
    [
      "if (!Object.hasOwn(value, name)) return value;",
      "!Object.hasOwn(value, name)", "false", "a short cut: the copy without a member that is not there is an equal object",
    ],
    [
      'const [whole = "0", fraction = ""] = decimal.split(".");',
      '"0"', '""', "splitting a text gives at least one part",
    ],
    [
      'const units = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, "0").slice(0, 4));',
      "4", "4 + 1", "padded by one more and cut to four is the same",
    ],
    [
      "return Number(units > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : units);",
      "units > BigInt(Number.MAX_SAFE_INTEGER)", "(units) >= (BigInt(Number.MAX_SAFE_INTEGER))", "at the limit both sides are the limit",
    ],
    [
      "if (asked !== undefined && limit !== undefined && limitUnits(asked) > limit) {",
      "limit !== undefined", "true", "nothing is greater than a limit that is not there: the comparison is false",
    ],
    [
      "const max = Math.min(standing.max_amount === undefined ? (facts.amount?.units ?? 0) : limitUnits(standing.max_amount), limits?.max_amount ?? Infinity);",
      "0", "0 + 1", "without an amount the limit of amounts is thrown away, ten lines further on",
    ],
    [
      "if (standings.size === 0 || ask === undefined || facts.tool === undefined) return undefined;",
      "standings.size === 0", "false", "a short cut: of no standing approvals none fits",
    ],
  ),
  ...of(
    "machines/purse.ts",
    [
      "...(tokens && { input: plus(spent.input, 0, input), output: plus(spent.output, 0, output) }),",
      "tokens", "true", "what is spread is never read: without tokens both sums grow by nothing, to an equal object",
    ],
    [
      "const input = held.tokens === undefined ? 0 : settled(held.tokens.input, effect);",
      "0", "0 + 1", "read only where there are tokens",
    ],
    [
      "const output = held.tokens === undefined ? 0 : settled(held.tokens.output, effect);",
      "0", "0 + 1", "read only where there are tokens",
    ],
    [
      "const own = before.find((one) => same(one, need));",
      "before.find((one) => same(one, need))", "before.findLast((one) => same(one, need))", "an action has one hold for each account and dimension: the first is the last",
    ],
    [
      "const lacks = missing.find((one) => same(one, need));",
      "missing.find((one) => same(one, need))", "missing.findLast((one) => same(one, need))", "an action has one need for each account and dimension: the first is the last",
    ],
    [
      "const before = this.#holding(key) ?? { ledger, unit, window, granted: 0, spent: 0, held: 0, total: 0, closed: false };",
      "0", "0 + 1", "the total is what the answer says, in the line behind",
    ],
    [
      "const holds = action === undefined ? [] : this.holdsOf(action);",
      "action === undefined", "false", "nothing is held under no name: the map gives undefined for it",
    ],
    [
      "const hold = holds.find(({ lease }) => lease === reply.id);",
      "holds.find(({ lease }) => lease === reply.id)", "holds.findLast(({ lease }) => lease === reply.id)", "a lease is asked for by one hold: the first is the last",
    ],
    [
      "if (action === undefined || hold === undefined) {",
      "action === undefined", "false", "without an action there is no hold either",
    ],
    [
      "if (pool === undefined) return;",
      "pool === undefined", "false", "called for pools that were just found or made",
    ],
    [
      "if (state.holdings.size === 0 && this.holdings.size === 0) return;",
      "state.holdings.size === 0 && this.holdings.size === 0", "false", "a short cut: with no pools there is nothing to go through",
    ],
  ),
  ...of(
    "machines/owed.ts",
    [
      "if (document === undefined || digest === undefined) return;",
      "document === undefined", "false", "what is dispatched or asked about has its document and digest: they go when it ends",
    ],
    [
      "if (document === undefined || digest === undefined) return;",
      "digest === undefined", "false", "what is dispatched or asked about has its document and digest: they go when it ends",
    ],
    [
      "if (action === undefined) continue;",
      "action === undefined", "false", "every open action is among the actions",
    ],
    [
      "if (approval !== undefined) timer(`approval:${id}`, approval.context.timer.at, approval.context.timer.armed);",
      "approval !== undefined", "true", "every open request is among the approvals",
    ],
  ),
  ...of(
    "machines/decisions.ts",
    [
      "if (approval === undefined || action === undefined) {",
      "approval === undefined", "false", "without an approval there is no action either",
    ],
    [
      "if (approval === undefined || action === undefined) {",
      "action === undefined", "false", "every request is for an action of its run, and actions are kept",
    ],
    [
      'if (typeof change === "string" || facts.again === undefined) {',
      "facts.again === undefined", "false", "`changed` gives a text where there is nothing to judge by",
    ],
    [
      'const help = typeof change === "string" ? change : "propose it again";',
      'typeof change === "string"', "true", "here it is a text, or there was nothing to judge by, which is a text too",
    ],
  ),
  ...of(
    "machines/reports.ts",
    [
      'if (facts.kind === "output" && facts.guard !== undefined && action.value === "dispatched" && action.context.effect === "read") {',
      'facts.kind === "output"', "true", "a report that is no claim has facts of an output or none, and none holds no guard",
    ],
    [
      "if (facts.again === undefined || change !== undefined || action.doubt) {",
      "facts.again === undefined", "false", "`changed` gives a text where there is nothing to judge by",
    ],
    [
      'const needed = action.rests !== undefined && action.rests.by !== "policy";',
      "action.rests !== undefined", "true", "whatever is dispatched was approved, and rests on somebody's yes",
    ],
    [
      'if (action.doubt || action.basis.facts === undefined) return halt(work, action.id, reason("approval.void", why), false);',
      "action.basis.facts === undefined", "false", "the facts of an open action are kept until it ends",
    ],
    [
      'if (!needed && action.effect !== "read" && expires !== undefined && millis(expires) <= millis(work.at)) {',
      "expires !== undefined", "true", "no time is earlier than none: the comparison with it is false",
    ],
    [
      'return taken ? DONE : [reason("report.not_holder", `\\`${id}\\` is not dispatched`)];',
      "taken", "true", "called for what is dispatched, and that takes it",
    ],
    [
      'return taken ? DONE : [reason("report.not_holder", `\\`${id}\\` is not dispatched`)];',
      '[reason("report.not_holder", `\\`${id}\\` is not dispatched`)]', "[]", "called for what is dispatched, and that takes it",
    ],
    [
      'return taken ? DONE : [reason("report.not_holder", `\\`${id}\\` is not dispatched`)];',
      '"report.not_holder"', '""', "called for what is dispatched, and that takes it",
    ],
    [
      'const output: OutputMarks | undefined = facts.kind === "output" ? facts.marks : undefined;',
      'facts.kind === "output"', "true", "no other facts have marks",
    ],
    [
      'if (output === undefined || action === undefined || (action.value !== "verified" && !failure)) return;',
      "action === undefined", "false", "the action was just sent its report",
    ],
  ),
];
