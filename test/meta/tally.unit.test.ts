import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Tally } from "./tally.ts";

const execFileAsync = promisify(execFile);
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-tally-"));
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function gate(text: string): Promise<{ closing: string; told: string }> {
  const file = join(folder, "seeded.test.mjs");
  writeFileSync(file, text);
  const env = { ...process.env };
  delete env["NODE_TEST_CONTEXT"];
  const { stdout } = await execFileAsync(process.execPath, [join(import.meta.dirname, "tally-one.ts"), file], { env });
  return { closing: stdout.trimEnd().split("\n").at(-1) ?? "", told: stdout };
}

test("the gate counts each test once, and a failed subtest not again for what holds it", async () => {
  const { closing, told } = await gate(`
    import { test } from "node:test";
    test("good", () => {});
    test("left out", { skip: "no reason" }, () => {});
    test("holds", async (t) => {
      await t.test("good within", () => {});
      await t.test("bad within", () => { console.log("a hint"); throw new Error("the reason"); });
    });`);
  assert.equal(closing, "2 passed, 1 failed, 1 skipped");
  assert.match(told, /^✖ seeded\.test\.mjs: 2 passed, 1 failed, 1 skipped/);
  assert.match(told, /✖ bad within\n\s+Error: the reason/);
  assert.match(told, /\| a hint/);
  assert.match(told, /left out \(skipped: no reason\)/);
});

test("a file that does not load, one without a test and one that exits early are failures", async () => {
  for (const text of ["throw new Error('at load');", "export {};", "import { test } from 'node:test'; test('x', () => process.exit(7));"]) {
    const { closing } = await gate(text);
    assert.match(closing, /^\d+ passed, [1-9]\d* failed$/, text);
  }
});

test("a check that throws or complains is a failure", async () => {
  const lines: string[] = [];
  const tally = new Tally((line) => lines.push(line), { titles: false });
  await tally.check("fine", () => Promise.resolve([]));
  await tally.check("complains", () => Promise.resolve(["here"]));
  await tally.check("throws", () => Promise.reject(new Error("broken")));
  assert.equal(tally.closingLine(), "1 passed, 2 failed");
  assert.ok(lines.includes("    here") && lines.some((line) => line.includes("broken")));
});
