/** Counts what the gate checked, and prints one line for each file and everything about what failed. */
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

interface FileState {
  passed: number;
  failed: number;
  skipped: number;
  /** What the file itself printed: of use only when something failed. */
  output: string;
  readonly lines: string[];
  readonly told: Set<string>;
}

const OUTPUT_KEPT = 4_000;

export class Tally {
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  readonly #print: (line: string) => void;
  readonly #titles: boolean;
  readonly #files = new Map<string, FileState>();

  /** @param options `titles`: also print the titles of what passed */
  constructor(print: (line: string) => void, options: { readonly titles: boolean }) {
    this.#print = print;
    this.#titles = options.titles;
  }

  get failed(): number {
    return this.#failed;
  }

  closingLine(): string {
    return `${this.#passed} passed, ${this.#failed} failed${this.#skipped > 0 ? `, ${this.#skipped} skipped` : ""}`;
  }

  /** Runs a check that returns its complaints, and counts it as one. A check that throws has failed. */
  async check(name: string, work: () => Promise<readonly string[]>): Promise<void> {
    const began = performance.now();
    let complaints: readonly string[];
    try {
      complaints = await work();
    } catch (error) {
      complaints = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (complaints.length === 0) {
      this.#passed++;
      this.#print(`✔ ${name} (${seconds} s)`);
    } else {
      this.#failed++;
      this.#print(`✖ ${name} (${seconds} s)`);
      for (const complaint of complaints) this.#print(`    ${complaint}`);
    }
  }

  /** Counts a failure that belongs to no test. */
  fail(name: string, reason: string): void {
    this.#failed++;
    this.#print(`✖ ${name}: ${reason}`);
  }

  /** @param event of `run` from node:test
   *  @param shown how a file's path is printed */
  take(event: TestEvent, shown: (file: string) => string): void {
    switch (event.type) {
      case "test:stdout":
      case "test:stderr": {
        const state = this.#file(event.data.file);
        state.output = (state.output + event.data.message).slice(-OUTPUT_KEPT);
        return;
      }
      case "test:pass":
      case "test:fail":
        this.#count(event, shown);
        return;
      case "test:summary":
        if (event.data.file !== undefined) this.#close(event.data.file, shown, event.data.duration_ms);
        else for (const file of [...this.#files.keys()]) this.#close(file, shown);
        return;
      default:
    }
  }

  #count(event: Extract<TestEvent, { type: "test:pass" | "test:fail" }>, shown: (file: string) => string): void {
    const { file = "", name, nesting, details, skip, todo } = event.data;
    const state = this.#file(file);
    if (event.type === "test:pass") {
      if (name === file) {
        state.failed++;
        state.lines.push("  ✖ there is no test in it");
      } else if (details.type === "suite") return;
      else if (skip !== undefined && skip !== false) {
        state.skipped++;
        state.lines.push(`  - ${name} (skipped${typeof skip === "string" ? `: ${skip}` : ""})`);
      } else if (todo !== undefined && todo !== false) state.skipped++;
      else {
        state.passed++;
        if (this.#titles) state.lines.push(`  ${"  ".repeat(nesting)}✔ ${name}`);
      }
      return;
    }
    const { error } = event.data.details;
    // What holds a failed test fails as well: told once, where it happened.
    if ((error as { failureType?: unknown }).failureType === "subtestsFailed") return;
    state.failed++;
    state.lines.push(`  ✖ ${name === file ? shown(file) : name}`);
    const told = this.#tell(error.cause instanceof Error ? error.cause : error);
    state.lines.push(...(state.told.has(told) ? ["    as above"] : told.split("\n").map((line) => `    ${line}`)));
    state.told.add(told);
  }

  #tell(error: unknown): string {
    if (error instanceof Error) {
      const ours = (error.stack ?? error.message).split("\n").filter((line) => !/^\s+at .*\(?node:/.test(line));
      const cause = error.cause === undefined ? "" : `\ncause: ${inspect(error.cause, { depth: 3 })}`;
      return ours.join("\n") + cause;
    }
    return inspect(error, { depth: 4 });
  }

  #file(file: string | undefined): FileState {
    const key = file ?? "";
    let state = this.#files.get(key);
    if (state === undefined) {
      state = { passed: 0, failed: 0, skipped: 0, output: "", lines: [], told: new Set() };
      this.#files.set(key, state);
    }
    return state;
  }

  /** Events of a file arrive together when its turn comes: how long it took is known to its summary only. */
  #close(file: string, shown: (file: string) => string, durationMs?: number): void {
    const state = this.#files.get(file);
    if (state === undefined) return;
    this.#files.delete(file);
    this.#passed += state.passed;
    this.#failed += state.failed;
    this.#skipped += state.skipped;
    const took = durationMs === undefined ? "" : ` (${(durationMs / 1000).toFixed(1)} s)`;
    const counts = [`${state.passed} passed`, state.failed > 0 && `${state.failed} failed`, state.skipped > 0 && `${state.skipped} skipped`];
    this.#print(`${state.failed > 0 ? "✖" : "✔"} ${shown(file)}: ${counts.filter(Boolean).join(", ")}${took}`);
    for (const line of state.lines) this.#print(line);
    if (state.failed > 0 && state.output.trim() !== "") {
      this.#print("    it printed:");
      for (const line of state.output.trimEnd().split("\n")) this.#print(`    | ${line}`);
    }
  }
}
