/** Who owns which share, as a test sees it. */
import { randomUUID } from "node:crypto";
import { SHARES, shareOf } from "../../schemas/subjects.ts";
import { LeaseView } from "../../services/bus/lease-view.ts";
import { type TestPlane, withPatience } from "../harness/plane.ts";

export interface Leaseholders {
  /** By share: who owns it; undefined while nobody does who is up. */
  owners(): (string | undefined)[];
  /** How many shares each owner has, sorted. */
  counts(): number[];
  /** Resolves when it is so, with how long that took, ms. */
  until(fits: () => boolean, what: string, ms?: number): Promise<number>;
  stop(): void;
}

export async function leaseholders({ server, ns }: { readonly server: Pick<TestPlane["server"], "connect">; readonly ns: TestPlane["ns"] }): Promise<Leaseholders> {
  const nc = await server.connect("coordinator", `leases-${randomUUID().slice(0, 8)}`);
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const look of [...waiting]) look();
  };
  const view = new LeaseView(nc, ns, changed, () => 0);
  view.watch();
  await view.load();
  const owners = () =>
    Array.from({ length: SHARES }, (_, share) => {
      const owner = view.shares.get(share)?.record.owner ?? undefined;
      return owner !== undefined && view.members.get(owner)?.record.life === "up" ? owner : undefined;
    });
  const counts = () => {
    const of = new Map<string, number>();
    for (const owner of owners()) if (owner !== undefined) of.set(owner, (of.get(owner) ?? 0) + 1);
    return [...of.values()].sort((a, b) => b - a);
  };
  return {
    owners,
    counts,
    until: async (fits, what, ms) => {
      const began = performance.now();
      let look: () => void = () => undefined;
      const found = new Promise<void>((resolve) => {
        look = () => {
          if (fits()) resolve();
        };
        waiting.add(look);
        look();
      });
      try {
        await withPatience(found, () => `${what}; owners: ${JSON.stringify(owners())}`, ms);
      } finally {
        waiting.delete(look);
      }
      return performance.now() - began;
    },
    stop: () => view.stop(),
  };
}

/** So many runs of an agent in each share. */
export function runsInShares(agent: string, name: string, each: number): string[] {
  const left = Array.from({ length: SHARES }, () => each);
  const runs: string[] = [];
  for (let n = 0; runs.length < each * SHARES; n++) {
    const run = `${agent}_${name}-${n}`;
    const share = shareOf(run);
    if ((left[share] ?? 0) === 0) continue;
    left[share] = (left[share] ?? 0) - 1;
    runs.push(run);
  }
  return runs;
}
