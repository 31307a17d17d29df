/** A Python with nats-py in a folder of its own, or the reason why there is none; and its scripts as processes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cacheFolder } from "../../infra/nats/cache.ts";

const HERE = import.meta.dirname;
const INSTALL_MS = 180_000;

export type Python = { readonly command: string; readonly packages: string } | { readonly missing: string };

/** Installs what `requirements.txt` pins, once for each Python and list, outside of everybody's own packages. */
export function findPython(): Python {
  const command = process.env["PYTHON"] ?? "python3";
  const version = spawnSync(command, ["-c", "import sys; print(*sys.version_info[:2]); sys.exit(sys.version_info < (3, 9))"], { encoding: "utf8" });
  if (version.error !== undefined || version.status !== 0) return { missing: `there is no \`${command}\` from 3.9 up; set PYTHON` };
  const requirements = join(HERE, "requirements.txt");
  const key = createHash("sha256").update(readFileSync(requirements)).update(version.stdout).update(process.arch).digest("hex").slice(0, 12);
  const packages = join(cacheFolder(), "python", key);
  if (existsSync(packages)) return { command, packages };
  // Another process may be at it: whoever is first to rename has done it for both.
  const draft = `${packages}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const pip = spawnSync(command, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", draft, "-r", requirements], {
    encoding: "utf8",
    timeout: INSTALL_MS,
  });
  if (pip.status !== 0) {
    rmSync(draft, { recursive: true, force: true });
    const why = pip.error?.message ?? pip.stderr.trim().split("\n").at(-1) ?? "";
    return { missing: `pip could not install ${readFileSync(requirements, "utf8").trim().replaceAll("\n", ", ")}: ${why}` };
  }
  try {
    renameSync(draft, packages);
  } catch {
    rmSync(draft, { recursive: true, force: true });
  }
  return { command, packages };
}

export type Line = Readonly<Record<string, unknown>>;

/** A script of this folder; every line that it prints is JSON. */
export class Script {
  readonly #child: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #waiting = new Set<() => void>();
  #complaints = "";
  #ended = false;
  readonly #name: string;

  constructor(python: Extract<Python, { command: string }>, name: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#name = name;
    const child = spawn(python.command, [join(HERE, name), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", PYTHONPATH: python.packages, PYTHONDONTWRITEBYTECODE: "1", ...env },
    });
    this.#child = child;
    process.once("exit", () => child.kill("SIGKILL"));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (text) => {
      this.#lines.push(JSON.parse(text) as Line);
      this.#wake();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#complaints += chunk.toString();
    });
    child.once("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  get lines(): readonly Line[] {
    return this.#lines;
  }

  /** The first line that fits, whether it was printed or will be. @throws Error when the script ends without it */
  async line(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.#lines.find(fits);
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`\`${this.#name}\` ended without the line that is waited for:\n${JSON.stringify(this.#lines)}\n${this.#complaints}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Waits for the end. @throws Error when it is not a good one */
  async end(): Promise<void> {
    while (!this.#ended) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (this.#child.exitCode !== 0) throw new Error(`\`${this.#name}\` ended with \`${this.#child.exitCode}\`:\n${this.#complaints}`);
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    await closed;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }
}
