/** `tail`: events as they happen, from the journal, in order and without gaps. */
import { type RunId, runIdSchema } from "../../schemas/ids.ts";
import { positionOf, segmentOf, sequenceOf } from "../../schemas/segments.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, type JournalEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SegmentsFollower } from "../projection/segments-follower.ts";
import { endsOf, type StatusAnswer } from "../projection/views.ts";
import { type Cli, examples, globalsOf, inSession } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { formatEvent } from "./format.ts";
import { line } from "./io.ts";
import { count } from "./read.ts";

export function tailCommand(cli: Cli): void {
  const command = cli.program.command("tail").argument("[run]");
  command
    .description("events as they happen, until Ctrl-C")
    .option("--from <seq>", "begin at this sequence of the journal; 1 is everything", count)
    .option("--no-follow", "end with what the journal holds now");
  examples(command, "tail", "tail refund-assistant_demo --from 1", "tail --from 1 --no-follow --json");
  command.action(async (run: string | undefined, options: { from?: number; follow: boolean }, self) => {
    const wanted = run === undefined ? undefined : runOf(run);
    const asJson = globalsOf(self).json === true;
    const print = (event: JournalEvent) => {
      line(cli.io.stdout, asJson ? JSON.stringify(eventJson(event)) : formatEvent(event, cli.paint));
    };
    await inSession(cli, self, "read", async ({ nc, ns, query }) => {
      // who may read the journal may not therefore ask JetStream about it
      const ends = async () => endsOf((await query<StatusAnswer>("status")).journal);
      const now = options.from === undefined && options.follow ? await ends() : [];
      const listener = {
        name: "tail",
        from: options.from ?? (now[0] ?? 0) + 1,
        fromIn: (segment: number) => sequenceOf(Math.max(positionOf(segment, 1), ...[...now.map((end) => end + 1), options.from ?? 1].filter((first) => segmentOf(first) === segment))),
        take: (batch: readonly StoredMessage[]) => {
          for (const message of batch) {
            if (wanted !== undefined && parseLog(message.subject)?.name !== wanted) continue;
            print(decodeEvent(message));
          }
        },
      };
      const follower = new SegmentsFollower(nc, ns, [listener], { ends, onAlarm: (message) => line(cli.io.stderr, `alarm: ${message}`) });
      await follower.start();
      if (options.follow) {
        const lost = await Promise.race([aborted(cli.io.signal), nc.closed().then(() => true)]);
        if (lost) throw new CliError(EXIT.unreachable, "the connection to the plane was lost", "run it again with `--from` to see what was missed");
      }
      await follower.stop();
    }, { lasting: options.follow });
  });
}

export function runOf(text: string): RunId {
  const run = runIdSchema.safeParse(text);
  if (run.success) return run.data;
  throw new CliError(EXIT.usage, `\`${text}\` is no run: ${run.error.issues[0]?.message ?? ""}`, "`signalbox runs` lists them");
}

/** An event as JSON: the chain link in hex, everything else as it stands. */
export function eventJson(event: JournalEvent): Record<string, unknown> {
  const { prev, ...body } = event.body;
  return { stream_seq: event.streamSeq, ...body, prev: Buffer.from(prev).toString("hex") };
}

function aborted(signal: AbortSignal): Promise<false> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(false), { once: true }));
}
