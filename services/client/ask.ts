/** One proposal, one answer, over a connection that may break in between. */
import { setTimeout as pause } from "node:timers/promises";
import type { Answer } from "../../schemas/answer.ts";
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import type { Actor, Namespace, RunId } from "../../schemas/ids.ts";
import type { Proposal } from "../../schemas/proposal.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { type Reply, RequestError, request } from "../bus/request.ts";
import { NotPermitted, NotServed, Unanswered } from "./errors.ts";
import { readAnswer } from "./outcome.ts";

export interface WaitOptions {
  /** `verdict`: until the plane has judged. `result` (default): until nothing more will be said. */
  readonly wait?: "verdict" | "result";
  /** 1 to 300,000; 30,000 when left out. The wait's end cancels nothing. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** The plane ends the wait; we wait a little longer than that for its word. */
const SLACK_MS = 2000;
/** After a restart the plane's parts come back one by one. */
const PATIENCE_MS = 5000;
const RETRY_MS = 200;

export class Asker {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  /** Replaced with each reconnect. */
  #reconnect = Promise.withResolvers<"reconnected">();

  constructor(nc: NatsConnection, ns: Namespace) {
    this.#nc = nc;
    this.#ns = ns;
    void this.#watch();
  }

  /**
   * Proposes and waits. A lost connection loses the broker's promise to bring the answer, so after a reconnect the
   * same is asked again: the plane knows it by its id.
   * @throws NotPermitted, NotServed, Unanswered, NotUnderstood
   */
  async ask(agent: Actor, run: RunId, body: Proposal, options: WaitOptions = {}, principal?: string): Promise<Answer> {
    const subject = subjects.ask(this.#ns, agent, run);
    const data = new TextEncoder().encode(JSON.stringify(body));
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const began = performance.now();
    let deserted: number | undefined;
    for (;;) {
      const left = Math.max(1, Math.ceil(timeoutMs - (performance.now() - began)));
      const headers = {
        [INPUT_HEADERS.contentType]: "application/json",
        [INPUT_HEADERS.wait]: options.wait ?? "result",
        [INPUT_HEADERS.timeout]: String(left),
        ...(principal !== undefined && { [INPUT_HEADERS.principal]: principal }),
      };
      const asked = request(this.#nc, subject, data, { headers, timeoutMs: left + SLACK_MS });
      let reply: Reply | "reconnected";
      try {
        reply = await Promise.race([asked, this.#reconnect.promise]);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        if (error.kind === "forbidden") throw new NotPermitted(`propose as \`${agent}\` for run \`${run}\``, error);
        if (error.kind !== "nobody") throw new Unanswered(run, body.id, timeoutMs, error);
        deserted ??= performance.now();
        const patience = Math.min(PATIENCE_MS, timeoutMs);
        if (performance.now() - deserted > patience) throw new NotServed(`\`${subject}\``, error);
        await pause(RETRY_MS);
        continue;
      }
      if (reply !== "reconnected") return readAnswer(reply.data);
      // Its own time-out rejects it later, when nobody listens any more.
      asked.catch(() => undefined);
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type !== "reconnect") continue;
      const before = this.#reconnect;
      this.#reconnect = Promise.withResolvers();
      before.resolve("reconnected");
    }
  }
}
