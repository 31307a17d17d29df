/** `segments`: the streams that a journal is spread over, and the next one opened by hand. */
import type { EventData } from "../../schemas/event.ts";
import { SEGMENT_TABLE } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import type { StatusAnswer } from "../projection/views.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { table } from "./io.ts";
import { freshId, refusedBy, send } from "./send.ts";

interface SegmentRow {
  readonly segment: number;
  readonly state: "open" | "opening" | "void" | "closing" | "sealed";
  /** From when on runs start in it; null for the first. */
  readonly from: string | null;
  readonly events: number;
  readonly bytes: number;
  /** Runs that were listed when it was sealed. */
  readonly runs: number | null;
  readonly index: string | null;
}

export function segmentCommands(cli: Cli): void {
  const segments = cli.program.command("segments").description("the streams that the journal is spread over");
  const list = segments.command("list", { isDefault: true }).description("every segment: since when, how large, sealed or not");
  examples(list, "segments", "segments list --json");
  list.action(async (_options, self) => {
    const rows = await inSession(cli, self, "read", async ({ nc, ns, query }) => {
      const status = await query<StatusAnswer>("status");
      const known = await new SegmentedReader(nc, ns).refresh();
      return known.segments.map(({ segment, from, counts, sealed }): SegmentRow => {
        const size = status.journal.segments?.find((one) => one.segment === segment) ?? (segment === 1 ? status.journal : { messages: 0, bytes: 0 });
        const over = known.endOf(segment) ?? Number.POSITIVE_INFINITY;
        const now = Date.parse(status.now);
        const state = sealed !== undefined ? "sealed" : !counts ? "void" : from > now ? "opening" : over <= now ? "closing" : "open";
        return { segment, state, from: from === 0 ? null : timestamp(from), events: size.messages, bytes: size.bytes, runs: sealed?.runs ?? null, index: sealed?.index ?? null };
      });
    });
    show(cli, self, { segments: rows }, () =>
      table(
        ["SEGMENT", "STATE", "RUNS START FROM", "EVENTS", "MIB", "RUNS", "INDEX"],
        rows.map(({ segment, state, from, events, bytes, runs, index }) => [segment, state, from ?? "the beginning", events, (bytes / 1024 / 1024).toFixed(1), runs ?? "", index?.slice(0, 19) ?? ""]),
        cli.paint,
      ),
    );
  });

  const opening = segments.command("open").option("--reason <text>", "recorded").description("have the next segment opened before the newest is full");
  examples(opening, 'segments open --reason "a large import"').addHelpText("after", "\nExit codes:\n  0 opened; runs start in it two minutes later   3 refused   7 plane unreachable");
  opening.action(async ({ reason }: { reason?: string }, self) => {
    const opened = await inSession(cli, self, "operate", async (session) => {
      const hear = subjects.live(session.ns, SEGMENT_TABLE.kind, SEGMENT_TABLE.name);
      const outcome = await send(session, { kind: "control", aggregate: SEGMENT_TABLE, body: { id: freshId(), verb: "open", ...(reason !== undefined && { reason }) }, hear });
      if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons);
      return outcome.event.data as unknown as EventData<"segments.opened">;
    });
    const { segment, from } = opened;
    show(cli, self, { segment, from }, () => `${cli.paint.green("opened")}  segment ${segment}: runs start in it from ${from} on`);
  });
}
