/**
 * Mutants that no test catches, each with the reason why none could or should. The command fails by a survivor that is
 * not here, and by an entry that nothing survives any more.
 */
export interface Argued {
  readonly file: string;
  /** The line as it stands, without its indentation. */
  readonly line: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

type Entry = readonly [line: string, from: string, to: string, why: string];
const of = (file: string, ...entries: readonly Entry[]): Argued[] => entries.map(([line, from, to, why]) => ({ file, line, from, to, why }));

export const ARGUED: readonly Argued[] = [
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
  ...of(
    "machines/guard.ts",
    [
      'const byAnother = ({ context, event }: Args) => event.type === "LIFT" && isOther(context, event);',
      'event.type === "LIFT"', "true", "the chart asks it of a lift alone",
    ],
    [
      "types: { context: {} as StopContext, events: {} as StopEvent, input: {} as StopContext },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      '""', '"mutant"', "every time is later than the empty one",
    ],
  ),
  ...of(
    "machines/ledger.ts",
    [
      'if (event.type !== "LEASE") return 0;',
      'event.type !== "LEASE"', "false", "called for leases alone",
    ],
    [
      'if (event.type !== "LEASE") return 0;',
      "0", "0 + 1", "called for leases alone",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "total + asked.need <= cap", "true", "called where the lease fits, which the chart asks before",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "total + asked.need", "(total) - (asked.need)", "called where the lease fits, which the chart asks before",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "0", "0 + 1", "called where the lease fits, which the chart asks before",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      'event.type === "LEASE"', "true", "the chart asks it of a lease alone",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      'event.asked.unit === "amount"', "false", "of an amount no cap is ever told",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      '"amount"', '""', "of an amount no cap is ever told",
    ],
    [
      "export const ledgerMachine = setup({",
      "{ types: { events: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { events: {} as LedgerEvent },",
      "{ events: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'const after = reply.name === "leased" ? reply.total : total - (reply.name === "returned" ? reply.unused : 0);',
      'reply.name === "returned"', "true", "a reply is to a lease or to a return",
    ],
    [
      'const after = reply.name === "leased" ? reply.total : total - (reply.name === "returned" ? reply.unused : 0);',
      "0", "0 + 1", "a reply is to a lease or to a return",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      '""', '"mutant"', "every time is later than the empty one",
    ],
  ),
  ...of(
    "services/coordinator/guard-view.ts",
    [
      "if (this.#standing.size === 0) return undefined;",
      "this.#standing.size === 0", "false", "a short cut: where nothing stands nothing is found",
    ],
    [
      "return found.reduce((first, entry) => (first === undefined || (entry !== undefined && order(entry) < order(first)) ? entry : first), undefined);",
      "order(entry) < order(first)", "(order(entry)) <= (order(first))", "no two entries have one number",
    ],
  ),
  ...of(
    "machines/persons.ts",
    [
      "const now = approvers !== undefined && Object.hasOwn(approvers, by) ? (approvers[by] ?? null) : null;",
      "Object.hasOwn(approvers, by)", "true", "what objects inherit has no issuer, and whoever agreed has one: it does not count either",
    ],
  ),
  ...of(
    "machines/upkeep.ts",
    [
      "if (last === undefined) return;",
      "last === undefined", "false", "a change that was entered has its action, of the same commit",
    ],
  ),
  ...of(
    "machines/decide.ts",
    [
      'const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));',
      '""', '"mutant"', "every time is later than the empty one",
    ],
    [
      "if (outcome.length === 0) work.remember(key, input.hash);",
      "outcome.length === 0", "true", "what was refused leaves no change, and nothing that it could be remembered in",
    ],
    [
      'if (input.kind === "propose" && input.body.kind === "start") return start(work, input, input.body, facts);',
      'input.kind === "propose"', "true", "of all inputs only proposals have a kind in their body",
    ],
    [
      'case "due":',
      '"due"', '""', "timers are decided at the top, before what is remembered by its id: here the compiler wants every kind",
    ],
  ),
  ...of(
    "machines/budget.ts",
    [
      "if (step && budget.max_steps !== undefined && spent.steps + 1 > budget.max_steps) {",
      "budget.max_steps !== undefined", "true", "nothing is greater than a limit that is not there: the comparison is false",
    ],
    [
      "if (budget.max_cost_micro_usd !== undefined && spent.settled + spent.reserved + cost > budget.max_cost_micro_usd) {",
      "budget.max_cost_micro_usd !== undefined", "true", "nothing is greater than a limit that is not there: the comparison is false",
    ],
    [
      "if (limit !== undefined && limit > 0 && used * 2 >= limit) found.push({ budget: name, limit, used });",
      "limit !== undefined", "true", "a limit that is not there is not greater than nothing: the comparison is false",
    ],
  ),
  ...of(
    "machines/admit.ts",
    [
      "if (deadline !== undefined && deadline <= work.at) {",
      "deadline !== undefined", "true", "no time is earlier than none: the comparison with it is false",
    ],
    [
      "if (reasons.length > 0 || facts.agent === undefined) {",
      "facts.agent === undefined", "false", "an agent that is not there was made a reason in the line before",
    ],
  ),
  ...of(
    "machines/controls.ts",
    [
      'const PAST = { pause: "paused", resume: "resumed", cancel: "cancelled", resolve: "resolved", cleanse: "cleansed" } as const;',
      '"resolved"', '""', "an action is resolved in every life of its run: nobody is told that it could not be",
    ],
    [
      'const [what, name] = body.timer.split(":", 2) as [string, string | undefined];',
      "2", "2 + 1", "of however many parts two are taken",
    ],
    [
      'if (approval === undefined || work.answer(request, { type: "DUE", armed: body.armed }) === undefined) return STALE;',
      "approval === undefined", "false", "of a request that nobody knows the answer is undefined too",
    ],
  ),
  ...of(
    "machines/approval.ts",
    [
      'event.type === "APPROVE" || event.type === "REFUSE" || event.type === "EDIT"',
      'event.type === "APPROVE" || event.type === "REFUSE" || event.type === "EDIT"', "true", "the chart records a person's word with these three events alone",
    ],
    [
      ': { by: "" };',
      '{ by: "" }', "{}", "the chart records a person's word with the three events of a person alone",
    ],
    [
      ': { by: "" };',
      '""', '"mutant"', "the chart records a person's word with the three events of a person alone",
    ],
    [
      '...(event.type === "APPROVE" && { person: { issuer: event.issuer, subject: event.subject } }),',
      'event.type === "APPROVE"', "true", "the chart grants by an approval alone",
    ],
    [
      '...(event.type === "APPROVE" && event.standing !== undefined && { standing: event.standing }),',
      'event.type === "APPROVE"', "true", "the chart grants by an approval alone",
    ],
    [
      'event.type === "APPROVE" && !context.people.some(({ by, issuer, subject }) => by === event.by || (issuer === event.issuer && subject === event.subject));',
      'event.type === "APPROVE"', "true", "the chart asks it of an approval alone",
    ],
    [
      'if (event.type !== "APPROVE") return {};',
      'event.type !== "APPROVE"', "false", "the chart adds a grant by an approval alone",
    ],
    [
      'reason: event.type === "STALE" ? event.reason : "",',
      'event.type === "STALE"', "true", "the chart makes a request stale by this event alone",
    ],
    [
      'reason: event.type === "STALE" ? event.reason : "",',
      '""', '"mutant"', "the chart makes a request stale by this event alone",
    ],
    [
      "export const approvalMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { context: {} as ApprovalContext, events: {} as ApprovalEvent, input: {} as ApprovalContext },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'target: "requested",',
      '"requested"', '""', "without a target a state stays what it is, and it is `requested`",
    ],
    [
      'replacement: event.type === "EDIT" ? event.replacement : context.action,',
      'event.type === "EDIT"', "true", "the chart asks it of an edit alone",
    ],
    [
      'diff: event.type === "EDIT" ? event.diff : [],',
      'event.type === "EDIT"', "true", "the chart asks it of an edit alone",
    ],
  ),
  ...of(
    "machines/run.ts",
    [
      'actions: [took(from, "failed", "run.failed", ({ event }: Args) => ({ error: event.type === "FAIL" ? event.error : null }))],',
      'event.type === "FAIL"', "true", "the chart records it of this event alone",
    ],
    [
      'event.type === "FINISH" && event.output !== undefined ? { output: event.output } : {},',
      'event.type === "FINISH"', "true", "the chart records it of this event alone",
    ],
    [
      'actions: [took(state, state, "note.recorded", ({ event }: Args) => ({ text: event.type === "NOTE" ? event.text : "" }))],',
      'event.type === "NOTE"', "true", "the chart records it of this event alone",
    ],
    [
      'actions: [took(state, state, "note.recorded", ({ event }: Args) => ({ text: event.type === "NOTE" ? event.text : "" }))],',
      '""', '"mutant"', "the chart records it of this event alone",
    ],
    [
      "export const runMachine = setup({",
      "{ types: { events: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { events: {} as RunEvent },",
      "{ events: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'reasons: event.type === "TURN_AWAY" ? event.reasons : [],',
      'event.type === "TURN_AWAY"', "true", "the chart records it of this event alone",
    ],
  ),
  ...of(
    "machines/answers.ts",
    [
      'if (record.kind !== "tool" || record.action === undefined) {',
      'record.kind !== "tool"', "false", "only a tool's proposal has an action",
    ],
    [
      'if (record.kind !== "tool" || record.action === undefined) {',
      "record.action === undefined", "false", "a tool's proposal has its action, of the same commit",
    ],
    [
      'const status = STATUS_OF_ACTION[value] ?? "pending";',
      '"pending"', '""', "every state of the chart is in the table: a test asks each",
    ],
    [
      'const waiting = value === "awaiting_approval" ? approvalOf(state, context.id) : undefined;',
      'value === "awaiting_approval"', "true", "a request that is open is about an action that waits for it: for any other none is found",
    ],
  ),
  ...of(
    "services/coordinator/unarmed.ts",
    ["clearTimeout(this.#timer);", "clearTimeout(this.#timer)", "undefined", "the round that comes then finds nothing to arm: both generations are empty"],
    ["this.#young.clear();", "this.#young.clear()", "undefined", "gives memory back: no round comes after a stop"],
    ["this.#old.clear();", "this.#old.clear()", "undefined", "gives memory back: no round comes after a stop"],
  ),
  ...of(
    "services/coordinator/people.ts",
    ["if (this.#disabled.size === 0) return undefined;", "this.#disabled.size === 0", "false", "a short cut: among nobody no one is found"],
  ),
  ...of(
    "services/coordinator/recent.ts",
    ["return this.#told.size === 0 ? undefined : this.#told.get(keyOf(input));", "this.#told.size === 0", "false", "a short cut: an empty map gives undefined"],
    [
      'return `${kind}/${actor}/${id}${kind === "due" ? `/${(body as DueInput).armed}` : ""}`;',
      'kind === "due"', "true", "every key of another kind ends in the same word more, where it is written as where it is looked up",
    ],
    [
      'return `${kind}/${actor}/${id}${kind === "due" ? `/${(body as DueInput).armed}` : ""}`;',
      '""', '"mutant"', "every key of another kind ends in the same word more, where it is written as where it is looked up",
    ],
  ),
  ...of(
    "machines/action.ts",
    [
      'return { ...closed(context), error: undefined, output: outcome.status === "succeeded" ? outcome.output : undefined };',
      'outcome.status === "succeeded"', "true", "the guard of the transition has asked it",
    ],
    [
      "...(context.basis.probes > 0 && { basis: { ...context.basis, probes: 0 } }),",
      "context.basis.probes > 0", "(context.basis.probes) >= (0)", "spares a copy: where there were no probes the count is none already",
    ],
    [
      "...(context.basis.probes > 0 && { basis: { ...context.basis, probes: 0 } }),",
      "context.basis.probes > 0", "true", "spares a copy: where there were no probes the count is none already",
    ],
    [
      'claim: args.event.type === "CLAIM" || args.event.type === "REPORT" ? args.event.claim : undefined,',
      'args.event.type === "CLAIM" || args.event.type === "REPORT"', "true", "the chart grants a claim by these two events alone",
    ],
    [
      "timer: timed ? { at: claimDeadline(args), armed: args.event.seq } : undefined,",
      "timed", "true", "a read that nobody claimed ends in the same step, which sets its timer anew or lets it go",
    ],
    [
      'if (event.type !== "JUDGE" || event.facts.tool === undefined) return {};',
      'event.type !== "JUDGE"', "false", "the chart leads to judgement by this event alone",
    ],
    [
      'if (event.type !== "JUDGE" || event.facts.tool === undefined) return {};',
      "event.facts.tool === undefined", "false", "a tool that nobody knows is a fault, and what has faults is not judged",
    ],
    [
      'guard: ({ event }: Args) => event.type === "JUDGE" && event.facts.faults.length > 0,',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      'setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "JUDGE" ? event.facts.faults : [] })),',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      'guard: ({ event }: Args) => event.type === "JUDGE" && event.missing.length > 0,',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      "...(guard && { guard }),",
      "guard", "true", "a guard that is undefined is none",
    ],
    [
      'error: { code: "run.ended", message: event.type === "CANCEL" ? event.reason : "the run ended", effect: unbegun(context) },',
      'event.type === "CANCEL"', "true", "the chart cancels by this event alone",
    ],
    [
      "export const actionMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {}, requestAp...", "{}", "types, and what stands for actions that nobody executes",
    ],
    [
      "types: { context: {} as ActionContext, events: {} as ActionEvent, input: {} as ActionInput },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {}, requestApproval: (_, _request: { role: string; count: number; ttlMs: number }) => {} },",
      "{ took: (_, _event ) => {}, requestApproval: (_, _request ) => {} }", "{}", "stand for actions that nobody executes: their parameters are collected by `step`",
    ],
    [
      'EXHAUST: deny("reserving", undefined, "budget", ({ event }) => (event.type === "EXHAUST" ? event.reasons : [])),',
      'event.type === "EXHAUST"', "true", "the chart asks it of this event alone",
    ],
    [
      '({ event }) => event.type === "JUDGE" && event.exhausted !== undefined,',
      'event.type === "JUDGE"', "true", "the chart leads to judgement by this event alone",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.exhausted ? [event.exhausted] : []),',
      'event.type === "JUDGE"', "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.exhausted ? [event.exhausted] : []),',
      "event.exhausted", "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => event.type === "JUDGE" && event.facts.guard !== undefined,',
      'event.type === "JUDGE"', "true", "the chart leads to judgement by this event alone",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.facts.guard ? [stopped(event.facts.guard)] : []),',
      'event.type === "JUDGE"', "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.facts.guard ? [stopped(event.facts.guard)] : []),',
      "event.facts.guard", "true", "the guard of the transition has asked it",
    ],
    [
      'approve("validated", ({ event }) => judgementOf(event).decision === "ask" && event.type === "JUDGE" && event.standing !== undefined),',
      'event.type === "JUDGE"', "true", "`judgementOf` gives a denial for every other event",
    ],
    [
      'ttlMs: event.type === "JUDGE" ? event.facts.approval_ttl_ms : 1,',
      'event.type === "JUDGE"', "true", "`judgementOf` gives a denial for every other event, and nobody is asked",
    ],
    [
      'ttlMs: event.type === "JUDGE" ? event.facts.approval_ttl_ms : 1,',
      "1", "1 + 1", "`judgementOf` gives a denial for every other event, and nobody is asked",
    ],
    [
      'setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "REFUSE" ? event.reasons : [] })),',
      'event.type === "REFUSE"', "true", "the chart asks it of this event alone",
    ],
    [
      'REPORT: grantClaim("dispatched", unclaimedRead, false),',
      "false", "true", "a read that nobody claimed ends in the same step, which sets its timer anew or lets it go",
    ],
    [
      'if (event.type !== "HALT") return {};',
      'event.type !== "HALT"', "false", "the chart asks it of this event alone",
    ],
    [
      "guard: ({ context, event }: Args) => context.timer !== undefined && context.timer.at <= event.at,",
      "context.timer !== undefined", "true", "what is to be tried again has its timer",
    ],
    [
      'probedInVain((args) => answersProbe(args) && args.event.type === "PROBED" && args.event.found === "unknown"),',
      'args.event.type === "PROBED"', "true", "`answersProbe` has asked it",
    ],
    [
      'reasons: outcome.status === "succeeded" ? outcome.faults : [],',
      'outcome.status === "succeeded"', "true", "`junk` has asked it",
    ],
  ),
  ...of(
    "services/coordinator/lanes.ts",
    ["if (++this.#head === this.#items.length) {", "{ this.#items = []; this.#head = 0; }", "{}", "gives memory back: what was taken already is not looked at again"],
  ),
  ...of(
    "services/coordinator/desk.ts",
    ["return origin && this.#overdrawn(origin, count);", "origin", "true", "whoever has a rest was over its quota since the last one, and its origin was kept then"],
    ["this.#overQuota.clear();", "this.#overQuota.clear()", "undefined", "gives memory back: who is over its quota again leaves its origin again"],
  ),
  ...of(
    "services/coordinator/sweep.ts",
    ["#round = 0;", "0", "0 + 1", "rounds are only compared with each other"],
    ["let room: () => void = () => undefined;", "undefined", "undefined", "the same text: nothing is changed"],
    [
      'for (const lane of this.#lanes.loaded()) if (lane.kind === "run" && this.#due.has(lane.share)) tokens.add(lane.token);',
      "this.#due.has(lane.share)", "true", "a short cut: whether its share is due is asked of each again before it is taken in hand",
    ],
    [
      "if (this.#due.has(shareOf(token))) tokens.add(token);",
      "this.#due.has(shareOf(token))", "true", "a short cut: whether its share is due is asked of each again before it is taken in hand",
    ],
  ),
];
