/**
 * A process that has the mutated files loaded with all their mutants in them, and runs tests under one mutant at a time.
 * It may hang, as its tests may: whoever started it ends it then.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { mutantsOf } from "./mutants.ts";
import type { Kept } from "./shim.ts";

export interface Order {
  readonly root: string;
  /** Relative to the root. */
  readonly files: readonly string[];
  readonly tests: readonly string[];
  /** In force from the beginning, for what runs while the file is loaded: `<file> <id>`. */
  readonly from?: string;
  /** Another process ran the tests without a mutant already: they are only made ready. */
  readonly known?: boolean;
}
export type ToWorker = { readonly do: "begin"; readonly order: Order } | { readonly do: "try"; readonly mutant: string; readonly tests: readonly number[] };
export interface Measured {
  readonly name: string;
  readonly ms: number;
  /** Mutants that it comes by. */
  readonly covered: readonly string[];
  readonly failed?: string;
}
export type FromWorker =
  /** `loaded`: mutants that loading the files comes by. */
  | { readonly said: "ready"; readonly tests: readonly Measured[]; readonly loaded: readonly string[] }
  | { readonly said: "tried"; readonly mutant: string; readonly killedBy?: string; readonly sound: boolean }
  | { readonly said: "broken"; readonly why: string };

/** What a test on a live plane waits for comes in milliseconds, or a mutant keeps it back. */
process.env["SIGNALBOX_TEST_PATIENCE_MS"] ??= "3000";

let active: string | undefined;
let seen = new Set<string>();
const SHIM = new URL("./shim.ts", import.meta.url).href;

(globalThis as { __mutant?: (file: string, id: number) => boolean }).__mutant = (file, id) => {
  const mutant = `${file} ${id}`;
  if (active === undefined) seen.add(mutant);
  return active === mutant;
};

let tests: Kept[] = [];
const say = (message: FromWorker) => process.send?.(message);

/** An error that no test waited for: what broke it is the mutant in force. */
let stray: string | undefined;
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => {
    stray ??= textOf(error);
  });
}

async function begin({ root, files, tests: testFiles, from, known = false }: Order): Promise<void> {
  const wanted = new Map(files.map((file) => [pathToFileURL(join(root, file)).href, file]));
  registerHooks({
    resolve: (specifier, context, next) => (specifier === "node:test" ? { url: SHIM, shortCircuit: true, format: "module-typescript" } : next(specifier, context)),
    load: (url, context, next) => {
      const file = wanted.get(url);
      if (file === undefined) return next(url, context);
      return { format: "module", shortCircuit: true, source: mutantsOf(readFileSync(fileURLToPath(url), "utf8"), relative(root, fileURLToPath(url))).code };
    },
  });
  active = from;
  const { take } = (await import(SHIM)) as typeof import("./shim.ts");
  for (const file of testFiles) {
    await import(pathToFileURL(join(root, file)).href);
    tests.push(...take().map((one) => ({ ...one, name: `${file}: ${one.name}` })));
  }
  const loaded = [...seen];
  const measured: Measured[] = [];
  for (const one of tests) {
    const { name, ready } = one;
    seen = new Set();
    if (known) {
      await ready();
      continue;
    }
    const unready = await failureOf(ready);
    const began = performance.now();
    const failed = unready ?? (await failureOf(one.run));
    measured.push({ name, ms: performance.now() - began, covered: [...seen], ...(failed !== undefined && { failed }) });
    // whoever began with a mutant wants to know whether anything fails, and no more
    if (from !== undefined && failed !== undefined) break;
  }
  say({ said: "ready", tests: measured, loaded });
}

async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  stray = undefined;
  try {
    await run();
  } catch (error) {
    return textOf(error);
  }
  // what is rejected and caught by nobody is told when the work in hand is done
  await new Promise((resolve) => setImmediate(resolve));
  return stray;
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message.slice(0, 200) : String(error));

async function tryOne(mutant: string, chosen: readonly number[]): Promise<void> {
  active = mutant;
  let killer: Kept | undefined;
  let broken = false;
  for (const index of chosen) {
    const one = tests[index];
    if (one === undefined || (await failureOf(one.run)) === undefined) continue;
    killer = one;
    broken = stray !== undefined;
    break;
  }
  active = "none";
  // what broke may have left something behind: a test that fails without a mutant says so
  const sound = killer === undefined || (!broken && (await failureOf(killer.run)) === undefined);
  say({ said: "tried", mutant, ...(killer && { killedBy: killer.name }), sound });
}

process.on("message", (message: ToWorker) => {
  const done = message.do === "begin" ? begin(message.order) : tryOne(message.mutant, message.tests);
  done.catch((error: unknown) => say({ said: "broken", why: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
});
process.on("disconnect", () => process.exit(0));
