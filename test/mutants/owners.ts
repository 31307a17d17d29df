/** Mutants of who owns what: laws 1, 3 and 6 rest on one owner of a share at a time. */
import type { Mutant } from "./mutant.ts";

export const OF_OWNERS: readonly Mutant[] = [
  {
    id: "3-two-owners",
    law: 3,
    file: "services/bus/leases.ts",
    original: "const headers = { \"Nats-Expected-Last-Subject-Sequence\": String(expected) };",
    replacement: "const headers = expected < 0 ? {} : {};",
    broken: "who takes a share does not say which owner it follows: two owners",
    caughtBy: [{ file: "test/bus/leases.int.test.ts", only: "of several that come at once" }],
  },
  {
    id: "3-sure-for-ever",
    law: 3,
    file: "services/bus/membership.ts",
    original: "performance.now() - this.#sentAt < CERTAIN_MS && Date.now() - this.#sentAtWall < CERTAIN_MS",
    replacement: "true",
    broken: "who was cut off or frozen believes to own what another one has taken over",
    caughtBy: [{ file: "test/bus/leases.int.test.ts", only: "one that is cut off" }],
  },
  {
    id: "3-late-word-counts",
    law: 3,
    file: "services/coordinator/share.ts",
    original: "consumer: `share-${number}-${epoch}${",
    replacement: "consumer: `share-${number}-0${",
    broken: "all owners of a share have the same consumers: the server hears the one before, too",
    caughtBy: [{ file: "test/bus/leases.int.test.ts", only: "law 3: what an owner acknowledges" }],
  },
  {
    id: "6-refused-by-anybody",
    law: 6,
    file: "services/coordinator/desk.ts",
    original: "if (!(await this.#sure()) || !origin.message.inHand) return;",
    replacement: "",
    broken: "an input is refused by one that does not own it any more",
    caughtBy: [{ file: "test/coordinator/desk.unit.test.ts" }],
  },
];
