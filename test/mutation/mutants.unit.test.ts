/** The mutation tool changes what it says it changes, one at a time, and leaves everything else as it was. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mutantsOf, SWITCH } from "./mutants.ts";
import { room, tryMutants } from "./try.ts";

/** The function `f` of a source, with one of its mutants in force. */
function run(source: string, active: number | undefined, ...args: unknown[]): unknown {
  const { code } = mutantsOf(source, "f.ts");
  const holder = globalThis as { __mutant?: unknown };
  const before = holder.__mutant;
  holder.__mutant = (_: string, id: number) => id === active;
  try {
    // the source is this file's own
    return (new Function(`${code.replaceAll("export ", "")}; return f;`) as () => (...all: unknown[]) => unknown)()(...args);
  } finally {
    holder.__mutant = before;
  }
}
const changes = (source: string) => mutantsOf(source, "f.ts").mutations.map(({ from, to }) => `${from} -> ${to}`);

const SOURCE = `export function f(a: number, b: readonly number[]): number {
  if (a > 2 || b.length === 0) return a + 1;
  return Math.min(...b.filter((one) => one > a));
}`;

test("without a mutant the code does what it did", () => {
  assert.deepEqual([run(SOURCE, undefined, 3, [1]), run(SOURCE, undefined, 1, []), run(SOURCE, undefined, 1, [5, 2, 1])], [4, 2, 2]);
  assert.ok(mutantsOf(SOURCE, "f.ts").code.includes(SWITCH));
});

test("each operator, condition, block, number and call is changed in its own mutant, at its place", () => {
  assert.deepEqual(changes(SOURCE).sort(), [
    "0 -> 0 + 1", "1 -> 1 + 1", "2 -> 2 + 1", "Math.min(...b.filter((one) => one > a)) -> Math.max(...b.filter((one) => one > a))",
    "a + 1 -> (a) - (1)", "a > 2 -> (a) <= (2)", "a > 2 -> (a) >= (2)", "a > 2 -> false", "a > 2 || b.length === 0 -> true", "b.filter((one) => one > a) -> b",
    "b.length === 0 -> (b.length) !== (0)", "b.length === 0 -> false", "one > a -> (one) <= (a)", "one > a -> (one) >= (a)", "one > a -> undefined",
    "{ if (a > 2 || b.length === 0) return a + 1; return Math.min(...b.filter((one) => one > a)); } -> {}",
  ]);
  const at = (from: string, to: string) => mutantsOf(SOURCE, "f.ts").mutations.find((one) => one.from === from && one.to === to) ?? assert.fail(`${from} -> ${to}`);
  assert.equal(run(SOURCE, at("a + 1", "(a) - (1)").id, 3, [1]), 2);
  assert.equal(run(SOURCE, at("a > 2", "(a) >= (2)").id, 2, [5]), 3);
  assert.equal(run(SOURCE, at("b.filter((one) => one > a)", "b").id, 1, [5, 1]), 1);
  assert.equal(run(SOURCE, at("a > 2 || b.length === 0", "true").id, 1, [5]), 2);
  assert.deepEqual([at("a + 1", "(a) - (1)").line, at("a + 1", "(a) - (1)").text], [2, "if (a > 2 || b.length === 0) return a + 1;"]);
});

test("words for people, what is thrown, and the throw of an assertion are left alone; types are no code", () => {
  assert.deepEqual(changes('export const f = (a: string): string => "two words";'), []);
  assert.deepEqual(changes('export function f(a: number | undefined) { if (a === undefined) throw new Error("none"); }').filter((one) => !one.startsWith("{")), ["a === undefined -> (a) !== (undefined)", "a === undefined -> true"]);
  assert.deepEqual(changes('import { a } from "a";\nexport { a };'), []);
});

test("a mutant that a test notices is caught, one that none notices or comes by survives, and one that never ends counts as neither", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "signalbox-mutation-"));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, "a.ts"), "export const LIMIT = 5;\nexport function more(a: number): number {\n  return a + LIMIT;\n}\nexport const unasked = (a: number): boolean => a === 1;\n");
  const check = 'import { test } from "node:test";\nimport { more } from "./a.ts";\ntest("more", () => { if (!(more(1) >= 4)) throw new Error("less"); });\n';
  writeFileSync(join(root, "a.test.ts"), check);
  const { survivors, caught, hung } = await tryMutants(root, ["a.ts"], ["a.test.ts"], () => undefined);
  assert.deepEqual(survivors.map(({ from, to, uncovered }) => [`${from} -> ${to}`, uncovered]), [
    ["5 -> 5 + 1", false], ["a === 1 -> (a) !== (1)", true], ["a === 1 -> undefined", true], ["1 -> 1 + 1", true],
  ]);
  assert.deepEqual([caught, hung], [2, 0]);
  writeFileSync(join(root, "a.test.ts"), check.replace(">= 4", ">= 40"));
  await assert.rejects(tryMutants(root, ["a.ts"], ["a.test.ts"], () => undefined), /fails without a mutant/);
});

test("what tests share is begun once in a process, an error that nobody waits for counts, and nothing is left running of a process that is ended", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "signalbox-mutation-"));
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.on("error", () => undefined).resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.close(), rmSync(root, { recursive: true })));
  const { port } = server.address() as AddressInfo;
  writeFileSync(join(root, "a.ts"), "export const late = (a: number): boolean => a === 1;\n");
  const child = `const socket = require("node:net").connect(${port}); socket.on("connect", () => console.log("up"))`;
  writeFileSync(
    join(root, "a.test.ts"),
    `import { spawn } from "node:child_process";
import { once } from "node:events";
import { before, test } from "node:test";
import { late } from "./a.ts";
let begun = 0;
before(async () => {
  begun += 1;
  await once(spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: ["ignore", "pipe", "ignore"] }).stdout, "data");
});
test("late", async () => { if (late(1) === false) void Promise.reject(new Error("late")); });
test("late as well", async () => { if (begun !== 1) throw new Error("begun again"); if (late(2) === true) queueMicrotask(() => { throw new Error("late"); }); });
`,
  );
  const { survivors, caught } = await tryMutants(root, ["a.ts"], ["a.test.ts"], () => undefined, room(2));
  assert.deepEqual(survivors.map(({ from, to, uncovered }) => [`${from} -> ${to}`, uncovered]), [["a === 1 -> undefined", false]]);
  assert.equal(caught, 2);
  assert.ok(sockets.length > 0);
  await Promise.all(sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once("close", resolve))));
});
