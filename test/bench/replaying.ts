/** Replays and verifies the journal just made, and says how fast that went. */
import type { Namespace } from "../../schemas/ids.ts";
import { parseLog, patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { Replayer } from "../../services/replay/replay.ts";
import type { Throughput } from "../replay/throughput.ts";

export interface Replayed {
  readonly events: number;
  /** Of one core: machines run again, bytes compared, from what is in memory, by processor time. */
  readonly replay_events_per_s: number;
  /** The same, and every chain and header verified besides. */
  readonly replay_verified_events_per_s: number;
  /** By the clock, reading included. */
  readonly replay_from_server_events_per_s: number;
  readonly replay_verified_from_server_events_per_s: number;
  readonly faults: readonly string[];
}

/** @param timed how fast its beginning is replayed from memory */
export async function replay(journal: StreamReader, ns: Namespace, most: number, timed: () => Promise<Throughput>): Promise<Replayed> {
  const alone = await replayOnly(journal, ns, most);
  const begun = performance.now();
  const checked = await checkAll(journal, ns);
  const seconds = (performance.now() - begun) / 1000;
  const faults: string[] = [];
  let events = 0;
  for (const { replay, verify } of checked) {
    events += replay.events;
    if (replay.difference !== undefined) faults.push(`${replay.name} is not replayed as recorded: ${JSON.stringify(replay.difference)}`);
    if (verify.fault !== undefined) faults.push(`the chain of ${verify.name} is broken: ${JSON.stringify(verify.fault)}`);
    if (replay.identical !== replay.events || verify.events !== replay.events) faults.push(`${replay.name}: ${replay.identical} of ${replay.events} events are identical`);
  }
  const { messages } = await journal.info();
  if (events !== messages) faults.push(`${events} events were replayed, the journal has ${messages}`);
  const core = await timed();
  return {
    events,
    replay_events_per_s: core.replay_events_per_s,
    replay_verified_events_per_s: core.replay_verified_events_per_s,
    replay_from_server_events_per_s: alone,
    replay_verified_from_server_events_per_s: Math.round(events / seconds),
    faults,
  };
}

async function replayOnly(journal: StreamReader, ns: Namespace, most: number): Promise<number> {
  const replayers = new Map<string, Replayer>();
  let events = 0;
  const begun = performance.now();
  for await (const message of journal.read({ subject: patterns.log(ns), pageSize: 2000 })) {
    const address = parseLog(message.subject);
    if (address === undefined) continue;
    let replayer = replayers.get(message.subject);
    if (replayer === undefined) replayers.set(message.subject, (replayer = new Replayer(ns, address.kind, address.name)));
    const difference = replayer.push(decodeEvent(message));
    if (difference !== undefined) throw new Error(`${message.subject}: ${JSON.stringify(difference)}`);
    if (++events === most) break;
  }
  return Math.round((events * 1000) / (performance.now() - begun));
}
