/** Stands in for `node:test`: tests are kept, so that one process runs them again and again. Only what unit tests use. */
export interface Kept {
  readonly name: string;
  readonly run: () => Promise<void>;
}
type Body = (context: Context) => unknown;
interface Context {
  after(what: () => unknown): void;
  diagnostic(text: string): void;
}
interface Suite {
  readonly name: string;
  readonly before: (() => unknown)[];
  readonly after: (() => unknown)[];
}

/** Since {@link take} was called last. */
let kept: Kept[] = [];
const suites: Suite[] = [];

export function take(): Kept[] {
  const all = kept;
  kept = [];
  return all;
}

export function test(name: string, ...rest: unknown[]): void {
  const body = rest.at(-1) as Body;
  const around = [...suites];
  const full = [...around.map((suite) => suite.name), name].join(" > ");
  const run = async () => {
    const ends: (() => unknown)[] = [];
    try {
      for (const suite of around) for (const hook of suite.before) await hook();
      await body({ after: (what) => void ends.push(what), diagnostic: () => undefined });
    } finally {
      for (const end of ends) await end();
      for (const suite of around.toReversed()) for (const hook of suite.after) await hook();
    }
  };
  kept.push({ name: full, run });
}

export function describe(name: string, ...rest: unknown[]): void {
  suites.push({ name, before: [], after: [] });
  (rest.at(-1) as () => void)();
  suites.pop();
}

export const it = test;
/** The clock of tests is the real one's: only the keeping of tests is ours. */
export const { mock } = process.getBuiltinModule("node:test");
export const beforeEach = (hook: () => unknown): void => void suites.at(-1)?.before.push(hook);
export const afterEach = (hook: () => unknown): void => void suites.at(-1)?.after.push(hook);
