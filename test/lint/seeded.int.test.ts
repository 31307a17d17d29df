/** Seeds one violation of each rule into a small checkout and sees it caught: a check that never fails proves nothing. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { checkBoundaries } from "./boundaries.ts";
import type { BoundariesResult } from "./boundaries.ts";
import { describe, lint, lintConfig } from "./lint.ts";
import type { LintResult } from "./lint.ts";

const CHECKOUT = join(import.meta.dirname, "..", "..");

/** File, its text, and the rules that it breaks; none for those that must stay quiet. */
const LINT_SEEDS: readonly (readonly [file: string, text: string, ...rules: string[]])[] = [
  ["services/a/floating.ts", "async function f(): Promise<void> {}\nf();\nexport {};", "@typescript-eslint/no-floating-promises"],
  ["services/a/misused.ts", "export const g = (p: Promise<void>): number => (p ? 1 : 2);", "@typescript-eslint/no-misused-promises"],
  ["services/a/any.ts", "export const x: any = 1;", "@typescript-eslint/no-explicit-any"],
  ["services/a/spread.ts", "export const x = JSON.parse('1');", "@typescript-eslint/no-unsafe-assignment"],
  ["services/a/returned.ts", "export function f(): number {\n  return JSON.parse('1');\n}", "@typescript-eslint/no-unsafe-return"],
  ["services/a/kinds.ts", "export function f(k: 'a' | 'b'): void {\n  switch (k) {\n    case 'a':\n  }\n}", "@typescript-eslint/switch-exhaustiveness-check"],
  ["services/a/types.ts", "import { Thing } from './thing.ts';\nexport const t: Thing = 1;", "@typescript-eslint/consistent-type-imports"],
  ["services/a/thing.ts", "export type Thing = number;"],
  ["services/a/thrown.ts", "throw 'text';\nexport {};", "@typescript-eslint/only-throw-error"],
  ["services/a/rejected.ts", "void Promise.reject('text');\nexport {};", "@typescript-eslint/prefer-promise-reject-errors"],
  ["services/a/long.ts", `${"// line\n".repeat(401)}export {};`, "max-lines"],
  ["services/a/short.ts", `${"// line\n".repeat(399)}export {};`],
  ["services/a/default.ts", "export default 1;", "no-restricted-exports"],
  ["services/a/clock.ts", "export const now = (): number => Date.now();"],
  ["machines/clock.ts", "export const now = (): number => Date.now();", "no-restricted-globals"],
  ["machines/when.ts", "export const now = (): Date => new Date(0);", "no-restricted-globals"],
  ["machines/later.ts", "setTimeout(() => {}, 1);\nexport {};", "no-restricted-globals"],
  ["machines/often.ts", "setInterval(() => {}, 1);\nexport {};", "no-restricted-globals"],
  ["machines/env.ts", "export const e = process.env;", "no-restricted-globals"],
  ["machines/uuid.ts", "export const id = crypto.randomUUID();", "no-restricted-globals"],
  ["machines/round.ts", "export const now = (): number => globalThis.Date.now();", "no-restricted-globals"],
  ["machines/dice.ts", "export const d = Math.random();", "no-restricted-properties"],
  ["machines/file.ts", "import { readFileSync } from 'node:fs';\nexport const r = readFileSync;", "no-restricted-imports"],
  ["machines/net.ts", "import { connect } from 'net';\nexport const c = connect;", "no-restricted-imports"],
  ["machines/chance.ts", "import { randomUUID } from 'node:crypto';\nexport const u = randomUUID;", "no-restricted-imports"],
  ["machines/lazy.ts", "export const l = (): Promise<unknown> => import('xstate');", "no-restricted-syntax"],
  ["test/a/waits.unit.test.ts", "import { test } from 'node:test';\ntest('a rule', async () => {});"],
];

const BOUNDARY_SEEDS: readonly (readonly [file: string, text: string, ...rules: string[]])[] = [
  ["services/bus/nats.ts", "import { connect } from 'nats';\nexport const c = connect;"],
  ["services/coordinator/nats.ts", "import { connect } from 'nats';\nexport const c = connect;", "nats-in-bus-only"],
  ["services/gateway/type.ts", "import type { Msg } from 'nats';\nexport type M = Msg;", "nats-in-bus-only"],
  ["services/identity/jwt.ts", "import { createUser } from '@nats-io/jwt';\nexport const c = createUser;"],
  ["services/policy/jwt.ts", "import { createUser } from '@nats-io/jwt';\nexport const c = createUser;", "jwt-in-identity-only"],
  ["services/bus/up.ts", "import { c } from '../identity/jwt.ts';\nexport const u = c;", "only-downwards-from-bus"],
  ["services/policy/up.ts", "import type { U } from '../replay/ok.ts';\nexport type V = U;", "only-downwards-from-registry"],
  ["services/replay/ok.ts", "import { c } from '../bus/nats.ts';\nexport type U = typeof c;"],
  ["services/gateway/up.ts", "import { c } from '../coordinator/nats.ts';\nexport const u = c;", "only-downwards-from-gateway"],
  ["services/client/up.ts", "import { main } from '../main.ts';\nexport const u = main;", "only-downwards-from-client"],
  ["services/main.ts", "export const main = 1;"],
  ["services/novel/new.ts", "import { main } from '../main.ts';\nexport const n = main;", "known-layer"],
  ["schemas/up.ts", "import { ok } from '../machines/ok.ts';\nexport const u = ok;", "only-downwards-from-schemas", "plain-schemas"],
  ["schemas/file.ts", "import { readFileSync } from 'node:fs';\nexport const r = readFileSync;", "plain-schemas"],
  ["schemas/hash.ts", "import { createHash } from 'node:crypto';\nimport { z } from 'zod';\nexport const h = [createHash, z];"],
  ["machines/ok.ts", "import { setup } from 'xstate';\nimport { h } from '../schemas/hash.ts';\nexport const ok = [setup, h];"],
  ["machines/file.ts", "import { readFileSync } from 'node:fs';\nexport const r = readFileSync;", "pure-machines"],
  ["machines/zod.ts", "import { z } from 'zod';\nexport const s = z;", "pure-machines"],
  ["machines/up.ts", "import { c } from '../services/bus/nats.ts';\nexport const u = c;", "only-downwards-from-machines", "pure-machines"],
  ["infra/start.ts", "import { main } from '../services/main.ts';\nexport const s = main;"],
  ["services/cli/infra.ts", "import { s } from '../../infra/start.ts';\nexport const i = s;", "nobody-imports-infra", "only-downwards-from-cli"],
  ["services/cli/test.ts", "import { t } from '../../test/tool.ts';\nexport const i = t;", "nobody-imports-tests"],
  ["test/tool.ts", "import { s } from '../infra/start.ts';\nexport const t = s;"],
  ["services/ledger/one.ts", "import { two } from './two.ts';\nexport const one = (): unknown => two;", "no-circles"],
  ["services/ledger/two.ts", "import { one } from './one.ts';\nexport const two = (): unknown => one;", "no-circles"],
  ["services/ledger/nowhere.ts", "import { gone } from './gone.ts';\nexport const n = gone;", "resolvable"],
  ["services/telemetry/luck.ts", "import { parse } from 'acorn';\nexport const p = parse;", "declared-packages"],
  ["services/telemetry/dev.ts", "import fc from 'fast-check';\nexport const f = fc;", "no-test-packages"],
];

let folder: string;
let linted: LintResult;
let cruised: BoundariesResult;

before(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "signalbox-seeded-")));
  linted = await lint(seed("lint", LINT_SEEDS));
  cruised = await checkBoundaries(seed("boundaries", BOUNDARY_SEEDS));
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

function seed(name: string, seeds: typeof LINT_SEEDS): string {
  const root = join(folder, name);
  for (const [file, text] of seeds) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${text}\n`);
  }
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(CHECKOUT, file), join(root, file));
  symlinkSync(join(CHECKOUT, "node_modules"), join(root, "node_modules"));
  return root;
}

for (const [file, , ...rules] of LINT_SEEDS) {
  test(`lint: ${file} ${rules.length === 0 ? "is let through" : `is caught by ${rules.join(" and ")}`}`, () => {
    const found = new Set(linted.findings.filter((finding) => finding.file === file).map(({ rule }) => rule));
    assert.deepEqual([...found].sort(), [...rules].sort());
  });
}

for (const [file, , ...rules] of BOUNDARY_SEEDS) {
  test(`boundaries: ${file} ${rules.length === 0 ? "is let through" : `is caught by ${rules.join(" and ")}`}`, () => {
    // A circle is told once, from one of its files.
    const own = cruised.violations.filter(({ rule, from, to }) => from === file || (rule === "no-circles" && to === file));
    const found = new Set(own.map(({ rule }) => rule));
    assert.deepEqual([...found].sort(), [...rules].sort());
  });
}

test("lint: every rule that is switched on has a reason, and the reason is printed with the finding", async () => {
  const { default: blocks, REASONS, LONG_FILES } = await lintConfig();
  const rules = new Set(blocks.flatMap(({ rules: on = {} }) => Object.keys(on)));
  assert.deepEqual([...rules].filter((rule) => REASONS[rule] === undefined), []);
  assert.deepEqual(LONG_FILES.filter(({ reason }) => reason.length < 20), []);
  const [finding] = linted.findings.filter(({ rule }) => rule === "max-lines");
  assert.ok(finding !== undefined && (await describe(finding)).includes("one idea per file"));
});

test("lint: every rule that is switched on is seeded here", async () => {
  const { default: blocks } = await lintConfig();
  const seeded = new Set(LINT_SEEDS.flatMap(([, , ...rules]) => rules));
  assert.deepEqual([...new Set(blocks.flatMap(({ rules = {} }) => Object.keys(rules)))].filter((rule) => !seeded.has(rule)), []);
});

test("boundaries: every violation has a reason", () => {
  assert.deepEqual(cruised.violations.filter(({ reason }) => reason === ""), []);
});

// TypeScript 7 has no JavaScript API: dependency-cruiser then reads no TypeScript and finds nothing wrong with it.
test("boundaries: dependency-cruiser sees the modules of this checkout and what they import", async () => {
  const { modules, dependencies } = await checkBoundaries(CHECKOUT);
  assert.ok(modules > 100 && dependencies > modules, `${modules} modules, ${dependencies} dependencies`);
  const { devDependencies } = JSON.parse(readFileSync(join(CHECKOUT, "package.json"), "utf8")) as { devDependencies: Record<string, string> };
  assert.match(devDependencies["typescript"] ?? "", /^6\.\d+\.\d+$/);
});
