/** `replay --follow`: every event checked as it is recorded, from the journal's first on, until Ctrl-C. */
import type { Command } from "commander";
import { positionText, segmentOf } from "../../schemas/segments.ts";
import { parseLog } from "../../schemas/subjects.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SegmentsFollower } from "../projection/segments-follower.ts";
import { endsOf, type StatusAnswer } from "../projection/views.ts";
import { Library, storedDocuments } from "../replay/documents.ts";
import { Checks, type Found } from "../replay/journal.ts";
import { Bench } from "../replay/judge.ts";
import { replayText, verifyText } from "./checked.ts";
import { type Cli, globalsOf, inSession } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import { type Chosen, usage } from "./sources.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

/** The count is for people who wait: once a second is often enough. */
const COUNT_MS = 1000;

export async function follow(cli: Cli, self: Command, named: string | undefined, options: Chosen & { readonly judge?: boolean; readonly allowErased?: boolean }): Promise<void> {
  if (options.file !== undefined) throw usage(self, "an export does not go on: nothing follows");
  const text = named ?? options.run;
  const wanted = text === undefined ? undefined : runOf(text);
  const asJson = globalsOf(self).json === true;
  const { io, paint } = cli;
  await inSession(cli, self, "read", async ({ nc, ns, query }) => {
    const bench = options.judge === true ? new Bench(new Library(storedDocuments(nc, ns))) : undefined;
    const checks = new Checks(ns, bench);
    const total = { events: 0, aggregates: 0, wrong: 0, journal_seq: 0 };
    /** An erasure may come after what it made unreadable: this is counted when it is told, and not event by event. */
    const unjudged = () => (bench === undefined ? undefined : checks.unjudged);
    /** Last position taken of each segment. */
    const taken = new Map<number, number>();
    let told = -Infinity;
    const count = (now: boolean) => {
      if (!now && performance.now() - told < COUNT_MS) return;
      told = performance.now();
      total.aggregates = checks.aggregates;
      const { events, aggregates, wrong, journal_seq } = total;
      const judged = unjudged();
      const rest = judged === undefined ? "" : `${judged.erased > 0 ? `, ${judged.erased} not recomputable because erased` : ""}${judged.unknown > 0 ? `, ${judged.unknown} cannot be judged` : ""}`;
      const words = `${events} event(s) of ${aggregates} checked, ${wrong} wrong${rest}, up to journal sequence ${positionText(journal_seq)}`;
      line(io.stdout, asJson ? JSON.stringify({ count: { ...total, ...judged } }) : paint.dim(words));
    };
    const found = (one: Found) => {
      total.wrong += 1;
      const { replay, verify, judge } = one.checked;
      if (asJson) line(io.stdout, JSON.stringify({ found: { kind: one.kind, name: one.name, difference: replay.difference, fault: verify.fault, judge } }));
      else line(io.stdout, verify.fault === undefined ? replayText(one.checked, paint) : `${replayText(one.checked, paint)}\n${verifyText(one.checked, paint)}`);
    };
    const listener = {
      name: "replay",
      from: 1,
      take: async (batch: readonly StoredMessage[]) => {
        for (const message of batch) {
          // a batch that failed half way comes again
          if (message.seq <= (taken.get(segmentOf(message.seq)) ?? 0)) continue;
          // a run alone does not say what was erased
          bench?.note(message);
          if (wanted === undefined || parseLog(message.subject)?.name === wanted) {
            const pending = checks.take(message);
            if (pending !== undefined) await pending;
            total.events += 1;
            const one = checks.fresh(message);
            if (one !== undefined) found(one);
          }
          total.journal_seq = message.seq;
          taken.set(segmentOf(message.seq), message.seq);
        }
        count(false);
      },
    };
    const alarm = (message: string, cause?: unknown) => {
      line(io.stderr, `alarm: ${visible(message)}`);
      // what cannot be read now is tried again; a hole stays
      if (cause === undefined) total.wrong += 1;
    };
    const ends = async () => endsOf((await query<StatusAnswer>("status")).journal);
    const follower = new SegmentsFollower(nc, ns, [listener], { ends, onAlarm: alarm });
    await follower.start();
    count(true);
    const lost = await Promise.race([stopped(io.signal), nc.closed().then(() => true)]);
    await follower.stop();
    count(true);
    const { erased = 0, unknown = 0 } = unjudged() ?? {};
    if (total.wrong > 0 || unknown > 0 || (erased > 0 && options.allowErased !== true)) cli.ends(EXIT.failed);
    if (lost) throw new CliError(EXIT.unreachable, "the connection to the plane was lost", "run it again: it begins with the first event");
  }, { lasting: true });
}

function stopped(signal: AbortSignal): Promise<false> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(false), { once: true }));
}
