/**
 * Reports to the plane, and its answers. Grants come as plain messages that may be lost, so a report is repeated
 * until it is answered: always the same bytes under the same id, so that the plane sees one report.
 */
import type { Logger } from "pino";
import { type Grant, grantSchema } from "../../schemas/dispatch.ts";
import type { Actor, Namespace, RunId } from "../../schemas/ids.ts";
import type { ReportInput } from "../../schemas/inputs.ts";
import { subjects } from "../../schemas/subjects.ts";
import { encode } from "../bus/codec.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import type { Publisher } from "../bus/publisher.ts";

/** The gateway was stopped before the plane answered: nothing is known, and another gateway will be asked. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

export interface ReporterOptions {
  readonly nc: NatsConnection;
  readonly publisher: Publisher;
  readonly ns: Namespace;
  readonly name: Actor;
  readonly logger: Logger;
  /** Until the first repetition; doubled each time. */
  readonly firstRepeatMs: number;
}

const MAX_REPEAT_MS = 30_000;
const HEADERS = { "content-type": "application/msgpack" };

interface Waiting {
  readonly subject: string;
  readonly report: ReportInput;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: Promise<Grant>;
  readonly resolve: (grant: Grant) => void;
  readonly reject: (error: Error) => void;
  repeatMs: number;
  timer: NodeJS.Timeout | undefined;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #waiting = new Map<string, Waiting>();
  #subscription: Subscription | undefined;
  #stopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Listens for grants; before the first report. */
  start(): void {
    const { nc, ns, name } = this.#options;
    this.#subscription = nc.subscribe(subjects.grant(ns, name), {
      callback: (error, message) => {
        if (error === null) this.#onGrant(message.data);
      },
    });
  }

  /**
   * The plane's answer: `granted` or `refused` to a claim (status `started`), `recorded` or `refused` to any other.
   * Asked again while it waits, it sends once more at once.
   * @throws Stopped; TypeError when the report cannot be encoded
   */
  report(run: RunId, report: ReportInput, traceparent?: string): Promise<Grant> {
    if (this.#stopped) return Promise.reject(new Stopped("the gateway was stopped"));
    const key = keyOf(run, report.id);
    const known = this.#waiting.get(key);
    if (known !== undefined) {
      this.#send(key, known);
      return known.answer;
    }
    const { ns, name, firstRepeatMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Grant>();
    const waiting: Waiting = {
      subject: subjects.input(ns, "report", name, run),
      report,
      body: encode(report),
      headers: traceparent === undefined ? HEADERS : { ...HEADERS, traceparent },
      answer: promise,
      resolve,
      reject,
      repeatMs: firstRepeatMs,
      timer: undefined,
    };
    this.#waiting.set(key, waiting);
    this.#send(key, waiting);
    return promise;
  }

  /** Sends again what waits for an answer: after a reconnect, and when its dispatch was delivered again. */
  repeat(): void {
    for (const [key, waiting] of this.#waiting) this.#send(key, waiting);
  }

  stop(): void {
    this.#stopped = true;
    this.#subscription?.unsubscribe();
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new Stopped("the gateway was stopped"));
    }
    this.#waiting.clear();
  }

  #send(key: string, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => {
      this.#options.logger.warn(
        { action: waiting.report.action, report: waiting.report.id, afterMs: waiting.repeatMs },
        "the plane has not answered a report; it is sent again",
      );
      waiting.repeatMs = Math.min(MAX_REPEAT_MS, waiting.repeatMs * 2);
      this.#send(key, waiting);
    }, waiting.repeatMs);
    this.#options.publisher.publish(waiting.subject, waiting.body, waiting.headers).catch((error: unknown) => {
      // Stored or not: the timer sends it again.
      if (this.#waiting.has(key)) this.#options.logger.warn({ report: waiting.report.id, err: error }, "a report could not be sent");
    });
  }

  #onGrant(data: Uint8Array): void {
    const grant = readGrant(data);
    if (grant === undefined) {
      this.#options.logger.error({ bytes: data.length }, "an answer to a report cannot be read");
      return;
    }
    const key = keyOf(grant.run, grant.report);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined || !answers(grant, waiting.report)) return;
    this.#waiting.delete(key);
    clearTimeout(waiting.timer);
    waiting.resolve(grant);
  }
}

function keyOf(run: string, report: string): string {
  return `${run} ${report}`;
}

function readGrant(data: Uint8Array): Grant | undefined {
  try {
    return grantSchema.parse(JSON.parse(Buffer.from(data).toString("utf8")));
  } catch {
    return undefined;
  }
}

/** Whether it is the answer to exactly this report with this claim: another life of this gateway hears our grants too. */
function answers(grant: Grant, report: ReportInput): boolean {
  const wanted = report.status === "started" ? "granted" : "recorded";
  return (
    (grant.verdict === wanted || grant.verdict === "refused") &&
    grant.action === report.action &&
    grant.attempt === report.attempt &&
    grant.claim.gateway === report.claim.gateway &&
    grant.claim.nonce === report.claim.nonce
  );
}
