/** What the journal says of the measured actions: times for the figures, and the proof that nothing is missing or twice. */
import { readFile } from "node:fs/promises";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Seen } from "./load.ts";

/** Server's times on the way of one action, ms since the epoch; NaN for what did not happen. */
export interface Way {
  readonly run: string;
  action: string;
  id: string;
  /** The proposal was stored in the inbox. */
  proposed: number;
  dispatched: number;
  started: number;
  /** The report of the outcome was stored. */
  reported: number;
  verified: number;
  denied: number;
  /** How often it happened. */
  starts: number;
  verifications: number;
}

export interface JournalWays {
  /** By `<run>/<id of the proposal>`. */
  readonly ways: ReadonlyMap<string, Way>;
  /** Stored times of all events, in order. */
  readonly stored: Float64Array;
}

export async function readWays(nc: NatsConnection, ns: Namespace, fromSeq: number): Promise<JournalWays> {
  const ways = new Map<string, Way>();
  const byAction = new Map<string, Way>();
  const stored: number[] = [];
  for await (const message of new StreamReader(nc, streamName("JOURNAL", ns)).read({ subject: patterns.logOfKind(ns, "run"), fromSeq, pageSize: 2000 })) {
    const { body, storedAt } = decodeEvent(message);
    stored.push(storedAt);
    const action = body.data["action"];
    if (typeof action !== "string") continue;
    const key = `${body.run}/${action}`;
    if (body.type === "action.proposed") {
      const id = String(body.data["proposal"]);
      const nan = Number.NaN;
      const way: Way = { run: body.run, action, id, proposed: Date.parse(body.cause.time), dispatched: nan, started: nan, reported: nan, verified: nan, denied: nan, starts: 0, verifications: 0 };
      ways.set(`${body.run}/${id}`, way);
      byAction.set(key, way);
      continue;
    }
    const way = byAction.get(key);
    if (way === undefined) continue;
    if (body.type === "action.dispatched") way.dispatched = storedAt;
    else if (body.type === "action.denied") way.denied = storedAt;
    else if (body.type === "action.started") {
      way.started = storedAt;
      way.starts += 1;
    } else if (body.type === "action.verified") {
      way.verified = storedAt;
      way.reported = Date.parse(body.cause.time);
      way.verifications += 1;
    }
  }
  return { ways, stored: Float64Array.from(stored) };
}

/** Everything that is wrong with what was done: actions missing, unfinished, or carried out more than once. */
export async function faultsOf(ways: ReadonlyMap<string, Way>, seen: readonly Seen[], ledgerPath: string): Promise<string[]> {
  const faults: string[] = [];
  const writes = new Set<string>();
  for (const { run, id, kind, status } of seen) {
    const way = ways.get(`${run}/${id}`);
    const wanted = kind === "denied" ? "denied" : "succeeded";
    if (status !== wanted) faults.push(`${run}/${id} was told \`${status}\` instead of \`${wanted}\``);
    if (way === undefined) {
      faults.push(`${run}/${id} is not in the journal`);
      continue;
    }
    const times = kind === "denied" ? 0 : 1;
    if (way.starts !== times || way.verifications !== times) faults.push(`${run}/${id} was started ${way.starts} time(s) and verified ${way.verifications} time(s)`);
    if (kind === "write") writes.add(`${run}.${way.action}`);
  }
  if (ways.size !== seen.length) faults.push(`the journal has ${ways.size} actions, the agents proposed ${seen.length}`);
  const done = new Map<string, number>();
  for (const line of (await readFile(ledgerPath, "utf8")).split("\n")) {
    if (line === "") continue;
    const { key } = JSON.parse(line) as { key: string };
    done.set(key, (done.get(key) ?? 0) + 1);
  }
  for (const [key, times] of done) if (times !== 1 || !writes.has(key)) faults.push(`${key} was carried out ${times} time(s), ${writes.has(key) ? "wanted was once" : "and nobody wanted it"}`);
  for (const key of writes) if (!done.has(key)) faults.push(`${key} was never carried out`);
  return faults;
}
