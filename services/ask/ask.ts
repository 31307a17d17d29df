/**
 * The request/reply form of a proposal, a NATS micro service: the proposal is forwarded to the inbox as the asker
 * sent it, and the answer that the plane stores for him is his reply. Who asks and for which run stands in the
 * subject, where the broker has checked it. Nothing is judged here, and a wait that ends cancels nothing.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { Answer } from "../../schemas/answer.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Actor, Namespace } from "../../schemas/ids.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { patterns, subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import { PublishError, Publisher } from "../bus/publisher.ts";
import { type RunningService, SERVICE_ERROR, type ServiceRequest, serve } from "../bus/service.ts";
import { encodeReply, look, pending, refusal } from "./reply.ts";
import { type ServiceFault, type Waiting, WaitingAsks, type WaitingLimits } from "./waiting.ts";
import { forwarded, readWish } from "./wish.ts";

const DEFAULT_LIMITS: WaitingLimits = { asks: 50_000, bytes: 256 * 1024 * 1024 };
const RETRY_MS = 1000;

export interface AskOptions {
  /** Logged in to PLANE with the role `ask`. */
  readonly nc: NatsConnection;
  readonly namespaces: readonly Namespace[];
  readonly log: Logger;
  /** For each namespace; 50,000 asks that wait, with 256 MiB of bodies, when left out. */
  readonly limits?: WaitingLimits;
}

export interface AskService {
  /** Asks that wait at the moment, over all namespaces. */
  readonly waiting: number;
  /** Resolves after `stop`; rejects when the service has lost a subscription, as for want of a permission. */
  readonly stopped: Promise<void>;
  /** Takes no more, and tells everyone who waits what is known so far. The connection stays open. */
  stop(): Promise<void>;
}

/** Answers asks in these namespaces until stopped; resolves when the server knows of it. Several may run at once. */
export async function startAsk(options: AskOptions): Promise<AskService> {
  const desk = new AskDesk(options);
  await desk.open();
  return desk;
}

/** An ask in our hands: the request that is answered, and what is sent for it. */
interface Open extends Waiting {
  readonly request: ServiceRequest;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  timer: NodeJS.Timeout | undefined;
}

class AskDesk implements AskService {
  readonly #options: AskOptions;
  readonly #publisher: Publisher;
  readonly #waiting = new Map<Namespace, WaitingAsks<Open>>();
  readonly #subscriptions: Subscription[] = [];
  #service: RunningService | undefined;
  #stopping = false;

  constructor(options: AskOptions) {
    this.#options = options;
    this.#publisher = new Publisher(options.nc);
    for (const ns of options.namespaces) this.#waiting.set(ns, new WaitingAsks(options.limits ?? DEFAULT_LIMITS));
  }

  get waiting(): number {
    let count = 0;
    for (const asks of this.#waiting.values()) count += asks.count;
    return count;
  }

  get stopped(): Promise<void> {
    return (this.#service?.stopped ?? Promise.resolve(undefined)).then((error) => {
      if (error !== undefined && !this.#stopping) throw error;
    });
  }

  async open(): Promise<void> {
    // One subscription each for everybody's answers, made before the first ask is taken: none can be missed.
    for (const [ns, asks] of this.#waiting) {
      this.#hear(patterns.outStored(ns), ([agent = "", run = ""], data) => asks.heard(agent, run, data));
      this.#hear(patterns.rejectedStored(ns), ([agent = ""], data) => asks.refused(agent, data));
    }
    void this.#forgetAfterReconnect();
    this.#service = await serve(
      this.#options.nc,
      { name: "signalbox-ask", version: "1.0.0", description: "propose, and wait for the plane's answer" },
      [...this.#waiting].map(([ns, asks]) => ({
        name: `ask-${ns}`,
        subject: patterns.asks(ns),
        handler: (request) => this.#take(ns, asks, request),
      })),
    );
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#service?.stop();
    for (const asks of this.#waiting.values()) for (const ask of asks.all()) giveUp(asks, ask);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#publisher.close();
    if (!this.#options.nc.isClosed()) await this.#options.nc.flush();
  }

  /** Listens to `signalbox.<ns>.stored.<what>.…`; `hear` gets the tokens behind. */
  #hear(subject: string, hear: (tokens: string[], data: Uint8Array) => void): void {
    const subscription = this.#options.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) hear(message.subject.split(".").slice(4), message.data);
        else this.#options.log.error({ subject, error: error.message }, "answers cannot be heard");
      },
    });
    this.#subscriptions.push(subscription);
  }

  #take(ns: Namespace, asks: WaitingAsks<Open>, request: ServiceRequest): void {
    const [, , , agent = "", run = ""] = request.subject.split(".");
    const asked = look(run, request.data, request.headers);
    const reply = (answer: Answer, error?: ServiceFault) => send(request, answer, asked.msgpack, error);
    const wish = readWish(request.headers);
    if ("reasons" in wish) return reply(refusal(asked, now(), wish.reasons));
    const ask: Open = {
      ...asked,
      agent,
      wait: wish.wait,
      sha256: sha256Digest(request.data),
      bytes: request.data.length,
      latest: undefined,
      request,
      subject: subjects.input(ns, "propose", agent as Actor, run),
      headers: forwarded(request.headers),
      timer: undefined,
      done: (answer, error) => {
        clearTimeout(ask.timer);
        reply(answer, error);
      },
    };
    if (!asks.add(ask)) return reply(refusal(asked, now(), [BUSY]), { code: 503, message: BUSY.message });
    ask.timer = setTimeout(() => giveUp(asks, ask), wish.timeoutMs);
    void this.#deliver(asks, ask);
  }

  /**
   * Brings an ask to the inbox. After any doubt it is sent again: the plane knows a proposal by its id, and answers
   * a repetition with how things stand.
   */
  async #deliver(asks: WaitingAsks<Open>, ask: Open): Promise<void> {
    let mayBeStored = false;
    while (!this.#stopping && asks.has(ask)) {
      try {
        await this.#publisher.publish(ask.subject, ask.request.data, ask.headers);
        return;
      } catch (error) {
        if (!(error instanceof PublishError)) throw error;
        if (!mayBeStored && !error.inDoubt) {
          const why = notTaken(error, ask.agent, ask.run);
          this.#options.log.warn({ agent: ask.agent, run: ask.run, code: why.code }, error.message);
          if (asks.remove(ask)) ask.done(refusal(ask, now(), [why]), { code: why.code === "inbox.full" ? 429 : 503, message: why.message });
          return;
        }
        mayBeStored = true;
        await pause(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  /**
   * The broker's leave to answer a request belongs to the connection that received it. After a new one nobody who
   * waited can be reached, so they are forgotten; they ask again, with the same id, when their own patience ends.
   */
  async #forgetAfterReconnect(): Promise<void> {
    for await (const status of this.#options.nc.status()) {
      if (this.#stopping) return;
      if (status.type !== "reconnect") continue;
      for (const asks of this.#waiting.values()) {
        for (const ask of asks.all()) {
          asks.remove(ask);
          clearTimeout(ask.timer);
        }
      }
    }
  }
}

/** Says what is known so far. The proposal goes its way. */
function giveUp(asks: WaitingAsks<Open>, ask: Open): void {
  if (asks.remove(ask)) ask.done(ask.latest ?? pending(ask, now()));
}

const BUSY: Reason = reason("ask.busy", "too many asks wait at the moment", {
  help: "ask again later, or publish the proposal to `in.propose` and read the answers on `out`",
});

/** The stream has as many messages, or bytes, as it takes. */
const STREAM_FULL = 10077;

function notTaken(error: PublishError, agent: string, run: string): Reason {
  if (error.code === STREAM_FULL) {
    return reason("inbox.full", `too many proposals of \`${agent}\` for \`${run}\` wait to be judged`, { help: "send it again later, with the same id" });
  }
  if (error.kind === "refused") return reason("inbox.refused", `the inbox did not take the proposal: ${error.message}`);
  return reason("plane.unavailable", `the inbox cannot be reached: ${error.message}`, { help: "send it again later, with the same id" });
}

function send(request: ServiceRequest, answer: Answer, msgpack: boolean, fault?: ServiceFault): void {
  if (request.reply === "") return;
  const { data, headers } = encodeReply(answer, msgpack);
  if (fault !== undefined) {
    headers[SERVICE_ERROR.code] = String(fault.code);
    headers[SERVICE_ERROR.message] = fault.message;
  }
  request.respond(data, headers);
}

function now(): string {
  return timestamp(Date.now());
}
