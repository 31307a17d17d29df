/** Mutants of what may be thrown away at any time (law 4): the index of live runs, and runs at rest. */
import type { Mutant } from "./mutant.ts";

const RUN_INDEX = "test/coordinator/run-index.int.test.ts";
const LIVE_RUNS = "test/projection/live-runs.unit.test.ts";
const RESTING = "test/coordinator/resting.unit.test.ts";

export const OF_CACHES: readonly Mutant[] = [
  {
    id: "4-live-fork",
    law: 4,
    file: "services/projection/live-runs.ts",
    original: "return markOf(message) === mark;",
    replacement: "return markOf(message).length === mark.length;",
    broken: "the index of a journal that went on otherwise is believed",
    caughtBy: [{ file: RUN_INDEX, only: "went on otherwise" }],
  },
  {
    id: "4-live-ahead",
    law: 4,
    file: "services/projection/live-runs.ts",
    original: "return markOf(message) === mark;\n  return false;",
    replacement: "return markOf(message) === mark;\n  return true;",
    broken: "an index that is ahead of its journal is believed",
    caughtBy: [{ file: RUN_INDEX, only: "is ahead of it" }],
  },
  {
    id: "4-live-bytes",
    law: 4,
    file: "services/projection/live-file.ts",
    original: "digest !== digestOf(text)",
    replacement: "digest?.length !== digestOf(text).length",
    broken: "an index is believed whatever became of its bytes",
    caughtBy: [{ file: LIVE_RUNS, only: "any bit flipped" }],
  },
  {
    id: "4-live-flight",
    law: 4,
    file: "services/projection/live-runs.ts",
    original: "if (!life.torn && life.inFlight.size === 0 && life.leased.size === 0)",
    replacement: "if (!life.torn && life.leased.size === 0)",
    broken: "a run that ended with an action in flight is forgotten",
    caughtBy: [{ file: LIVE_RUNS, only: "with an action in flight" }, { file: "test/coordinator/restart.int.test.ts", only: "with an action in flight" }],
  },
  {
    id: "4-first",
    law: 4,
    file: "services/coordinator/aggregates.ts",
    original: "if (events.length === 0 && seq !== 1 && fromSeq !== undefined)",
    replacement: "if (events.length === 0 && seq === 0 && fromSeq !== undefined)",
    broken: "an index's word on where a run begins freezes the run",
    caughtBy: [{ file: RUN_INDEX, only: "first sequence that is wrong" }],
  },
  {
    id: "4-resting-share",
    law: 4,
    file: "services/coordinator/resting.ts",
    original: "if (packed.share === share) this.#drop(token);",
    replacement: "if (packed.share !== share) this.#drop(token);",
    broken: "a run at rest outlives its share being another owner's",
    caughtBy: [{ file: RESTING, only: "another one took" }],
  },
  {
    id: "4-resting-debts",
    law: 4,
    file: "services/coordinator/resting.ts",
    original: "return RUN_ENDED.has(life.value) && open.size === 0 && signals.size === 0;",
    replacement: "return RUN_ENDED.has(life.value) || open.size === 0;",
    broken: "an idle run is forgotten instead of put to rest",
    caughtBy: [{ file: RESTING }],
  },
];
