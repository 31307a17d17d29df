/**
 * Tools outside the plane, and their own ledger: it lives in the harness, which nobody kills, and counts every call.
 * What a tool does to the world is decided by its input, so that a program can ask for any misbehaviour.
 */
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Msg, headers } from "../../services/bus/connection.ts";
import { TOOL_QUEUE } from "../../services/identity/permissions.ts";
import type { TestServer } from "../harness/server.ts";

/**
 * What a call does, and what it says of it:
 * - `ok`, `twice`: does it and answers, once or twice
 * - `never`: does it and does not answer
 * - `fail`: does nothing and says so
 * - `lose`: does nothing and does not answer
 * - `break`: does it, and answers that it failed after it was done
 */
export type Behaviour = "ok" | "twice" | "never" | "fail" | "lose" | "break";
export const DOES: ReadonlySet<Behaviour> = new Set<Behaviour>(["ok", "twice", "never", "break"]);

/**
 * What the tool does when it is asked what became of a call: it tells the truth, as far as it was done by then; says that
 * it cannot tell; or says nothing. What it said was not done it does not do any more, however late the call comes.
 */
export type ProbeBehaviour = "tell" | "unknown" | "silent";

/** One question, as it came. */
export interface Question {
  readonly run: string;
  readonly action: string;
  readonly attempt: number;
  readonly key: string;
  readonly found: "done" | "none" | "unknown" | "nothing";
  readonly at: number;
}

export interface Call {
  readonly tool: string;
  readonly run: string;
  readonly action: string;
  readonly attempt: number;
  readonly key: string;
  /** Which of the program's steps it was for. */
  readonly step: string;
  readonly digest: string;
  readonly behaviour: Behaviour;
  /** As it came. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch, by the clock that the server shares. */
  readonly at: number;
}

export const TOOLS = ["c.read", "c.write", "c.same", "c.asked"] as const;
export type CrashTool = (typeof TOOLS)[number];

/** What does nothing to the world: it may be called without a claim, and again. */
export const READS: ReadonlySet<string> = new Set(["c.read", "c.web"]);

export const definition = (name: string, effect: string, timeoutMs: number, retries: number, more: object = {}) => ({
  name,
  description: `a ${effect} under fire`,
  effect,
  adapter: "nats",
  trusted: true,
  timeout_ms: timeoutMs,
  retries,
  cost_usd: 0.01,
  input: { type: "object", required: ["step"] },
  output: { type: "object", required: ["step"] },
  ...more,
});

/** @param timeoutMs of each tool */
export const toolDocuments = (timeoutMs: number, retries: number) => [
  definition("c.read", "read", timeoutMs, retries),
  definition("c.write", "write", timeoutMs, retries),
  definition("c.same", "write", timeoutMs, retries, { idempotent: true }),
  // knows what it has done, and nothing of keys
  definition("c.asked", "write", timeoutMs, retries, { probe: { timeout_ms: 300, tries: 3 } }),
];

export class Ledger {
  readonly calls: Call[] = [];
  /** What was done to the world, by run and step, in order; by key only once where the tool knows its keys. */
  readonly #effects = new Map<string, number>();
  readonly #keys = new Set<string>();
  readonly #callsByKey = new Map<string, number>();
  readonly questions: Question[] = [];
  /** The last attempt under a key of which it was said that nothing was done. */
  readonly #voided = new Map<string, number>();

  take(call: Call): void {
    this.calls.push(call);
    this.#callsByKey.set(call.key, this.callsUnder(call.key) + 1);
    if (!DOES.has(call.behaviour) || READS.has(call.tool)) return;
    if (call.tool === "c.same" && this.#keys.has(call.key)) return;
    this.#keys.add(call.key);
    this.#do(call.run, call.step);
  }

  /** Asked what became of a call; what is not done by now will not be. */
  ask(question: Omit<Question, "found">, behaviour: ProbeBehaviour): Question["found"] {
    const { key, attempt } = question;
    const told = this.#keys.has(key) ? "done" : "none";
    const found = behaviour === "tell" ? told : behaviour === "unknown" ? "unknown" : "nothing";
    if (found === "none") this.#voided.set(key, Math.max(attempt, this.#voided.get(key) ?? 0));
    this.questions.push({ ...question, found });
    return found;
  }

  isVoid(key: string, attempt: number): boolean {
    return attempt <= (this.#voided.get(key) ?? 0);
  }

  questionsUnder(key: string): number {
    return this.questions.filter((one) => one.key === key).length;
  }

  callsUnder(key: string): number {
    return this.#callsByKey.get(key) ?? 0;
  }

  /** Somebody found out that it was not done, and did it. */
  byHand(run: string, step: string): void {
    this.#do(run, step);
  }

  effects(run: string, step: string): number {
    return this.#effects.get(`${run}/${step}`) ?? 0;
  }

  callsOf(run: string): Call[] {
    return this.calls.filter((call) => call.run === run);
  }

  #do(run: string, step: string): void {
    this.#effects.set(`${run}/${step}`, this.effects(run, step) + 1);
  }
}

/** Serves these tools until the server's connections are closed. */
export async function serveTools(server: TestServer, ns: string, ledger: Ledger, names: readonly string[] = TOOLS): Promise<void> {
  for (const tool of names) {
    const nc = await server.connect("tool", `tool-${tool.slice(2)}`, ns, { tool });
    nc.subscribe(subjects.call(server.namespaces[0]!, tool), {
      queue: TOOL_QUEUE,
      callback: (error, message) => {
        if (error === null) answer(tool, message, ledger);
      },
    });
    nc.subscribe(subjects.probe(server.namespaces[0]!, tool), {
      queue: TOOL_QUEUE,
      callback: (error, message) => {
        if (error === null) answerProbe(message, ledger);
      },
    });
    await nc.flush();
  }
}

function answerProbe(message: Msg, ledger: Ledger): void {
  const { header, input } = readCall(message);
  const key = header(TOOL_HEADERS.idempotencyKey);
  const behaviour = input.asked?.[ledger.questionsUnder(key)] ?? input.asked?.at(-1) ?? "tell";
  const question = { run: header(TOOL_HEADERS.run), action: header(TOOL_HEADERS.action), attempt: Number(header(TOOL_HEADERS.attempt)), key, at: Date.now() };
  const found = ledger.ask(question, behaviour);
  if (found === "nothing") return;
  const set = headers();
  set.set("content-type", "application/json");
  set.set(TOOL_HEADERS.effect, found);
  message.respond(found === "done" ? Buffer.from(JSON.stringify(outputOf(input.step))) : "", { headers: set });
}

function readCall(message: Msg): { readonly header: (name: string) => string; readonly input: Input } {
  return { header: (name) => message.headers?.get(name) ?? "", input: JSON.parse(Buffer.from(message.data).toString()) as Input };
}

interface Input {
  readonly step: string;
  readonly does?: readonly Behaviour[];
  /** What it does of its questions, in order. */
  readonly asked?: readonly ProbeBehaviour[];
  /** From the effect to the answer, ms. */
  readonly slow?: number;
}

function answer(tool: string, message: Msg, ledger: Ledger): void {
  const { header, input } = readCall(message);
  const key = header(TOOL_HEADERS.idempotencyKey);
  const before = ledger.callsUnder(key);
  const attempt = Number(header(TOOL_HEADERS.attempt));
  // the last word of the list holds for all later calls; what was said not to be done is not
  const behaviour = ledger.isVoid(key, attempt) ? "fail" : (input.does?.[before] ?? input.does?.at(-1) ?? "ok");
  ledger.take({
    tool,
    run: header(TOOL_HEADERS.run),
    action: header(TOOL_HEADERS.action),
    attempt,
    key,
    step: input.step,
    digest: header(TOOL_HEADERS.digest),
    behaviour,
    input: { ...input },
    at: Date.now(),
  });
  if (behaviour === "never" || behaviour === "lose") return;
  const set = headers();
  set.set("content-type", "application/json");
  if (behaviour === "fail" || behaviour === "break") {
    set.set(TOOL_HEADERS.error, "it failed");
    set.set(TOOL_HEADERS.errorCode, "told");
    set.set(TOOL_HEADERS.effect, behaviour === "fail" ? "none" : "done");
  }
  const output = Buffer.from(JSON.stringify(outputOf(input.step)));
  const say = () => {
    for (let times = behaviour === "twice" ? 2 : 1; times > 0; times--) message.respond(output, { headers: set });
  };
  if (input.slow === undefined) say();
  else setTimeout(say, input.slow);
}

export const outputOf = (step: string) => ({ step, done: true });
