/** What the mutation tool looks through, and what it lets pass, is of the code as it stands. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ARGUED } from "./argued.ts";
import { TARGETS } from "./targets.ts";

const ROOT = resolve(import.meta.dirname, "..", "..");
const looked = TARGETS.flatMap(({ files }) => files);

for (const folder of ["machines", "services/coordinator"]) {
  test(`law 5: every file of the newest \`${folder}\` is looked through`, () => {
    const files = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`);
    assert.ok(files.length > 20);
    assert.deepEqual(files.filter((file) => !looked.includes(file)), []);
  });
}

test("a target is one, and it and its tests are there", () => {
  assert.deepEqual(looked.filter((file, index) => looked.indexOf(file) !== index), []);
  assert.deepEqual(TARGETS.flatMap(({ files, tests }) => [...files, ...tests]).filter((path) => !existsSync(join(ROOT, path))), []);
});

test("an argument is about a target, and about a line that stands in it", () => {
  const lines = new Map<string, Set<string>>();
  for (const file of looked) lines.set(file, new Set(readFileSync(join(ROOT, file), "utf8").split("\n").map((line) => line.trim())));
  const gone = ARGUED.filter(({ file, line }) => lines.get(file)?.has(line) !== true);
  assert.deepEqual(gone.map(({ file, line }) => `${file}: ${line}`), []);
});
