/**
 * Tools that anybody serves as a NATS micro service (OPS-3): the request is the input's bytes with what the tool may
 * need to know in headers, the answer its output or an error.
 */
import { TOOL_HEADERS } from "../../../schemas/dispatch.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { readBody } from "../../bus/body.ts";
import { headers, type Msg, type NatsConnection } from "../../bus/connection.ts";
import { readHeaders } from "../../bus/headers.ts";
import { type Adapter, type AdapterRequest, type AdapterResult, failure, type ProbeResult } from "./adapter.ts";

/** The client's own time-out comes later than the caller's, so that one of them speaks. */
const TIMEOUT_MARGIN_MS = 1_000;

export class NatsAdapter implements Adapter {
  readonly #nc: NatsConnection;
  /** The client keeps what is sent while it is disconnected, and a call must not go out after it was given up. */
  #connected = true;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    void this.#watch();
  }

  async call(request: AdapterRequest): Promise<AdapterResult> {
    const { ns, tool, inputBytes, timeoutMs } = request;
    if (!this.#connected || this.#nc.isClosed()) return failure("gateway.disconnected", "the gateway is not connected", "none");
    let answer: Msg;
    try {
      answer = await this.#nc.request(subjects.call(ns, tool), inputBytes, {
        headers: headersOf(request),
        timeout: timeoutMs + TIMEOUT_MARGIN_MS,
      });
    } catch (error) {
      return failureOf(error, tool);
    }
    return resultOf(answer);
  }

  /** On a subject of its own: a tool that does not know the question does not take it for a call. */
  async probe(request: AdapterRequest): Promise<ProbeResult> {
    const { ns, tool, inputBytes, timeoutMs } = request;
    if (!this.#connected || this.#nc.isClosed()) return inDark("gateway.disconnected", "the gateway is not connected");
    try {
      const options = { headers: headersOf(request), timeout: timeoutMs + TIMEOUT_MARGIN_MS };
      return foundOf(await this.#nc.request(subjects.probe(ns, tool), inputBytes, options));
    } catch (error) {
      const failed = failureOf(error, tool);
      return failed.ok ? inDark("tool.unanswered", "the tool gave no answer") : inDark(failed.error.code, failed.error.message);
    }
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type === "disconnect") this.#connected = false;
      else if (type === "reconnect") this.#connected = true;
    }
  }
}

function headersOf(request: AdapterRequest) {
  const set = headers();
  set.set(TOOL_HEADERS.run, request.run);
  set.set(TOOL_HEADERS.action, request.action);
  set.set(TOOL_HEADERS.attempt, String(request.attempt));
  set.set(TOOL_HEADERS.digest, request.digest);
  set.set(TOOL_HEADERS.deadline, request.deadline);
  set.set(TOOL_HEADERS.idempotencyKey, request.idempotencyKey);
  if (request.token !== undefined) set.set(TOOL_HEADERS.token, request.token);
  if (request.traceparent !== undefined) set.set(TOOL_HEADERS.traceparent, request.traceparent);
  set.set("content-type", "application/json");
  return set;
}

function failureOf(error: unknown, tool: string): AdapterResult {
  // the client's codes: no responders, and a payload that it did not send
  const code = (error as { code?: unknown }).code;
  if (code === "503") return failure("tool.no_responders", `nobody serves \`${tool}\``, "none");
  if (code === "MAX_PAYLOAD_EXCEEDED") return failure("tool.input_too_large", "the input is larger than the server takes", "none");
  const why = error instanceof Error ? error.message : String(error);
  return failure("tool.unanswered", `the call of \`${tool}\` was not answered: ${why}`, "unknown");
}

function resultOf(answer: Msg): AdapterResult {
  const received = readHeaders(answer).headers;
  const code = received.get(TOOL_HEADERS.errorCode);
  const message = received.get(TOOL_HEADERS.error);
  if (code !== undefined || message !== undefined) {
    const effect = received.get(TOOL_HEADERS.effect);
    const known = effect === "none" || effect === "done" ? effect : "unknown";
    return failure(`tool.${code === undefined || code === "" ? "failed" : code}`, message ?? "the tool gave no reason", known);
  }
  // as large as the server lets it be: what is too large for a report becomes a document
  const body = readBody(answer.data, received.get("content-type"), Number.POSITIVE_INFINITY);
  if (body.ok) return { ok: true, output: body.value };
  // it answered, so it did what it was asked for: what it said of it cannot be read
  return failure("output.unreadable", `the tool's answer cannot be read: ${body.reason}`, "done");
}

const inDark = (code: string, message: string): ProbeResult => ({ found: "unknown", error: { code, message } });

/** Only what the tool says in so many words is known. */
function foundOf(answer: Msg): ProbeResult {
  const received = readHeaders(answer).headers;
  const found = received.get(TOOL_HEADERS.effect);
  const [code, message] = [received.get(TOOL_HEADERS.errorCode), received.get(TOOL_HEADERS.error)];
  const error = code === undefined && message === undefined ? undefined : { code: `tool.${code === undefined || code === "" ? "failed" : code}`, message: message ?? "the tool gave no reason" };
  if (found === "none") return error === undefined ? { found } : { found, error };
  if (found !== "done") return { found: "unknown", error: error ?? { code: "probe.unknown", message: "the tool cannot say what was done" } };
  if (error !== undefined) return { found, error };
  const body = readBody(answer.data, received.get("content-type"), Number.POSITIVE_INFINITY);
  if (body.ok) return { found, output: body.value };
  return { found, error: { code: "output.unreadable", message: `the tool's answer cannot be read: ${body.reason}` } };
}
