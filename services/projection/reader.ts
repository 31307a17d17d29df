/**
 * The role `reader`: keeps the run index of a namespace, fans its events out, and answers questions about them.
 * All of it can be stopped, deleted and started again without any loss.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { positionOf, sequenceOf } from "../../schemas/segments.ts";
import { patterns } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { FanOut } from "./fanout.ts";
import type { JournalListener } from "./follower.ts";
import { originOf, RunIndex } from "./index-store.ts";
import { LiveKeeper, LiveKeepers, liveFile, readLive, segmentFile } from "./live-file.ts";
import { isPartOf, LiveRuns } from "./live-runs.ts";
import { serveQueries } from "./query.ts";
import { SegmentsFollower } from "./segments-follower.ts";

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
  readonly follower: SegmentsFollower;
  stop(): Promise<void>;
}

/** Starts, and returns once the index holds what the journal held. @throws ReadError */
export async function startReader(options: ReaderOptions): Promise<Reader> {
  const { nc, ns, dataDir } = options;
  const index = RunIndex.open(dataDir === undefined ? ":memory:" : join(dataDir, "index", `${ns}.sqlite`));
  try {
    const known = await belongs(index, nc, ns);
    const ends = await new SegmentedReader(nc, ns).infos();
    const held = (segment: number) => sequenceOf(index.checkpointOf(segment)) + 1;
    const indexing: JournalListener = { name: "index", from: held(1), fromIn: held, take: (batch) => index.apply(batch) };
    // a new index reads the past again; subscribers are not told of it twice
    const past = new Map([...ends].map(([segment, { lastSeq }]) => [segment, (known ? held(segment) : lastSeq + 1)]));
    const unheard = (segment: number) => past.get(segment) ?? 1;
    const onwards = [(from: number) => new FanOut(nc, ns, from), ...(options.onward ?? [])].map((make): JournalListener => {
      const listener = make(unheard(1));
      return { name: listener.name, from: listener.from, fromIn: unheard, take: (batch) => listener.take(batch) };
    });
    const keeper = dataDir === undefined ? undefined : await liveKeeper(options, liveFile(dataDir, ns));
    const keeping = keeper === undefined ? [] : [keeper];
    const follower = new SegmentsFollower(nc, ns, [indexing, ...keeping, ...onwards, ...(options.listeners ?? [])], {
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
async function liveKeeper({ nc, ns, onAlarm }: ReaderOptions, path: string): Promise<LiveKeepers> {
  const journal = new SegmentedReader(nc, ns);
  const trouble = (error: Error) => onAlarm?.(`the index of live runs of \`${ns}\` cannot be written: ${error.message}`, error);
  const keepers = new LiveKeepers((segment, known) => new LiveKeeper(new LiveRuns(ns, known, segment), segmentFile(path, segment), trouble));
  for (const { segment, sealed } of (await journal.refresh()).segments) {
    const known = sealed === undefined ? readLive(segmentFile(path, segment), ns) : undefined;
    if (sealed !== undefined) keepers.leave(segment);
    else keepers.begin(segment, known !== undefined && (await isPartOf(known, journal)) ? known : undefined);
  }
  return keepers;
}

/** Whether the index is one of this journal, told by the journal's first message. Any other is emptied. */
async function belongs(index: RunIndex, nc: NatsConnection, ns: Namespace): Promise<boolean> {
  const reader = new SegmentedReader(nc, ns);
  const ends = await reader.infos();
  let origin: string | undefined;
  for await (const first of reader.read({ subject: patterns.log(ns), segment: 1, untilSeq: 1, pageSize: 1 })) origin = originOf(first);
  const within = index.segments.every((segment) => index.checkpointOf(segment) <= positionOf(segment, ends.get(segment)?.lastSeq ?? 0));
  if (index.checkpoint > 0 && index.meta("origin") === origin && within) return true;
  index.clear();
  return false;
}
