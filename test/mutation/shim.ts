/** Stands in for `node:test`: tests are kept, so that one process runs them again and again. Only what our tests use. */
export interface Kept {
  readonly name: string;
  /** Whatever it shares with others is there when this has ended. */
  readonly ready: () => Promise<void>;
  readonly run: () => Promise<void>;
}
type Hook = () => unknown;
type Body = (context: Context) => unknown;
interface Context {
  after(what: Hook): void;
  diagnostic(text: string): void;
}
interface Suite {
  readonly name: string;
  readonly beforeEach: Hook[];
  readonly afterEach: Hook[];
  /** Run once, by whichever of its tests is first: servers that its tests share. Nothing runs behind them: whoever ends this process ends its children. */
  readonly before: Hook[];
  begun?: Promise<void>;
}
const suite = (name: string): Suite => ({ name, beforeEach: [], afterEach: [], before: [] });

/** Since {@link take} was called last. */
let kept: Kept[] = [];
/** The first is the file. */
let suites: Suite[] = [suite("")];

export function take(): Kept[] {
  const all = kept;
  kept = [];
  suites = [suite("")];
  return all;
}

async function begin(around: readonly Suite[]): Promise<void> {
  for (const one of around) {
    one.begun ??= (async () => {
      for (const hook of one.before) await hook();
    })();
    await one.begun;
  }
}

export function test(name: string, ...rest: unknown[]): void {
  const body = rest.at(-1) as Body;
  const around = [...suites];
  const full = [...around.slice(1).map((one) => one.name), name].join(" > ");
  const run = async () => {
    const ends: Hook[] = [];
    try {
      for (const one of around) for (const hook of one.beforeEach) await hook();
      await body({ after: (what) => void ends.push(what), diagnostic: () => undefined });
    } finally {
      for (const end of ends) await end();
      for (const one of around.toReversed()) for (const hook of one.afterEach) await hook();
    }
  };
  kept.push({ name: full, ready: () => begin(around), run });
}

export function describe(name: string, ...rest: unknown[]): void {
  suites.push(suite(name));
  (rest.at(-1) as () => void)();
  suites.pop();
}

export const it = test;
/** The clock of tests is the real one's: only the keeping of tests is ours. */
export const { mock } = process.getBuiltinModule("node:test");
export const before = (hook: Hook): void => void suites.at(-1)?.before.push(hook);
export const after = (_: Hook): void => undefined;
export const beforeEach = (hook: Hook): void => void suites.at(-1)?.beforeEach.push(hook);
export const afterEach = (hook: Hook): void => void suites.at(-1)?.afterEach.push(hook);
