/** Turns over lanes of their own, and in the place of everybody whom they ask somebody who writes it down. */
import assert from "node:assert/strict";
import { pino } from "pino";
import type { Grant } from "../../schemas/dispatch.ts";
import { DocumentMissing } from "../../services/bus/documents.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import type { Landing, Part } from "../../services/coordinator/committer.ts";
import type { FactSources } from "../../services/coordinator/facts.ts";
import { type Lane, Lanes } from "../../services/coordinator/lanes.ts";
import { type TurnParts, Turns } from "../../services/coordinator/turns.ts";
import { documents } from "../registry/in-force.ts";
import { type Scene, scene } from "./scene.ts";

export const settled = async () => {
  for (let n = 0; n < 12; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** As many turns of the loop as it takes, and not for ever. */
export const until = async (fits: () => boolean) => {
  for (const began = performance.now(); !fits() && performance.now() - began < 3000; ) await new Promise((resolve) => setImmediate(resolve));
};

interface Wish {
  readonly of?: Scene;
  readonly sources?: Partial<FactSources>;
  /** In the place of storing a batch, in order. */
  readonly commits?: ((parts: readonly Part[]) => Promise<Landing[]>)[];
  /** In the place of loading an aggregate that has no event, in order. */
  readonly loads?: ((lane: Lane) => Promise<Loaded | Error>)[];
  /** In the place of reading a document that is stored, in order. */
  readonly reads?: (() => Promise<Uint8Array>)[];
  /** What an effect waits for. */
  readonly effect?: (what: string) => Promise<void>;
  readonly may?: () => boolean;
}

/** Turns over lanes of their own; what they ask of others is written down in `log`, in order. */
export async function turns({ of: given, sources = {}, commits = [], loads = [], reads = [], effect = () => Promise.resolve(), may = () => true }: Wish = {}) {
  const of = given ?? (await scene());
  const lanes = new Lanes();
  const log: string[] = [];
  const said: { level: number; [key: string]: unknown }[] = [];
  const batches: Part[][] = [];
  const refusals: { id: string; codes: string[]; message: string }[] = [];
  const grants: Grant[] = [];
  const paid: { key: string; now: string | undefined }[] = [];
  let last = 1000;
  const outcome = (what: string) => (log.push(what), effect(what));
  const parts: TurnParts = {
    lanes,
    sources: { ...of.sources, ...sources },
    loader: { load: async (lane: Lane) => (log.push(`load ${lane.token}`), loads.shift()?.(lane) ?? (await of.lane(lane.token)).loaded) } as unknown as TurnParts["loader"],
    committer: {
      append: (some: readonly Part[]) => {
        batches.push([...some]);
        log.push(`append ${some.reduce((sum, { events }) => sum + events.length, 0)}`);
        const stored = (parts: readonly Part[]): Promise<Landing[]> => Promise.resolve(parts.map(({ events }) => ({ kind: "stored", last: (last += events.length) })));
        return (commits.shift() ?? stored)(some);
      },
    } as unknown as TurnParts["committer"],
    applied: { put: (...what: unknown[]) => (log.push(`applied ${what.slice(0, 2).join("/")} ${String(what[3])}`), effect("applied")) } as unknown as TurnParts["applied"],
    documents: {
      get: (digest: Parameters<Scene["bytes"]>[0]) => {
        log.push("get");
        const bytes = of.bytes(digest);
        return reads.shift()?.() ?? (bytes === null ? Promise.reject(new DocumentMissing(digest)) : Promise.resolve(bytes));
      },
    } as unknown as TurnParts["documents"],
    outbox: {
      pay: (_: string, { key }: { key: string }, now?: string) => (paid.push({ key, now }), outcome(`pay ${key}`)),
      letGo: (run: string, owed: ReadonlySet<string>) => void log.push(`owes ${run} ${[...owed].join()}`),
      signal: (from: string, to: string, { name }: { name: string }) => outcome(`signal ${from} ${to} ${name}`),
      answer: (agent: string, { id, status }: { id: string | null; status: string }) => outcome(`answer ${agent} ${String(id)} ${status}`),
      grant: (gateway: string, grant: Grant) => (grants.push(grant), void log.push(`grant ${gateway} ${grant.verdict}`)),
    } as unknown as TurnParts["outbox"],
    desk: {
      refuseArrival: ({ input }: Arrival, why: readonly { code: string; message: string; help?: string }[]) => {
        refusals.push({ id: input.id, codes: why.map(({ code }) => code), message: `${why[0]?.message ?? ""}${why[0]?.help === undefined ? "" : `; ${why[0].help}`}` });
        return Promise.resolve();
      },
    } as unknown as TurnParts["desk"],
    lacks: (share, machine) => void log.push(`lacks ${share} ${machine}`),
    mayDecide: may,
    log: pino({ level: "warn", base: null, timestamp: false }, { write: (line: string) => void said.push(JSON.parse(line) as { level: number }) }),
  };
  const own = new Turns(parts);
  const push = async (...arrivals: Arrival[]) => {
    for (const arrival of arrivals) lanes.push(arrival);
    own.wake();
    await settled();
  };
  /** What was written down since it was asked last. */
  const news = () => log.splice(0);
  return { of, turns: own, lanes, push, news, said, batches, refusals, grants, paid, parts };
}
export const storedAt = (...lasts: number[]) => (): Promise<Landing[]> => Promise.resolve(lasts.map((last) => ({ kind: "stored", last })));
export const gate = () => Promise.withResolvers<undefined>();
