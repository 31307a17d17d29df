/**
 * `npm run mutants [-- <id>…]`: puts each mutant of `list.ts`, or the named ones, into a copy of the checkout, and runs
 * the tests that must fail. Leaves with 1 when a mutant survives, or when a test fails without any.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { mutated } from "./apply.ts";
import { MUTANTS } from "./list.ts";
import type { Catcher, Mutant } from "./mutant.ts";

const ROOT = resolve(import.meta.dirname, "..", "..");
/** Not copied: what is linked, made anew, or nobody's code. */
const LEFT_OUT: ReadonlySet<string> = new Set(["node_modules", ".git", ".signalbox", ".build", ".cache"]);
/** A test that a mutant lets hang has failed. */
const TEST_WITHIN_MS = 120_000;
/** The mutant did not run: what fails then proves nothing. */
const NOT_RUN = /\b(?:SyntaxError|ReferenceError|ERR_MODULE_NOT_FOUND|ERR_INVALID_TYPESCRIPT_SYNTAX)\b/;
/** A title that fails, in the protocol of `node --test`; what has a whole file as its title says nothing. */
const FAILED = /^\s*not ok \d+ - (.*)$/gm;

interface Ran {
  readonly passed: boolean;
  readonly timedOut: boolean;
  readonly output: string;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((id) => !MUTANTS.some((mutant) => mutant.id === id));
if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.map((id) => `\`${id}\``).join(", ")}`);
const chosen = wanted.length === 0 ? MUTANTS : MUTANTS.filter(({ id }) => wanted.includes(id));
process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path;

const copy = mkdtempSync(join(tmpdir(), "signalbox-mutants-"));
const survivors: string[] = [];
try {
  cpSync(ROOT, copy, { recursive: true, filter: (source) => !LEFT_OUT.has(relative(ROOT, source)) });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const sound = await soundCatchers(chosen.flatMap(({ caughtBy }) => caughtBy));
  for (const mutant of chosen) {
    const why = await survives(mutant, sound);
    console.log(`${why === undefined ? "caught  " : "SURVIVES"} ${mutant.id}: ${mutant.broken}${why === undefined ? "" : `\n         ${why}`}`);
    if (why !== undefined) survivors.push(mutant.id);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`\n${chosen.length - survivors.length} of ${chosen.length} mutants are caught${survivors.length === 0 ? "" : `, not: ${survivors.join(" ")}`}`);
process.exit(survivors.length === 0 ? 0 : 1);

/** Tests that pass when nothing is broken: only their failing says something. */
async function soundCatchers(catchers: readonly Catcher[]): Promise<ReadonlySet<string>> {
  const sound = new Set<string>();
  for (const [key, catcher] of new Map(catchers.map((one) => [nameOf(one), one]))) {
    const { passed, output } = await ran(catcher);
    if (passed && testsIn(output) > 0) sound.add(key);
    else console.log(`FAILS WITHOUT ANY MUTANT: ${key} (${titlesOf(output)})`);
  }
  return sound;
}

/** Why a mutant is not caught; undefined when all of its tests fail. */
async function survives(mutant: Mutant, sound: ReadonlySet<string>): Promise<string | undefined> {
  const path = join(copy, mutant.file);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, mutated(text, mutant));
  try {
    for (const catcher of mutant.caughtBy) {
      const name = nameOf(catcher);
      if (!sound.has(name)) return `${name} proves nothing`;
      const { passed, timedOut, output } = await ran(catcher);
      if (passed) return `${name} passes`;
      if (NOT_RUN.test(output)) return `${name} did not run: ${NOT_RUN.exec(output)?.[0] ?? ""}`;
      console.log(`         ${name} ${timedOut ? "hangs" : `fails: ${titlesOf(output)}`}`);
    }
    return undefined;
  } finally {
    writeFileSync(path, text);
  }
}

function nameOf({ file, only }: Catcher): string {
  return only === undefined ? file : `${file} (${only})`;
}

function testsIn(output: string): number {
  return Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0);
}

/** The first titles that failed, the innermost before what they stand in. */
function titlesOf(output: string): string {
  const titles = [...output.matchAll(FAILED)].map(([, title = ""]) => title.replaceAll("\\", ""));
  return `${titles[0] ?? "no title"}${titles.length > 1 ? ` and ${titles.length - 1} more` : ""}`;
}

/** Runs one test file of the copy. */
function ran({ file, only }: Catcher): Promise<Ran> {
  const pattern = only === undefined ? [] : [`--test-name-pattern=${only.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`];
  const child = spawn(process.execPath, ["--test", "--test-reporter=tap", ...pattern, file], {
    cwd: copy,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let timedOut = false;
  const end = () => {
    // the group: what the tests started ends with them
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // it has ended by itself
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, TEST_WITHIN_MS);
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ passed: code === 0, timedOut, output });
    });
  });
}
