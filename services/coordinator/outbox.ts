/**
 * What goes out after a commit: dispatches, timers, signals, answers, rejections, grants. Everything but a grant waits for
 * the stream's acknowledgement, and is tried again until the stream has it; only then is the input acknowledged.
 */
import type { Logger } from "pino";
import type { Owed } from "../../machines/owed.ts";
import type { Answer, Rejection } from "../../schemas/answer.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Grant } from "../../schemas/dispatch.ts";
import type { Actor, Namespace, RunId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import type { Reason } from "../../schemas/reason.ts";
import { escapeToken, parseStoredInput, subjects } from "../../schemas/subjects.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import { type Publisher, PublishError } from "../bus/publisher.ts";
import type { Timers } from "../bus/timers.ts";
import type { Origin } from "./arrival.ts";
import { pause } from "./pause.ts";
import { type OwedTimer, Unarmed } from "./unarmed.ts";

const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
const PAID = Promise.resolve();
const JSON_BODY = { "content-type": "application/json" };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

export class Outbox {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #publisher: Publisher;
  readonly #timers: Timers;
  readonly #log: Logger;
  /** The newest debt under each timer's name that is being paid. */
  readonly #arming = new Map<string, Owed>();
  readonly #unarmed = new Unarmed((run, debt) => {
    // only a stop ends the tries
    this.#arm(run, debt).catch(() => undefined);
  });
  #stopped = false;

  constructor(nc: NatsConnection, ns: Namespace, publisher: Publisher, timers: Timers, log: Logger) {
    this.#nc = nc;
    this.#ns = ns;
    this.#publisher = publisher;
    this.#timers = timers;
    this.#log = log;
  }

  stop(): void {
    this.#stopped = true;
    this.#unarmed.stop();
  }

  /** @param now the time of the run's last event; absent where everything owed is paid at once, as by who takes the run over */
  pay(run: RunId, debt: Owed, now?: string): Promise<void> {
    if (debt.kind === "timer") return now !== undefined && this.#unarmed.take(run, debt, now) ? PAID : this.#arm(run, debt);
    if (debt.kind === "signal") return this.signal(run, debt.to, debt.body);
    const headers = { ...JSON_BODY, "Nats-Msg-Id": `${run}/${debt.key}` };
    return this.#until(() => this.#publisher.publish(subjects.dispatch(this.#ns, debt.tool), json(debt.message), headers));
  }

  /** Lets go of what was put off and is no debt of the run any more. @param owed keys of all that are */
  letGo(run: RunId, owed: ReadonlySet<string>): void {
    this.#unarmed.keep(run, owed);
  }

  /** A timer replaces the one of its name, so an older debt that has to be tried again must not come behind a newer one. */
  async #arm(run: RunId, debt: OwedTimer): Promise<void> {
    const key = `${run}/${debt.name}`;
    this.#arming.set(key, debt);
    const isNewest = () => this.#arming.get(key) === debt;
    try {
      await this.#until(async () => {
        if (isNewest()) await this.#timers.arm(run, debt.name, millis(debt.at), { timer: debt.name, armed: debt.armed });
      });
    } finally {
      if (isNewest()) this.#arming.delete(key);
    }
  }

  /** A message between aggregates, both by their tokens. */
  signal(from: string, to: string, body: SignalInput): Promise<void> {
    return this.#until(() => this.#publisher.publish(subjects.signal(this.#ns, from, to, body.name), json(body), JSON_BODY));
  }

  /** A signal as it was sent before there were shares, to where it is read now. */
  passOn({ subject, data, headers }: Pick<IntakeMessage, "subject" | "data" | "headers">): Promise<void> {
    const address = parseStoredInput(subject);
    // whatever else stands there is none, and nobody waits for it
    if (address?.signal === undefined) return Promise.resolve();
    const { actor, aggregate, signal } = address;
    return this.#until(() => this.#publisher.publish(subjects.signal(this.#ns, actor, aggregate, signal), data, Object.fromEntries(headers)));
  }

  answer(agent: Actor, answer: Answer): Promise<void> {
    const subject = subjects.out(this.#ns, agent, answer.run as RunId);
    return this.#until(() => this.#publisher.publish(subject, json(answer), JSON_BODY));
  }

  /** Leaves reason, size and hash of an input that entered no journal (law 6). */
  reject(origin: Origin, reasons: readonly Reason[], id: string | undefined, count = 1): Promise<void> {
    const { message } = origin;
    const rejection: Rejection = {
      v: 1,
      at: timestamp(message.time),
      actor: origin.actor,
      kind: origin.kind,
      run: origin.token,
      ...(id !== undefined && { id }),
      reasons: [...reasons],
      bytes: message.data.length,
      sha256: sha256Digest(message.data),
      count,
    };
    const subject = subjects.rejected(this.#ns, escapeToken(origin.actor) as Actor);
    return this.#until(() => this.#publisher.publish(subject, json(rejection), JSON_BODY));
  }

  grant(gateway: Actor, grant: Grant): void {
    try {
      this.#nc.publish(subjects.grant(this.#ns, gateway), json(grant), {});
    } catch (error) {
      // the gateway hears nothing and reports again
      this.#log.debug({ error: String(error) }, "a grant could not be sent");
    }
  }

  async #until(publish: () => Promise<unknown>): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        await publish();
        return;
      } catch (error) {
        this.#log.warn({ error: String(error), kind: error instanceof PublishError ? error.kind : undefined }, "an effect is tried again");
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
    throw new Error("stopped before the effect was stored");
  }
}
