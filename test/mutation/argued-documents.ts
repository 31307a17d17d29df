/** Arguments for mutants of documents, segments, erasures and what is small: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const DOCUMENTS: readonly Argued[] = [
  ...of(
    "machines/amounts.ts",
    [
      "const own = but === undefined ? undefined : state.actions.get(but)?.context;",
      "but === undefined", "false", "nothing is known of an action without a name: the map has no state for it",
    ],
    [
      "const counts = but !== undefined && state.open.has(but) && own?.basis.amount !== undefined;",
      "but !== undefined", "true", "no action without a name is open",
    ],
    [
      "const units = key === counted ? sum - (own?.basis.amount?.units ?? 0) : sum;",
      "0", "0 + 1", "a sum is told apart only for an action that has an amount",
    ],
  ),
  ...of(
    "machines/diff.ts",
    [
      "if (before === undefined && after === undefined) return [];",
      "before === undefined && after === undefined", "false", "places and names are taken from the two values: one of them is there",
    ],
  ),
  ...of(
    "machines/registry.ts",
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      'state.at === ""', "false", "a short cut: any time is later than none",
    ],
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      '""', '"mutant"', "a short cut: any time is later than none",
    ],
  ),
  ...of(
    "machines/view.ts",
    [
      'const risk = judgement !== undefined && "risk" in judgement ? judgement.risk : undefined;',
      '"risk" in judgement', "true", "a judgement without a risk has none: undefined as well",
    ],
  ),
  ...of(
    "machines/erasure.ts",
    [
      "export const erasureMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and an action that nobody executes",
    ],
    [
      'types: { context: {} as ErasureContext, events: {} as ErasureEvent, input: {} as Pick<ErasureContext, "subject" | "key"> },',
      "{ context: {} , events: {} , input: {} }", "{}", "only for the compiler: XState does not read it",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'context: ({ input }) => ({ ...input, by: "", reason: "" }),',
      '""', '"mutant"', "overwritten by the request, before anything is recorded",
    ],
    [
      'assign<ErasureContext, ErasureEvent, undefined, ErasureEvent, never>(({ event }) => (event.type === "ERASE" ? { by: event.by, reason: event.reason } : {})),',
      'event.type === "ERASE"', "true", "the transition is taken by no other event",
    ],
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      'state.at === ""', "false", "a short cut: any time is later than none",
    ],
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      '""', '"mutant"', "a short cut: any time is later than none",
    ],
  ),
  ...of(
    "machines/segments.ts",
    [
      "export const segmentMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and an action that nobody executes",
    ],
    [
      "types: { context: {} as SegmentContext, events: {} as SegmentEvent, input: {} as SegmentContext },",
      "{ context: {} , events: {} , input: {} }", "{}", "only for the compiler: XState does not read it",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      'state.at === ""', "false", "a short cut: any time is later than none",
    ],
    [
      'const at = state.at === "" ? input.time : later(state.at, input.time);',
      '""', '"mutant"', "a short cut: any time is later than none",
    ],
    [
      'if ("name" in body && body.name === "seal") {',
      '"name" in body', "true", "a control has no name: undefined is not `seal`",
    ],
    [
      'if ((state.segments.get(newest)?.context.from ?? "") > at) return refuse(reason("segments.pending", `segment \\`${newest}\\` is opened already, and no run has started in it`));',
      '""', '"mutant"', "the newest segment is always there",
    ],
  ),
  ...of(
    "machines/document.ts",
    [
      "export const documentMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and an action that nobody executes",
    ],
    [
      'types: { context: {} as DocumentContext, events: {} as DocumentEvent, input: {} as Pick<DocumentContext, "applied"> },',
      "{ context: {} , events: {} , input: {} }", "{}", "only for the compiler: XState does not read it",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
  ),
];
