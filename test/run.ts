/**
 * The whole gate: types, lint, boundaries, then all tests against a real nats-server.
 *
 *     npm test                         everything
 *     npm test -- test/bus test/lint   only the tests under these paths, each with its title
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { run } from "node:test";
import { obtainNatsServer } from "../infra/nats/obtain.ts";
import { checkBoundaries } from "./lint/boundaries.ts";
import { describe, lint } from "./lint/lint.ts";
import { collectCitations, testFiles, uncited } from "./meta/citations.ts";
import { Tally } from "./meta/tally.ts";
import { REQUIREMENTS } from "./requirements.ts";

const ROOT = resolve(import.meta.dirname, "..");
/** A test that hangs is a failure, not a reason to wait. */
const FILE_WITHIN_MS = 300_000;

process.chdir(ROOT);
const paths = process.argv.slice(2);
const tally = new Tally((line) => console.log(line), { titles: paths.length > 0 });

const began = performance.now();
if (paths.length === 0) {
  await tally.check("types", checkTypes);
  await tally.check("lint", checkLint);
  await tally.check("boundaries", checkImports);
}
await runTests(chosen(paths));
if (paths.length === 0) {
  const missing = uncited(collectCitations(join(ROOT, "test")));
  console.log(`\n${missing.length} of ${Object.keys(REQUIREMENTS).length} requirements are cited by no test: ${missing.join(" ")}`);
}
console.log(`\n${((performance.now() - began) / 1000).toFixed(1)} s`);
console.log(tally.closingLine());
process.exit(tally.failed === 0 ? 0 : 1);

/** Each check returns its complaints. */
async function checkTypes(): Promise<string[]> {
  const { code, output } = await node(join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", ".", "--pretty", "false");
  return code === 0 ? [] : output.trim().split("\n");
}

async function checkLint(): Promise<string[]> {
  const { findings, files } = await lint(ROOT);
  return files === 0 ? ["the linter read no file"] : Promise.all(findings.map(describe));
}

async function checkImports(): Promise<string[]> {
  const { violations, dependencies } = await checkBoundaries(ROOT);
  if (dependencies === 0) return ["dependency-cruiser saw no import"];
  return violations.map(({ rule, from, to, reason }) => `${from} imports ${to} ${rule} (${reason})`);
}

/** The test files under the paths; none for a path is a mistake in the path. */
function chosen(wanted: readonly string[]): string[] {
  const all = testFiles(join(ROOT, "test")).map((file) => join(ROOT, "test", file));
  if (wanted.length === 0) return all;
  return wanted.flatMap((path) => {
    const full = resolve(ROOT, path);
    const under = all.filter((file) => file === full || file.startsWith(full + sep));
    if (under.length === 0) tally.fail(`\`${path}\``, "no test lies there");
    return under;
  });
}

async function runTests(files: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  try {
    const server = await obtainNatsServer({ log: (line) => console.log(`  ${line}`) });
    process.env["SIGNALBOX_NATS_SERVER"] = server.path; // the tests inherit it, and need not look again
    console.log(`\nnats-server ${server.version} (${server.source}), ${files.length} files`);
  } catch (error) {
    tally.fail("nats-server", error instanceof Error ? error.message : String(error));
    return;
  }
  // Each file is a process that starts servers of its own: one per core, and not more than are useful.
  const concurrency = Math.max(1, Math.min(4, availableParallelism()));
  const execArgv = ["--import", new URL("meta/deadline.ts", import.meta.url).href];
  const stream = run({ files: [...files], concurrency, timeout: FILE_WITHIN_MS, isolation: "process", execArgv });
  for await (const event of stream) tally.take(event, (file) => relative(ROOT, file));
}

function node(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((done, reject) => {
    let output = "";
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => done({ code, output }));
  });
}
