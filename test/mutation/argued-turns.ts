/** Arguments for mutants of turns and of what they rest on: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const TURNS: readonly Argued[] = [
  ...of(
    "services/coordinator/committer.ts",
    [
      'if (error.kind !== "conflict" && attempt === (FULL.has(error.code ?? 0) ? 1 : ALARM_AFTER)) {',
      "0", "0 + 1", "stands for no code of the server's, as any other small number does",
    ],
    ['if (error.kind === "refused" && !FULL.has(error.code ?? 0)) {', "0", "0 + 1", "stands for no code of the server's, as any other small number does"],
    [
      "if (this.#maySend(segment) || !slots.some(starts)) return slots;",
      "!slots.some(starts)", "false", "a short cut: where nothing starts nothing is left out",
    ],
    [
      'if (sent === undefined || Buffer.compare(sent.data, message.data) !== 0) return { kind: "moved" };',
      "sent === undefined", "false", "for the compiler: no part is empty, and behind the last event of one nothing more is read",
    ],
  ),
  ...of(
    "services/coordinator/outbox.ts",
    ["this.#arm(run, debt).catch(() => undefined);", "undefined", "undefined", "the same text: nothing is changed"],
    ["this.#unarmed.stop();", "this.#unarmed.stop()", "undefined", "a round that comes then sends nothing: nothing is tried after a stop"],
    ["if (isNewest()) this.#arming.delete(key);", "isNewest()", "false", "gives memory back: the next timer of that name takes its place"],
    ["if (isNewest()) this.#arming.delete(key);", "this.#arming.delete(key)", "undefined", "gives memory back: the next timer of that name takes its place"],
    ["...(id !== undefined && { id }),", "id !== undefined", "true", "JSON leaves out what is undefined"],
    [
      'this.#log.warn({ error: String(error), kind: error instanceof PublishError ? error.kind : undefined }, "an effect is tried again");',
      "error instanceof PublishError", "true", "no other error has a kind",
    ],
  ),
  ...of(
    "services/coordinator/arrival.ts",
    [
      "traceparent: traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : undefined,",
      "traceparent !== undefined", "true", "for the compiler: the word `undefined` is no trace",
    ],
    ['const token = message.subject.split(".").at(-1) ?? "";', '""', '"mutant"', "for the compiler: every text has a last part"],
    ['const body = readBody(message.data, "application/json");', '"application/json"', '""', "what says nothing of its type is JSON"],
    ["const parsed = body.ok ? dueSchema.safeParse(body.value) : undefined;", "body.ok", "true", "what cannot be read has no value, and fits nothing"],
    ["const MAX_LEGAL = 16_384;", "16_384", "16_384 + 1", "memory: how many are remembered changes no answer"],
    ["if (LEGAL.has(subject)) return [];", "LEGAL.has(subject)", "false", "a short cut: what was found legal is found legal again"],
    ["if (faults.length === 0) {", "faults.length === 0", "false", "a short cut: what was found legal is found legal again"],
    ["if (faults.length === 0) {", "{ if (LEGAL.size >= MAX_LEGAL) LEGAL.clear(); LEGAL.set(subject, address); }", "{}", "a short cut: what was found legal is found legal again"],
    ["LEGAL.set(subject, address);", "LEGAL.set(subject, address)", "undefined", "a short cut: what was found legal is found legal again"],
    ...(
      [
        ["LEGAL.size >= MAX_LEGAL", "(LEGAL.size) > (MAX_LEGAL)"],
        ["LEGAL.size >= MAX_LEGAL", "(LEGAL.size) < (MAX_LEGAL)"],
        ["LEGAL.size >= MAX_LEGAL", "true"],
        ["LEGAL.size >= MAX_LEGAL", "false"],
        ["LEGAL.clear()", "undefined"],
      ] as const
    ).map(([from, to]) => ["if (LEGAL.size >= MAX_LEGAL) LEGAL.clear();", from, to, "memory: how many are remembered changes no answer"] as const),
    ...["value === \"object\"", "Array.isArray(value)"].map(
      (what) =>
        [
          'const id = typeof value === "object" && value !== null && !Array.isArray(value) ? value["id"] : undefined;',
          what.startsWith("value") ? `typeof ${what}` : `!${what}`,
          "true",
          "for the compiler: no text, number or list has a member of that name",
        ] as const,
    ),
    ...['typeof value !== "object"', "Array.isArray(value)"].map(
      (what) =>
        [
          'if (kind !== "propose" || typeof value !== "object" || value === null || Array.isArray(value)) return undefined;',
          what,
          "false",
          "for the compiler: no text, number or list has a member of that name",
        ] as const,
    ),
    ['if (typeof said !== "string" || !PLANNED_KINDS.includes(said)) return undefined;', 'typeof said !== "string"', "false", "for the compiler: no kind that is planned is anything else"],
  ),
  ...of("services/coordinator/loader.ts", ["if (chosen === undefined) return;", "chosen === undefined", "false", "for the compiler: where nobody waits nobody is let in"]),
  ...of(
    "services/coordinator/turn.ts",
    ...["queue", "arrival"].map((what) => ["if (queue === undefined || arrival === undefined) break;", `${what} === undefined`, "false", "for the compiler: a lane's queue is never an empty one, and the other half asks the same"] as const),
    ...[
      ['decision.kind !== "refuse"', "true"],
      ['"refuse"', '""'],
    ].map(
      ([from = "", to = ""]) =>
        [
          'if (decision.kind !== "refuse") open.done.push({ arrival, refused: undefined, grant: undefined, reply: decision.reply });',
          from,
          to,
          "for the compiler: what was refused has left before",
        ] as const,
    ),
    ...[
      ['"segments"', '""'],
      ["0", "0 + 1"],
    ].map(
      ([from = "", to = ""]) =>
        [
          'const facts = placement?.facts(arrival) ?? { kind: "segments" as const, streams: 1, lead_ms: 0 };',
          from,
          to,
          "one stream has no room for a second segment: everything is refused, and facts of what is refused are not recorded",
        ] as const,
    ),
    [
      'if (value !== "started" || state.actions.get(id)?.value !== "dispatched" || change.proposals.size > 0) continue;',
      'state.actions.get(id)?.value !== "dispatched"', "false", "the chart comes to `started` from `dispatched` alone",
    ],
    ...[
      ["change.proposals.size > 0", "false"],
      ["0", "0 + 1"],
    ].map(
      ([from = "", to = ""]) =>
        [
          'if (value !== "started" || state.actions.get(id)?.value !== "dispatched" || change.proposals.size > 0) continue;',
          from,
          to,
          "an action begins by a claim, and no claim is a proposal",
        ] as const,
    ),
    [
      'if (input.kind === "propose" && input.body.kind === "tool") return guardHit(sources, state, input.body.tool);',
      'input.kind === "propose"', "true", "for the compiler: no other input's body has a kind",
    ],
    [
      'if (input.kind !== "report" || input.body.status !== "started") return undefined;',
      'input.kind !== "report"', "false", "for the compiler: no other input's body has a status",
    ],
    ['const traceparent = "traceparent" in from ? from.traceparent : undefined;', '"traceparent" in from', "true", "for the compiler: what is not there is undefined"],
    ["...(traceparent !== undefined && { traceparent }),", "traceparent !== undefined", "true", "what is undefined is not encoded"],
    ['if (input.kind === "due") open.strays.push(input.body);', 'input.kind === "due"', "true", "for the compiler: only a timer is ignored"],
    ["if (action !== undefined) open.answers.add(`${action.agent}/${action.proposal}`);", "action !== undefined", "true", "for the compiler: a report that was recorded once is about an action that there is"],
    ...(["arrival.for !== \"run\"", "arrival.input.kind !== \"report\""] as const).map(
      (what) =>
        [
          'if (arrival.for !== "run" || arrival.input.kind !== "report") return undefined;',
          what,
          "false",
          "for the compiler: only a run's input is asked about, only a report has a status, and a grant for anything else is none",
        ] as const,
    ),
  ),
  ...of(
    "services/coordinator/turns.ts",
    ["if (this.#queued) return;", "this.#queued", "false", "a short cut: who is woken twice finds nothing the second time"],
    ["this.#queued = true;", "true", "false", "a short cut: who is woken twice finds nothing the second time"],
    ["while (room > 0) {", "0", "0 + 1", "how full a batch becomes is a matter of speed"],
    ["more = true;", "true", "false", "a second look in one go finds nothing: the first ended where nobody was left"],
    ["if (!more) return;", "!more", "true", "a second look in one go finds nothing: the first ended where nobody was left"],
    [
      "else void this.#refreshed().then(() => this.#conclude(turn), (error: unknown) => this.#unless(error));",
      "this.#unless(error)", "undefined", "only a stop ends the question, and of a stop nothing is said",
    ],
    ['const parts = batch.map(({ lane, expected, events }) => ({ subject: lane.loaded?.subject ?? "", expected, events }));', '""', '"mutant"', "for the compiler: what was decided was loaded"],
    ["if (loaded !== undefined) loaded.streamSeq = landing.last;", "loaded !== undefined", "true", "for the compiler: what was decided was loaded"],
    [
      "if (digest !== undefined) await applied.put(lane.kind as DocumentKind, lane.name, digest, lane.loaded?.head.seq ?? 0);",
      "0", "0 + 1", "for the compiler: what was decided was loaded",
    ],
    ["const { gateway, grant: body } = loaded === undefined ? grant : guarded(sources, loaded, grant);", "loaded === undefined", "false", "for the compiler: what was decided was loaded"],
    [
      'for (const debt of debts) if (debt.kind === "timer" && strays.some((stray) => replaced(debt, stray))) lane.issued.delete(debt.key);',
      'debt.kind === "timer"', "true", "for the compiler: no timer has the name of a signal, and a dispatch has none",
    ],
    ['if (lane.loaded?.kind === "run" && lane.loaded.head.seq === 0) lane.loaded = undefined;', "lane.loaded.head.seq === 0", "true", "only a run without an event asks for the table"],
    ...['arrival?.for !== "run"', "arrival.principal !== token"].map(
      (what) => ['if (arrival?.for !== "run" || arrival.principal !== token) return;', what, "false", "for the compiler: it is asked in one go with the turn that needed it, of the same input"] as const,
    ),
    ['if (arrival?.for !== "erasure") return;', 'arrival?.for !== "erasure"', "false", "for the compiler: it is asked in one go with the turn that needed it, of the same input"],
    ["arrival.stored = (await this.#parts.sources.personal.stored(subject).catch(() => undefined)) ?? null;", "undefined", "undefined", "the same text: nothing is changed"],
  ),
  ...of(
    "services/coordinator/facts.ts",
    [
      'if (input.body.verb === "resolve" && input.body.outcome === "succeeded" && input.body.output !== undefined) {',
      'input.body.verb === "resolve"', "true", "for the compiler: no other control has an outcome",
    ],
    [
      'return status === "succeeded" || (status === "probed" && probe?.found === "done" && error === undefined);',
      'status === "probed"', "true", "for the compiler: no report of another status has a probe",
    ],
    ...[
      ['header === ""', "false"],
      ['""', '"mutant"'],
    ].map(
      ([from = "", to = ""]) => ['if (header === undefined || header === "" || isFirst(state)) return undefined;', from, to, "a short cut: an empty header is found to be nobody's, and nobody is no fresh principal"] as const,
    ),
    ['if (body.name !== "leased") return NO_FACTS;', 'body.name !== "leased"', "false", "for the compiler: no other signal readies an action"],
    ["if (guard.empty) return people.disabled(principal);", "guard.empty", "false", "a short cut: where nothing stands nothing is found"],
    ['if (action === undefined || approval?.value !== "requested") return about;', "action === undefined", "false", "for the compiler: an approval that there is is of an action"],
    ["const approval = request === undefined ? undefined : state.approvals.get(request);", "request === undefined", "false", "for the compiler: nothing is kept under no name"],
    ["const action = id === undefined ? undefined : state.actions.get(id)?.context;", "id === undefined", "false", "for the compiler: nothing is kept under no name"],
    ["const tool = name === undefined ? undefined : registry.tool(name);", "name === undefined", "false", "for the compiler: nothing is kept under no name"],
    ['const digest = documents.tool ?? "";', '""', '"mutant"', "for the compiler: whoever comes here was given the tool by this digest"],
    ...['typeof value !== "object"', "Array.isArray(value)"].map(
      (what) => ['if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;', what, "false", "for the compiler: no text, number or list has a member of that name"] as const,
    ),
    ['if (typeof value["$doc"] !== "string") return undefined;', 'typeof value["$doc"] !== "string"', "false", "a short cut: what is no text is no digest"],
    ["return parsed.success && Object.keys(value).length <= 2 ? parsed.data : undefined;", "parsed.success", "true", "for the compiler: what did not fit has no data"],
  ),
];
