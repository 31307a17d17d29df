/**
 * What the mutation tool looks through, and by which tests: all of `machines/`, but for the older versions in folders of
 * their own, which their recorded histories hold, and all of `services/coordinator/`. Tests that play random programs are
 * left out: what only they would catch, by chance, is to be caught by name.
 */
export interface Target {
  readonly files: readonly string[];
  readonly tests: readonly string[];
}

const machines = (...names: string[]) => names.map((name) => `machines/${name}.ts`);
const tests = (...names: string[]) => names.map((name) => `test/machines/${name}.unit.test.ts`);
const coordinator = (...names: string[]) => names.map((name) => `services/coordinator/${name}.ts`);
/** They say what every event of this version holds. */
const HISTORIES = "test/histories/replay.unit.test.ts";

export const TARGETS: readonly Target[] = [
  {
    files: machines("action-rules", "leases", "purse", "owed", "decisions", "reports", "standing"),
    tests: [
      ...tests("rules", "leases", "purse", "standings", "edges", "decide", "probing", "approvals", "budgets", "changes", "leasing", "marks", "standing", "stops", "owed", "versions"),
      HISTORIES,
    ],
  },
  {
    files: machines("admit", "answers", "approval", "action", "budget", "controls", "decide", "persons", "run", "upkeep"),
    tests: [
      ...tests("charts", "action", "lives", "answers", "persons", "decide", "budgets", "probing", "approvals", "rules", "edges", "changes", "leasing", "leases", "marks", "standing", "stops", "standings", "purse", "owed", "versions"),
      HISTORIES,
    ],
  },
  {
    files: machines("signals", "judging", "proposals", "work", "state", "outcome", "input", "record"),
    tests: [
      ...tests("signals", "judging", "proposals", "work", "charts", "action", "lives", "answers", "persons", "decide", "budgets", "probing", "approvals", "rules", "edges", "changes", "leasing", "leases", "marks", "standing", "stops", "standings", "purse", "owed", "versions"),
      HISTORIES,
    ],
  },
  { files: machines("versions"), tests: [...tests("versions"), HISTORIES] },
  { files: machines("step", "flat"), tests: tests("step", "flat", "agreement", "charts") },
  { files: machines("guard", "ledger"), tests: [...tests("accounts", "guard", "ledger", "charts"), HISTORIES] },
  ...["amounts", "chain", "diff", "guard-hit", "marks", "registry"].map((name) => ({ files: machines(name), tests: tests(name) })),
  { files: machines("change"), tests: tests("changes", "edges") },
  { files: machines("document"), tests: tests("registry", "charts") },
  ...["erasure", "segments"].map((name) => ({ files: machines(name), tests: tests(name, "charts") })),
  { files: machines("view"), tests: tests("view", "approvals", "marks") },
  { files: coordinator("ledger-facts", "admission", "guard-view"), tests: ["ledger-facts", "admission", "guard-view"].map((name) => `test/coordinator/${name}.unit.test.ts`) },
  ...["unarmed", "people", "recent", "lanes", "desk", "sweep", "fence", "applied"].map((name) => ({ files: coordinator(name), tests: [`test/coordinator/${name}.unit.test.ts`] })),
  ...["aggregates", "resting", "pause", "live-runs"].map((name) => ({ files: coordinator(name), tests: [`test/coordinator/${name}.unit.test.ts`] })),
  ...["arrival", "loader", "turn"].map((name) => ({ files: coordinator(name), tests: [`test/coordinator/${name}.unit.test.ts`] })),
  { files: coordinator("turns"), tests: ["turns", "turns-fetching"].map((name) => `test/coordinator/${name}.unit.test.ts`) },
  { files: coordinator("facts"), tests: ["facts", "facts-of-outputs"].map((name) => `test/coordinator/${name}.unit.test.ts`) },
  // on a real server
  ...["committer", "outbox"].map((name) => ({ files: coordinator(name), tests: [`test/coordinator/${name}.int.test.ts`] })),
  { files: coordinator("placement", "placing"), tests: ["test/coordinator/placement.int.test.ts"] },
  { files: coordinator("share"), tests: ["test/coordinator/share.int.test.ts"] },
  { files: coordinator("shares"), tests: ["test/coordinator/shares.int.test.ts"] },
  { files: coordinator("segment-keeper"), tests: ["test/coordinator/segment-keeper.int.test.ts"] },
  { files: coordinator("personal"), tests: ["test/coordinator/personal.unit.test.ts", "test/coordinator/personal.int.test.ts"] },
  { files: coordinator("coordinator"), tests: ["test/coordinator/coordinator.int.test.ts"] },
];
