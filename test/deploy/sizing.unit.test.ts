/** The page of arithmetic is arithmetic: its figures are those of the script, and the script's follow from what was measured. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DEFAULTS, MEASURED, sizeOf, tableOf } from "../../infra/sizing.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = (...args: string[]) => execFileSync(process.execPath, [join(ROOT, "infra/sizing.ts"), ...args], { encoding: "utf8", stdio: "pipe" });

describe("OPS-2 sizing", () => {
  it("OPS-2 multiplies what was measured", () => {
    const size = sizeOf(
      { actionsPerSecond: 1000, keptDays: 1, serverCores: 4, serverMemoryGib: 8, utilisation: 0.5 },
      {
        plane_ms_per_action: 2,
        server_ms_per_action: 1,
        replica_factor: 3,
        journal_events_per_s: 10_000,
        events_per_action: 8,
        actions_per_run: 10,
        journal_bytes_per_action: 5_000,
        disk_bytes_per_action: 6_000,
        network_bytes_per_action: 20_000,
        bytes_per_subject: 1_000,
      },
    );
    assert.deepEqual(size, {
      journals: 2,
      planeCores: 4,
      serverCores: 6,
      // 8.64 million runs a day, of which 4 GiB hold 4.29 million
      clusters: 3,
      limit: "memory",
      runsPerSecond: 100,
      eventsPerSecond: 8000,
      journalTerabytesPerYear: (1000 * 5_000 * 365 * 86_400) / 1e12,
      keptTerabytes: (5_000 * 1000 * 86_400 * 3) / 1e12,
      diskMegabytesPerSecond: 18,
      networkMegabytesPerSecond: 30,
      subjectGibPerServer: (100 * 86_400 * 1_000) / 1024 ** 3,
    });
  });

  it("OPS-2 grows with the load, and by processor where little is kept", () => {
    const of = (actionsPerSecond: number, keptDays: number) => sizeOf({ ...DEFAULTS, actionsPerSecond, keptDays });
    assert.ok(of(1_000_000, 1).clusters > of(1_000, 1).clusters * 10);
    assert.equal(of(1, 1).limit, "one");
    assert.equal(of(1_000_000, 0.01).limit, "processor");
    assert.equal(of(1_000_000, 30).limit, "memory");
  });

  it("OPS-2 the command prints it, takes other figures, and says what it wants", () => {
    const table = run("--actions-per-second", "1000");
    for (const row of tableOf({ ...DEFAULTS, actionsPerSecond: 1000 })) for (const cell of row) assert.ok(table.includes(cell), cell);
    const { figures } = JSON.parse(run("--actions-per-second", "1000", "--plane-ms-per-action", "0.5", "--json")) as { figures: typeof MEASURED };
    assert.deepEqual(figures, { ...MEASURED, plane_ms_per_action: 0.5 });
    assert.throws(() => run("--actions-per-second", "none"), /wants a number above 0/);
  });

  it("OPS-2 the README's table is what the command prints", () => {
    const section = /\n## Sizing\n([\s\S]*?)\n## /.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1] ?? "";
    const rows = section.split("\n").filter((line) => /^\| (?!-)/.test(line)).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    const [head, ...body] = rows;
    const rates = (head ?? []).slice(1).map((cell) => Number(cell.replaceAll(/[^\d]/g, "")));
    assert.deepEqual(rates, [1000, 1_000_000]);
    const tables = rates.map((actionsPerSecond) => tableOf({ ...DEFAULTS, actionsPerSecond }).slice(1));
    const days = sizeOf({ ...DEFAULTS, actionsPerSecond: 1_000_000, keptDays: 1 });
    assert.ok(section.includes(`after a day (then ${days.clusters} clusters)`), `${days.clusters} clusters`);
    assert.deepEqual(body, (tables[0] ?? []).map(([name, value], row) => [name, value, tables[1]?.[row]?.[1] ?? ""]));
  });
});
