/** What the README shows is executed here, in its order, on a plane that has just played the demo (OPS-1). */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { runCli } from "../../services/cli/main.ts";
import { applyDemo, play } from "../../infra/demo/play.ts";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { inboxPrefixOf } from "../../services/identity/roles.ts";
import { findPython } from "../interop/python.ts";
import { natsCommand } from "./nats-command.ts";
import { blocks, commands, text, words } from "./readme.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const python = findPython();
const env: Record<string, string | undefined> = { ...process.env, NATS_URL: "", NATS_CREDS: "", NATS_CONTEXT: "" };
/** Statuses of the answers to the lines with `nats`. */
const statuses: string[] = [];
const serving: ChildProcess[] = [];
let folder: string;
let plane: RunningPlane;

describe("the README, line by line (OPS-1, OPS-4)", () => {
  before(async () => {
    // a checkout as far as the page needs one, with a data folder of its own
    folder = await realpath(await mkdtemp(join(tmpdir(), "signalbox-readme-")));
    for (const name of ["infra", "services", "test", "package.json"]) await symlink(join(ROOT, name), join(folder, name));
    Object.assign(env, { PWD: folder, SIGNALBOX_DATA: join(folder, ".signalbox") });
    for (const { file, text: content } of blocks) {
      if (file === undefined) continue;
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), content);
    }
    process.chdir(folder);
    plane = await startPlane(readSettings([], env), () => undefined);
    await applyDemo(plane);
    await play(plane, plane.settings.namespaces[0] as Namespace);
  });
  after(async () => {
    for (const child of serving) child.kill("SIGKILL");
    await plane?.stop();
    process.chdir(ROOT);
    await rm(folder, { recursive: true, force: true });
  });

  for (const line of commands) {
    const skip = line.startsWith("python3 ") && "missing" in python ? `skipped: ${python.missing}` : false;
    it(line, { skip }, async () => execute(line));
  }

  it("says truly how the first proposals are answered", () => {
    const sentence = /^The answers are JSON: (.*)$/m.exec(text)?.[1] ?? "";
    assert.deepEqual([...sentence.matchAll(/`([a-z]+)`/g)].map(([, status]) => status), statuses);
    assert.ok(text.includes(`--inbox-prefix ${inboxPrefixOf("agent", "refund-assistant")}`));
  });
});

/** What the last command printed: `…` in the page stands for what is read there. */
let printed = "";

async function execute(line: string): Promise<void> {
  const background = line.endsWith(" &");
  const [shown = "", remark] = line.split(/ # /);
  const expected = Number(/^exits with (\d)/.exec(remark ?? "")?.[1] ?? 0);
  const [, name = "", inner] = /^export ([A-Z]+)=\$\(npx (.*)\)$/.exec(shown) ?? [];
  if (inner !== undefined) {
    await signalbox(words(inner, env), env, undefined, 0);
    env[name] = printed.trim();
    return;
  }
  const [command, target] = shown.replace(/ &$/, "").split(" > ") as [string, string?];
  const all = words(command, env);
  const own = { ...env };
  while (/^[A-Z_]+=/.test(all[0] ?? "")) {
    const [assignment = ""] = all.splice(0, 1);
    own[assignment.slice(0, assignment.indexOf("="))] = assignment.slice(assignment.indexOf("=") + 1);
  }
  const [program, ...args] = all;
  switch (program) {
    case "export":
      for (const assignment of args) env[assignment.slice(0, assignment.indexOf("="))] = completed(assignment.slice(assignment.indexOf("=") + 1));
      return;
    case "npm":
      return isScript(args, own);
    case "npx":
      return signalbox(args, own, target, expected);
    case "nats": {
      const answer = (await natsCommand(args, own)) as Answer;
      statuses.push(answer.status);
      return;
    }
    case "cp":
      execFileSync("sh", ["-c", line], { cwd: folder });
      return;
    case "node":
      // a program of the page; or one of ours, which prints
      if (args[0]?.startsWith("mine/") !== true) return void execFileSync(process.execPath, args, { cwd: ROOT, env: own, stdio: ["ignore", "ignore", "inherit"] });
      await runProgram(process.execPath, args, own, background);
      return;
    case "python3":
      if ("missing" in python) return;
      await runProgram(python.command, args, { ...own, PYTHONPATH: python.packages, PYTHONDONTWRITEBYTECODE: "1" }, false);
      return;
    default:
      assert.fail("the README shows a command that nothing here executes");
  }
}

/** A value that the page cuts short, as it stood in what was printed before. */
function completed(value: string): string {
  if (!value.endsWith("…")) return value;
  const at = printed.indexOf(value.slice(0, -1));
  const found = at < 0 ? undefined : /^[A-Za-z0-9_-]+/.exec(printed.slice(at))?.[0];
  assert.ok(found, `nothing that begins with \`${value}\` was printed:\n${printed}`);
  return found;
}

/** These run as tests of their own: here it counts that the script is there and knows its options. */
function isScript(args: readonly string[], own: Readonly<Record<string, string | undefined>>): void {
  const [first = "", ...rest] = args;
  const name = first === "run" ? (rest.shift() ?? "") : first;
  const { scripts } = JSON.parse(execFileSync("cat", [join(ROOT, "package.json")], { encoding: "utf8" })) as { scripts: Record<string, string> };
  assert.ok(scripts[name], `package.json has no script \`${name}\``);
  if (name === "start") readSettings(rest.slice(1), own as NodeJS.ProcessEnv);
}

async function signalbox(args: readonly string[], own: Readonly<Record<string, string | undefined>>, target: string | undefined, expected: number): Promise<void> {
  assert.equal(args[0], "signalbox");
  const written = { out: "", err: "" };
  const code = await runCli(args.slice(1), {
    env: own,
    stdout: { write: (piece) => (written.out += piece) },
    stderr: { write: (piece) => (written.err += piece) },
    // a person who agrees
    stdin: Object.assign(Readable.from(["yes\n"]), { isTTY: true }),
    signal: AbortSignal.timeout(30_000),
  });
  assert.equal(code, expected, `${written.out}\n${written.err}`);
  printed = written.out;
  if (target !== undefined) await writeFile(join(folder, target), written.out);
}

async function runProgram(program: string, args: readonly string[], own: Readonly<Record<string, string | undefined>>, background: boolean): Promise<void> {
  const child = spawn(program, args, { cwd: folder, env: own as NodeJS.ProcessEnv, stdio: ["ignore", "pipe", "pipe"] });
  process.once("exit", () => child.kill("SIGKILL"));
  let said = "";
  let complained = "";
  child.stderr.on("data", (piece: Buffer) => (complained += String(piece)));
  const ended = new Promise<number | null>((settle) => child.once("close", settle));
  const ready = new Promise<void>((settle) =>
    child.stdout.on("data", (piece: Buffer) => {
      said += String(piece);
      if (said.includes("serving")) settle();
    }),
  );
  if (background) {
    serving.push(child);
    const first = await Promise.race([ready, ended]);
    assert.equal(first, undefined, `it ended with ${first}\n${said}\n${complained}`);
    return;
  }
  assert.equal(await ended, 0, `${said}\n${complained}`);
  assert.match(said, /clear/, "the answer that the program shows is the tool's");
}
