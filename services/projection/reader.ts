/**
 * The role `reader`: keeps the run index of a namespace, fans its events out, and answers questions about them.
 * All of it can be stopped, deleted and started again without any loss.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { StreamReader } from "../bus/journal.ts";
import { FanOut } from "./fanout.ts";
import { JournalFollower, type JournalListener } from "./follower.ts";
import { originOf, RunIndex } from "./index-store.ts";
import { LiveKeeper, liveFile, readLive } from "./live-file.ts";
import { isPartOf, LiveRuns } from "./live-runs.ts";
import { serveQueries } from "./query.ts";

export interface ReaderOptions {
  /** A connection of the role `reader`. */
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  /** The index is `<dataDir>/index/<ns>.sqlite`, beside it which runs are live; undefined keeps it in memory. */
  readonly dataDir: string | undefined;
  /** Of this release, for discovery. */
  readonly version?: string;
  /** Others that follow the journal in this process. */
  readonly listeners?: readonly JournalListener[];
  /** Others that, like the fan-out, are not told the past again: made with the first stream sequence that is new. */
  readonly onward?: readonly ((from: number) => JournalListener)[];
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  readonly idleMs?: number;
}

export interface Reader {
  readonly index: RunIndex;
  readonly follower: JournalFollower;
  stop(): Promise<void>;
}

/** Starts, and returns once the index holds what the journal held. @throws ReadError */
export async function startReader(options: ReaderOptions): Promise<Reader> {
  const { nc, ns, dataDir } = options;
  const index = RunIndex.open(dataDir === undefined ? ":memory:" : join(dataDir, "index", `${ns}.sqlite`));
  try {
    const known = await belongs(index, nc, ns);
    const { lastSeq } = await new StreamReader(nc, streamName("JOURNAL", ns)).info();
    const indexing: JournalListener = { name: "index", from: index.checkpoint + 1, take: (batch) => index.apply(batch) };
    // a new index reads the past again; subscribers are not told of it twice
    const unheard = known ? index.checkpoint + 1 : lastSeq + 1;
    const fanOut = new FanOut(nc, ns, unheard);
    const onward = (options.onward ?? []).map((listener) => listener(unheard));
    const keeper = dataDir === undefined ? undefined : await liveKeeper(options, liveFile(dataDir, ns));
    const keeping = keeper === undefined ? [] : [keeper];
    const follower = new JournalFollower(nc, ns, [indexing, ...keeping, fanOut, ...onward, ...(options.listeners ?? [])], {
      ...(options.onAlarm && { onAlarm: options.onAlarm }),
      ...(options.idleMs !== undefined && { idleMs: options.idleMs }),
    });
    await follower.start();
    // a coordinator that starts beside this reader finds nothing left to read
    keeper?.save();
    const queries = await serveQueries({ nc, ns, index, follower, version: options.version ?? "0.0.0" });
    return {
      index,
      follower,
      stop: async () => {
        if (!nc.isClosed()) await queries.stop();
        await follower.stop();
        keeper?.save();
        index.close();
      },
    };
  } catch (error) {
    index.close();
    throw error;
  }
}

/** Goes on from what the data folder holds, or from the journal's beginning. */
async function liveKeeper({ nc, ns, onAlarm }: ReaderOptions, path: string): Promise<LiveKeeper> {
  const known = readLive(path, ns);
  const usable = known !== undefined && (await isPartOf(known, new StreamReader(nc, streamName("JOURNAL", ns))));
  const trouble = (error: Error) => onAlarm?.(`the index of live runs of \`${ns}\` cannot be written: ${error.message}`, error);
  return new LiveKeeper(new LiveRuns(ns, usable ? known : undefined), path, trouble);
}

/** Whether the index is one of this journal, told by the journal's first message. Any other is emptied. */
async function belongs(index: RunIndex, nc: NatsConnection, ns: Namespace): Promise<boolean> {
  const reader = new StreamReader(nc, streamName("JOURNAL", ns));
  const { lastSeq } = await reader.info();
  let origin: string | undefined;
  for await (const first of reader.read({ subject: patterns.log(ns), untilSeq: 1, pageSize: 1 })) origin = originOf(first);
  if (index.checkpoint > 0 && index.meta("origin") === origin && index.checkpoint <= lastSeq) return true;
  index.clear();
  return false;
}
