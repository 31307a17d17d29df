/** What `export` is about: everything, named runs, or the runs that a filter finds; and their events, in the journal's order. */
import type { RunId } from "../../schemas/ids.ts";
import { positionOf, segmentOf, sequenceOf } from "../../schemas/segments.ts";
import { parseLog, patterns, subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { ERASURES_NAME } from "../identity/erasures-name.ts";
import type { RunRow } from "../projection/index-store.ts";
import { endsOf, type StatusAnswer } from "../projection/views.ts";
import type { ExportOpening } from "../replay/export.ts";
import { EXPORT_VERSION } from "../replay/export-lines.ts";
import type { Messages } from "../replay/journal.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Session } from "./session.ts";
import { noRun, timeOf } from "./sources.ts";

export interface RunFilter {
  readonly agent?: string;
  readonly team?: string;
  readonly state?: string;
  /** Runs with an event in this time: `since` included, `until` included. */
  readonly since?: string;
  readonly until?: string;
}
const FILTERS = ["agent", "team", "state", "since", "until"] as const;

export type Selection = { readonly all: true } | { readonly runs: readonly RunId[]; readonly filter?: Readonly<Record<string, string>> };

export interface Contents {
  readonly opening: ExportOpening;
  /** Can be read once. */
  readonly messages: Messages;
  /** Last position of each segment that it is about. */
  readonly ends: readonly number[];
  /** Journal subjects of the chosen runs and of what is exported with them; none for everything. */
  readonly subjects: ReadonlySet<string>;
}

/** Runs read one after the other, and kept in memory; with more of them the whole journal is read instead, twice. */
const FEW_RUNS = 200;

/** The words of a filter, as the header of the export will hold them; undefined when nothing was said. @throws CliError */
export function filterOf(given: RunFilter): Readonly<Record<string, string>> | undefined {
  const said = FILTERS.flatMap((name) => {
    const value = given[name];
    return value === undefined ? [] : [[name, name === "since" || name === "until" ? timeOf(value) : value] as const];
  });
  return said.length === 0 ? undefined : Object.fromEntries(said);
}

/** The runs that a filter finds in the read model, oldest first. @throws CliError when there is none */
export async function runsBy(session: Session, filter: Readonly<Record<string, string>>): Promise<RunId[]> {
  const { agent, state, team, since, until } = filter;
  const found: RunRow[] = [];
  for (let after: number | undefined; ; ) {
    const page = await session.query<{ runs: RunRow[]; next?: number }>("runs", { limit: 1000, ...(agent && { agent }), ...(state && { state }), ...(after && { after }) });
    found.push(...page.runs.filter((row) => (team === undefined || row.team === team) && (since === undefined || row.updated_at >= since) && (until === undefined || row.started_at <= until)));
    if (page.next === undefined) break;
    after = page.next;
  }
  if (found.length === 0) throw new CliError(EXIT.usage, "no run is like that", "`signalbox runs` lists them");
  return found.reverse().map(({ run }) => run as RunId);
}

/** What the header says, which comes first, is known from the ends of what will follow. @throws CliError, ReadError */
export async function contentsOf(session: Session, selection: Selection): Promise<Contents> {
  const { nc, ns, login, name, role } = session;
  const journal = new SegmentedReader(nc, ns);
  const own = { signalbox_export: EXPORT_VERSION, namespace: ns, plane: withoutSecrets(login.url), exported_by: `${role} ${name}`, exported_at: timestamp(Date.now()) } as const;
  const range = (first: StoredMessage, last: StoredMessage) => ({ first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) });
  const endsNow = async () => endsOf((await session.query<StatusAnswer>("status")).journal).filter((end) => sequenceOf(end) > 0);
  async function* everything(ends: readonly number[]): AsyncGenerator<StoredMessage> {
    for (const end of ends) {
      const segment = segmentOf(end);
      yield* journal.read({ subject: patterns.log(ns, segment), segment, fromSeq: positionOf(segment, 1), untilSeq: end, pageSize: 2000 });
    }
  }
  if ("runs" in selection) {
    const { runs, filter } = selection;
    const what = { runs: [...runs], ...(filter !== undefined && { filter: { ...filter } }) };
    const found = new Set<string>();
    // what was erased is part of what is known of a run: without it nobody could tell why it cannot be judged again
    const erasures = subjects.log(ns, "erasure", ERASURES_NAME);
    if (runs.length <= FEW_RUNS) {
      const messages: StoredMessage[] = [];
      for (const run of runs) {
        const before = messages.length;
        for await (const message of journal.read({ subject: subjects.log(ns, "run", run) })) messages.push(message);
        if (messages.length === before) throw noRun(run);
        found.add((messages[before] as StoredMessage).subject);
      }
      for await (const message of journal.read({ subject: erasures })) {
        messages.push(message);
        found.add(erasures);
      }
      messages.sort((a, b) => a.seq - b.seq);
      return { opening: { ...own, what, range: range(messages[0] as StoredMessage, messages.at(-1) as StoredMessage) }, messages, ends: endsIn(messages), subjects: found };
    }
    const wanted = new Set<string>([...runs.map((run) => `run/${run}`), `erasure/${ERASURES_NAME}`]);
    const until = await endsNow();
    let outer: readonly [StoredMessage, StoredMessage] | undefined;
    const last = new Map<number, number>();
    for await (const message of only(wanted, everything(until))) {
      outer = [outer?.[0] ?? message, message];
      last.set(segmentOf(message.seq), message.seq);
      found.add(message.subject);
    }
    if (outer === undefined) throw noRun(runs[0]);
    const ends = [...last.values()];
    return { opening: { ...own, what, range: range(...outer) }, messages: only(wanted, everything(ends)), ends, subjects: found };
  }
  const ends = await endsNow();
  const end = ends.at(-1) ?? 0;
  const ofEnd = { subject: patterns.log(ns, segmentOf(end)), segment: segmentOf(end), fromSeq: end, untilSeq: end };
  const [first, last] = [await firstOf(everything(ends)), await firstOf(journal.read(ofEnd))];
  if (first === undefined || last === undefined) throw new CliError(EXIT.usage, "the journal holds nothing yet");
  return { opening: { ...own, what: { all: true }, range: range(first, last) }, messages: everything(ends), ends, subjects: new Set() };
}

/** Last positions, one for each segment. */
function endsIn(messages: readonly StoredMessage[]): number[] {
  return [...new Map(messages.map(({ seq }) => [segmentOf(seq), seq])).values()];
}

/** @param wanted aggregates, as `<kind>/<name>` */
async function* only(wanted: ReadonlySet<string>, messages: AsyncIterable<StoredMessage>): AsyncGenerator<StoredMessage> {
  for await (const message of messages) {
    const address = parseLog(message.subject);
    if (address !== undefined && wanted.has(`${address.kind}/${address.name}`)) yield message;
  }
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
