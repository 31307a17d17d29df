/** Serving a tool: the plane's gateway calls, a handler answers. */
import type { JsonValue } from "../../schemas/json.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { type Namespace, toolName } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { ToolToken } from "../../schemas/tool-token.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { type ServiceRequest, serve } from "../bus/service.ts";
import { NotPermitted, ToolFailure } from "./errors.ts";
import type { TokenUse } from "../identity/token-check.ts";
import { type TokenOptions, type ToolKeys, TokenVerifier } from "./tool-keys.ts";

/** One call of a tool, as the plane says of it. Absent is what the caller did not say. */
export interface Call {
  readonly tool: string;
  readonly run: string;
  /** The plane's id of the action within the run. */
  readonly action: string;
  /** From 1. */
  readonly attempt: number;
  /** The same for every attempt of one action: what was done under it once is not done again. */
  readonly idempotencyKey: string;
  /**
   * SHA-256 of the action document that was judged and approved. The document holds more than the input, and stays
   * with the plane, so that a tool cannot compute this: it is for the tool's own records, where an auditor finds it
   * again in the journal. That a key comes with another digest than before is a reason to refuse.
   */
  readonly digest: string;
  /** When nobody waits for the answer any more. */
  readonly deadline?: Date;
  /** What the plane signed for this call, when tokens are verified: on whose behalf it is (`sub`), and for what. */
  readonly token?: ToolToken;
  readonly traceparent?: string;
  /** Aborts at the deadline, and when the tool is stopped. */
  readonly signal: AbortSignal;
}

/** What a handler returns is the output; `undefined` is null. To say that a call failed, it throws {@link ToolFailure}. */
export type ToolHandler<Input = JsonValue> = (input: Input, call: Call) => Promise<JsonValue | void> | JsonValue | void;

/** What a tool knows of a call: see {@link ProbeHandler}. */
export type ProbeAnswer =
  | { readonly found: "done"; readonly output: JsonValue }
  | { readonly found: "none" | "unknown"; readonly message?: string };

/**
 * Says what became of a call whose end nobody knows, and changes nothing. It is asked about the idempotency key, with
 * everything that was attempted under it; the input and the rest are those of the call, deadline and token the question's.
 *
 * `none` is a promise: nothing was done, and nothing will be, also not by an instance that is still at work on it. The
 * plane may then let the call be made once more. Whoever cannot promise that answers `unknown`, and what it throws says
 * the same. While this process itself is at work under the key, `unknown` is answered without asking the handler.
 */
export type ProbeHandler<Input = JsonValue> = (input: Input, call: Call) => Promise<ProbeAnswer> | ProbeAnswer;

export interface ToolOptions {
  /** Answers what became of a call, for tools whose definition has `probe` (EXEC-7). */
  readonly probe?: ProbeHandler<never>;
  /** Shown by `nats micro info`. */
  readonly description?: string;
  /** Semantic version, shown likewise; `0.0.0` when left out. */
  readonly version?: string;
  /**
   * The plane's public keys, or where they are: only calls with a token that the plane's gateway signed for exactly
   * this call are carried out, each once (ID-4). All others are refused, with effect none. Anybody who may publish to
   * the tool's subject can call it otherwise.
   */
  readonly verifyTokens?: ToolKeys | TokenOptions;
}

export interface ServedTool {
  /** Resolves after `stop`; rejects when the broker took the subscription away. */
  readonly stopped: Promise<void>;
  /** Takes no more calls, aborts those in hand, and resolves when they have been answered. */
  stop(): Promise<void>;
}

/**
 * Serves a tool in its queue group, until stopped.
 * @throws NotPermitted, ZodError for a name that is no tool's; Error when the keys for tokens cannot be read
 */
export async function serveTool(
  nc: NatsConnection,
  ns: Namespace,
  tool: string,
  handler: ToolHandler<never>,
  options: ToolOptions,
): Promise<ServedTool> {
  const name = toolName(tool);
  const tokens = options.verifyTokens === undefined ? undefined : new TokenVerifier(ns, name, options.verifyTokens);
  await tokens?.ready();
  const stopping = new AbortController();
  const inHand = new Set<Promise<void>>();
  const keys = new Map<string, number>();
  const take = (answered: Promise<void>) => {
    const done = answered.finally(() => inHand.delete(done));
    inHand.add(done);
  };
  const probe = options.probe as ProbeHandler<unknown> | undefined;
  const service = await serve(
    nc,
    {
      name: name.replaceAll(".", "_"),
      version: options.version ?? "0.0.0",
      ...(options.description !== undefined && { description: options.description }),
      metadata: { tool: name, namespace: ns },
    },
    [
      {
        name: "call",
        subject: subjects.call(ns, name),
        handler: (request) => take(answer(request, name, counted(handler as ToolHandler<unknown>, keys), tokens, stopping.signal)),
      },
      ...(probe === undefined
        ? []
        : [
            {
              name: "probe",
              subject: subjects.probe(ns, name),
              handler: (request: ServiceRequest) => take(answerProbe(request, name, probe, keys, tokens, stopping.signal)),
            },
          ]),
    ],
  ).catch((error: unknown) => {
    throw new NotPermitted(`serve the tool \`${name}\``, error);
  });
  const stopped = service.stopped.then((error) => {
    if (error !== undefined && !stopping.signal.aborted) throw new NotPermitted(`serve the tool \`${name}\` any longer`, error);
  });
  // Who does not look at it is not to be killed by it.
  stopped.catch(() => undefined);
  return {
    stopped,
    stop: async () => {
      stopping.abort(new Error("the tool is being stopped"));
      await service.stop();
      await Promise.all(inHand);
      if (!nc.isClosed()) await nc.flush();
    },
  };
}

async function answer(request: ServiceRequest, tool: string, handler: ToolHandler<unknown>, tokens: TokenVerifier | undefined, stopping: AbortSignal): Promise<void> {
  let output: Uint8Array;
  try {
    const token = await checkToken(request, tokens);
    const input: unknown = parseInput(request.data);
    const result = await handler(input, { ...readCall(request, tool, stopping), ...(token !== undefined && { token }) });
    output = encodeOutput(result);
  } catch (error) {
    return fail(request, error instanceof ToolFailure ? error : crashed(error));
  }
  try {
    request.respond(output, { "content-type": "application/json" });
  } catch (cause) {
    fail(request, new ToolFailure({ code: "output.not_sent", message: (cause as Error).message, effect: "done", cause }));
  }
}

/** Keeps count of what is in hand under each key. */
function counted(handler: ToolHandler<unknown>, keys: Map<string, number>): ToolHandler<unknown> {
  return async (input, call) => {
    const key = call.idempotencyKey;
    keys.set(key, (keys.get(key) ?? 0) + 1);
    try {
      return await handler(input, call);
    } finally {
      const left = (keys.get(key) ?? 1) - 1;
      if (left > 0) keys.set(key, left);
      else keys.delete(key);
    }
  };
}

async function answerProbe(
  request: ServiceRequest,
  tool: string,
  handler: ProbeHandler<unknown>,
  keys: ReadonlyMap<string, number>,
  tokens: TokenVerifier | undefined,
  stopping: AbortSignal,
): Promise<void> {
  try {
    const token = await checkToken(request, tokens, "probe");
    const call = { ...readCall(request, tool, stopping), ...(token !== undefined && { token }) };
    const atWork = (): ProbeAnswer | undefined => (keys.has(call.idempotencyKey) ? { found: "unknown", message: "the call is still being carried out" } : undefined);
    const answered = atWork() ?? (await handler(parseInput(request.data), call));
    // begun while the handler looked
    const found = answered.found === "none" ? (atWork() ?? answered) : answered;
    if (found.found === "done") return request.respond(encodeOutput(found.output), { "content-type": "application/json", [TOOL_HEADERS.effect]: "done" });
    const said = found.message === undefined ? {} : { [TOOL_HEADERS.errorCode]: `probe.${found.found}`, [TOOL_HEADERS.error]: oneLine(found.message, 4096) };
    request.respond(new Uint8Array(0), { ...said, [TOOL_HEADERS.effect]: found.found });
  } catch (error) {
    // a question that was refused or broke says nothing of what became of the call
    const { code, message } = error instanceof ToolFailure ? error : crashed(error);
    fail(request, new ToolFailure({ code, message, effect: "unknown", cause: error }));
  }
}

/** Before anything is done for the caller. */
async function checkToken(request: ServiceRequest, tokens: TokenVerifier | undefined, use?: TokenUse): Promise<ToolToken | undefined> {
  if (tokens === undefined) return undefined;
  const checked = await tokens.check(request.headers, request.data, use).catch((cause: unknown) => {
    throw new ToolFailure({ code: "token.unchecked", message: cause instanceof Error ? cause.message : "the token could not be checked", effect: "none", cause });
  });
  if ("token" in checked) return checked.token;
  const { code, message } = checked.refusal;
  throw new ToolFailure({ code, message, effect: "none" });
}

function readCall(request: ServiceRequest, tool: string, stopping: AbortSignal): Call {
  const header = (name: string): string => request.headers.get(name) ?? "";
  const deadline = deadlineOf(header(TOOL_HEADERS.deadline));
  const traceparent = header(TOOL_HEADERS.traceparent);
  let signal = stopping;
  if (deadline !== undefined) {
    const left = deadline.getTime() - Date.now();
    if (left <= 0) throw new ToolFailure({ code: "deadline.passed", message: `the deadline ${deadline.toISOString()} has passed`, effect: "none" });
    signal = AbortSignal.any([stopping, AbortSignal.timeout(Math.min(left, MAX_TIMER_MS))]);
  }
  return {
    tool,
    run: header(TOOL_HEADERS.run),
    action: header(TOOL_HEADERS.action),
    attempt: Number(header(TOOL_HEADERS.attempt)) || 1,
    idempotencyKey: header(TOOL_HEADERS.idempotencyKey),
    digest: header(TOOL_HEADERS.digest),
    ...(deadline !== undefined && { deadline }),
    ...(traceparent !== "" && { traceparent }),
    signal,
  };
}

/** Longer than this a timer of the platform does not run. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function deadlineOf(text: string): Date | undefined {
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : new Date(time);
}

function parseInput(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (cause) {
    throw new ToolFailure({ code: "input.unreadable", message: "the input is not JSON", effect: "none", cause });
  }
}

function encodeOutput(result: unknown): Uint8Array {
  try {
    return new TextEncoder().encode(JSON.stringify(result ?? null));
  } catch (cause) {
    // The handler has returned, so what it was to do is done.
    throw new ToolFailure({ code: "output.not_json", message: "the handler returned what JSON cannot say", effect: "done", cause });
  }
}

/** The handler threw what says nothing of its effect: only a person can tell. */
function crashed(error: unknown): ToolFailure {
  const message = error instanceof Error ? error.message : String(error);
  return new ToolFailure({ code: "tool.crashed", message, effect: "unknown", cause: error });
}

function fail(request: ServiceRequest, failure: ToolFailure): void {
  request.respond(new Uint8Array(0), {
    [TOOL_HEADERS.errorCode]: oneLine(failure.code, 128),
    [TOOL_HEADERS.error]: oneLine(failure.message, 4096),
    [TOOL_HEADERS.effect]: failure.effect,
  });
}

/** A header is one line. */
function oneLine(text: string, length: number): string {
  return text.replace(/[\x00-\x1f\x7f]+/g, " ").trim().slice(0, length).toWellFormed() || "failed";
}
