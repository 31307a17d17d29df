/**
 * Answers questions to the read model, as a NATS micro service: `signalbox.<ns>.query.<what>`, JSON in and out.
 * What each role may ask is decided by the broker; here an approver and an auditor are the same.
 */
import { z } from "zod";
import { ledgerNameSchema, type LedgerName, type Namespace, type RunId, runIdSchema } from "../../schemas/ids.ts";
import { scopeSchema, unitSchema } from "../../schemas/inputs.ts";
import { sequenceOf } from "../../schemas/segments.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { JournalEvent } from "../bus/commit.ts";
import { configurationFaults, segmentFaults } from "../bus/configured.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { StreamReader, type StreamState } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { type RunningService, serve, type ServiceEndpoint } from "../bus/service.ts";
import { eventsOf, FRESH_MS, respond, Unanswerable, unknownRun } from "./answering.ts";
import { runView } from "./fold-view.ts";
import { inFlight } from "./in-flight.ts";
import { approvalAnswer, whyView } from "./why-view.ts";
import type { SegmentsFollower } from "./segments-follower.ts";
import type { LedgerRow } from "./index-ledgers.ts";
import type { StopRow } from "./index-stops.ts";
import type { RunIndex } from "./index-store.ts";
import type { FlightAnswer, LedgerAnswer, OwingAnswer, RunView, StatusAnswer } from "./views.ts";

const filter = z.strictObject({
  agent: z.string().max(64).optional(),
  state: z.string().max(64).optional(),
  limit: z.int().min(1).max(1000).optional(),
  after: z.int().min(1).optional(),
});
const ofLedger = z.strictObject({ ledger: ledgerNameSchema });
const runOnly = z.strictObject({ run: runIdSchema });
const ofAction = z.strictObject({ run: runIdSchema, action: z.string().max(16) });
const ofApproval = z
  .strictObject({ request: z.string().max(16).optional(), action: z.string().max(16).optional() })
  .refine(({ request, action }) => (request === undefined) !== (action === undefined), "expected `request` or `action`");
const ofScope = z.strictObject({ scope: scopeSchema.optional() });
const ofLedgers = z.strictObject({ day: z.iso.date().optional(), unit: unitSchema.optional(), limit: z.int().min(1).max(1000).optional() });
const nothing = z.strictObject({});

/** Below the server's 8 MiB, with room for headers. */
const MAX_ANSWER = 6 * 1024 * 1024;

export interface QueryParts {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly index: RunIndex;
  readonly follower: SegmentsFollower;
  readonly version: string;
}

/** Begins to answer, and returns when the server knows of it. */
export function serveQueries(parts: QueryParts): Promise<RunningService> {
  const answers = new Answers(parts);
  const endpoint = (name: string, what: string, answer: (body: unknown, subject: string) => Promise<unknown>): ServiceEndpoint => ({
    name,
    subject: subjects.query(parts.ns, what),
    // whoever may ask may know what is wrong with the reader
    handler: (request) => void respond(request, { answer: async () => bytesOf(await answer(bodyOf(request.data), request.subject)), said: (error) => (error as Error).message }),
  });
  const about = {
    name: `signalbox-query-${parts.ns}`,
    version: parts.version,
    description: `runs, approvals and evidence of the namespace ${parts.ns}`,
  };
  return serve(parts.nc, about, [
    endpoint("status", "status", (body) => answers.status(parse(nothing, body))),
    endpoint("runs", "runs", (body) => answers.runs(parse(filter, body))),
    endpoint("run", "run", (body) => answers.run(parse(runOnly, body).run)),
    endpoint("why", "why", (body) => answers.why(parse(ofAction, body))),
    endpoint("documents", "documents", (body) => answers.documents(parse(nothing, body))),
    endpoint("approvals", "approvals", (body) => answers.approvals(parse(nothing, body))),
    endpoint("in-flight", "in-flight", (body) => answers.inFlight(parse(ofScope, body).scope)),
    endpoint("stops", "stops", (body) => answers.stops(parse(nothing, body))),
    endpoint("ledgers", "ledgers", (body) => answers.ledgers(parse(ofLedgers, body))),
    endpoint("owing", "owing", (body) => answers.owing(parse(nothing, body))),
    endpoint("ledger", "ledger.>", (body, subject) => {
      parse(nothing, body);
      return answers.ledger(parse(ofLedger, { ledger: subject.split(".").slice(4).join(".") }).ledger);
    }),
    endpoint("approval", "approval.*", (body, subject) => {
      const { run } = parse(runOnly, { run: subject.split(".").at(-1) });
      return answers.approval(run, parse(ofApproval, body));
    }),
  ]);
}

function bytesOf(answer: unknown): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(answer));
  if (bytes.length > MAX_ANSWER) throw new Unanswerable(413, `the answer has ${bytes.length} bytes, more than ${MAX_ANSWER}`);
  return bytes;
}

class Answers {
  readonly #parts: QueryParts;
  readonly #reader: SegmentedReader;
  constructor(parts: QueryParts) {
    this.#parts = parts;
    this.#reader = new SegmentedReader(parts.nc, parts.ns);
  }

  async status(_: unknown): Promise<StatusAnswer> {
    const { index, follower, ns } = this.#parts;
    await follower.current(FRESH_MS);
    const states = await this.#reader.infos();
    const counts = index.counts();
    const documents: Record<string, number> = {};
    for (const { kind } of index.documents()) documents[kind] = (documents[kind] ?? 0) + 1;
    return {
      ns,
      runs: counts.runs,
      approvals_waiting: counts.approvals,
      stops_standing: index.stops.standing(),
      in_flight: index.flight.all().filter(({ state }) => state === "started" || state === "in_doubt").length,
      runs_owing: counts.owing,
      journal: this.#journal(states),
      configuration_faults: await this.#configurationFaults(),
      indexed: index.checkpoint,
      alarms: index.alarms(),
      documents,
      now: new Date().toISOString(),
    };
  }

  #journal(states: ReadonlyMap<number, StreamState>): StatusAnswer["journal"] {
    const segments = [...states].map(([segment, { messages, bytes, lastSeq }]) => ({ segment, messages, bytes, last_seq: lastSeq, indexed: sequenceOf(this.#parts.index.checkpointOf(segment)), sealed: this.#reader.table.segments.find((one) => one.segment === segment)?.sealed?.runs ?? null }));
    const sum = (of: (one: (typeof segments)[number]) => number) => segments.reduce((total, one) => total + of(one), 0);
    const whole = { messages: sum((one) => one.messages), bytes: sum((one) => one.bytes), last_seq: states.get(1)?.lastSeq ?? 0 };
    return segments.length > 1 ? { ...whole, segments } : whole;
  }

  /** Of the streams that a reader may look at: those that hold what cannot be rebuilt. */
  async #configurationFaults(): Promise<string[]> {
    const { nc, ns } = this.#parts;
    const faults: string[] = [];
    for (const kind of ["JOURNAL", "DOCUMENTS"] as const) {
      for (const field of await configurationFaults(nc, kind, ns)) faults.push(`${kind}.${field}`);
    }
    for (const { segment } of this.#reader.table.segments.slice(1)) {
      for (const field of await segmentFaults(nc, ns, segment)) faults.push(`JOURNAL_${segment}.${field}`);
    }
    return faults;
  }

  async runs(wanted: z.infer<typeof filter>): Promise<unknown> {
    await this.#parts.follower.current(FRESH_MS);
    const { agent, state, limit = 50, after } = wanted;
    const runs = this.#parts.index.runs({
      limit,
      ...(agent !== undefined && { agent }),
      ...(state !== undefined && { state }),
      ...(after !== undefined && { after }),
    });
    // a full page may have a next one
    const last = runs.at(-1);
    return { runs, ...(runs.length === limit && last && { next: last.first_stream_seq }) };
  }

  async run(run: RunId): Promise<RunView> {
    const view = runView(await this.#events(run));
    if (view === undefined) throw unknownRun(run);
    // a run of thousands of steps: its newest events are the ones that are looked for
    const bytes = JSON.stringify(view).length;
    if (bytes <= MAX_ANSWER / 2) return view;
    return { ...view, timeline: view.timeline.slice(-500), actions: view.actions.slice(-200) };
  }

  async why({ run, action }: z.infer<typeof ofAction>): Promise<unknown> {
    const view = whyView(await this.#events(run), action);
    if (view === undefined) throw new Unanswerable(404, `run \`${run}\` has no action \`${action}\``);
    return view;
  }

  async documents(_: unknown): Promise<unknown> {
    await this.#parts.follower.current(FRESH_MS);
    return { documents: this.#parts.index.documents() };
  }

  async approvals(_: unknown): Promise<unknown> {
    await this.#parts.follower.current(FRESH_MS);
    return { approvals: this.#parts.index.openApprovals() };
  }

  async approval(run: RunId, { request, action }: z.infer<typeof ofApproval>): Promise<unknown> {
    const wanted = { ...(request !== undefined && { request }), ...(action !== undefined && { action }) };
    const answer = approvalAnswer(await this.#events(run), wanted);
    if (answer === undefined) throw new Unanswerable(404, `run \`${run}\` asked nobody for \`${request ?? action}\``);
    return answer;
  }

  /** What a stop finds: what is happening already, and what will not. */
  async inFlight(scope: string | undefined): Promise<FlightAnswer> {
    const { follower, index, nc, ns } = this.#parts;
    await follower.current(FRESH_MS);
    return inFlight(index, new StreamReader(nc, streamName("DOCUMENTS", ns)), ns, scope);
  }

  async stops(_: unknown): Promise<{ stops: StopRow[] }> {
    await this.#parts.follower.current(FRESH_MS);
    return { stops: this.#parts.index.stops.list() };
  }

  async ledgers({ day, unit, limit }: z.infer<typeof ofLedgers>): Promise<{ ledgers: LedgerRow[] }> {
    await this.#parts.follower.current(FRESH_MS);
    const filter = { ...(day !== undefined && { day }), ...(unit !== undefined && { unit }), ...(limit !== undefined && { limit }) };
    return { ledgers: this.#parts.index.ledgers.list(filter) };
  }

  async ledger(ledger: LedgerName): Promise<LedgerAnswer> {
    await this.#parts.follower.current(FRESH_MS);
    const { ledgers } = this.#parts.index;
    const windows = ledgers.of(ledger);
    if (windows.length === 0) throw new Unanswerable(404, `nothing was leased of \`${ledger}\``);
    return { ledger, windows, holders: ledgers.holders(ledger) };
  }

  async owing(_: unknown): Promise<OwingAnswer> {
    await this.#parts.follower.current(FRESH_MS);
    return { runs: this.#parts.index.owing() };
  }

  #events(run: RunId): Promise<JournalEvent[]> {
    return eventsOf({ ...this.#parts, journal: this.#reader }, run);
  }
}

function bodyOf(data: Uint8Array): unknown {
  if (data.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined;
  }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Unanswerable(400, `\`${issue?.path.join("/") ?? ""}\`: ${issue?.message ?? "not a question"}`);
}
