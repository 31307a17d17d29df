/**
 * One share of a namespace's inputs, while this coordinator owns it: its inputs from INBOX and CONTROL in order, and the
 * timers that fell due behind the inputs that were stored before them. Its consumers bear the number of the ownership:
 * the next owner deletes them, and from then on nothing that this one still says is heard by the server.
 */
import type { Logger } from "pino";
import type { Namespace } from "../../schemas/ids.ts";
import { formerPartitions, patterns, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { Intake } from "../bus/intake.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import { consumersOf, isInTheWay } from "../bus/intake-consumer.ts";
import type { Arrival } from "./arrival.ts";
import { DueFence } from "./fence.ts";
import { pause } from "./pause.ts";

export interface ShareOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly number: number;
  readonly log: Logger;
  /** Inputs in the order of their stream. */
  readonly onInputs: (messages: IntakeMessage[]) => void;
  /** A timer, when the inputs before it have been handed out. */
  readonly onDue: (due: Arrival) => void;
  /** Some messages are no longer in hand: they come again, here or to the next owner. */
  readonly onDropped: () => void;
  /** A signal that was stored in no share, to be sent again in the one where it belongs. */
  readonly onUnshared: (signal: IntakeMessage) => Promise<void>;
  /** Owns the share on under an epoch beyond that one. */
  readonly raise: (beyond: number) => Promise<number>;
}

type Queue = "INBOX" | "CONTROL" | "TIMERS";

const MAX_UNACKNOWLEDGED = 4096;
const DRAIN_MS = 2000;
const LOOK_MS = 10;
const API_TIMEOUT_MS = 5000;
const NAME = /^share-(\d+)-(\d+)(?:-[a-z0-9]+)?$/;
/** One share takes what is in none. */
const UNSHARED = 0;

export class Share {
  readonly #options: ShareOptions;
  readonly #log: Logger;
  #intakes: Intake[] = [];
  #fence: DueFence | undefined;
  #stopped = false;

  constructor(options: ShareOptions) {
    this.#options = options;
    this.#log = options.log.child({ share: options.number });
  }

  /**
   * Takes all of its inputs, from the oldest.
   * @param epoch of the ownership
   * @throws ApiError, the client's error when nobody answers, and what `raise` throws
   */
  async start(epoch: number): Promise<void> {
    for (let current = epoch; !this.#stopped; ) {
      try {
        await this.#open(current);
        return;
      } catch (error) {
        await Promise.all(this.#intakes.splice(0).map((intake) => intake.stop()));
        if (!isInTheWay(error)) throw error;
        // the leases were lost once, or went back by a power cut: epochs began anew
        current = await this.#options.raise(await this.#newestEpoch());
      }
    }
  }

  /** Hands nothing out any more, and ends what is under way. Resolves when the server knows it too. */
  async drain(): Promise<void> {
    for (const intake of this.#intakes) intake.pause();
    const began = performance.now();
    while (!this.#stopped && this.#intakes.some(({ inHand }) => inHand > 0) && performance.now() - began < DRAIN_MS) await pause(LOOK_MS);
    await this.leave();
  }

  /** Drops what is in hand, and leaves nothing in the next owner's way. */
  async leave(): Promise<void> {
    const intakes = this.#intakes;
    await this.stop();
    // what cannot be deleted is deleted by whoever it is in the way of
    await Promise.all(intakes.map((intake) => intake.remove().catch(() => undefined)));
  }

  /** Drops what is in hand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#fence?.stop();
    await Promise.all(this.#intakes.map((intake) => intake.stop()));
  }

  async #open(epoch: number): Promise<void> {
    const { number, ns, onInputs } = this.#options;
    const handedOut = (messages: IntakeMessage[]) => {
      onInputs(messages);
      this.#fence?.release();
    };
    const control = this.#intake("CONTROL", epoch, patterns.inputsOf(ns, number));
    const inbox = this.#intake("INBOX", epoch, patterns.inputsOf(ns, number));
    const due = this.#intake("TIMERS", epoch, patterns.duesOf(ns, number));
    const fence = new DueFence({ inbox, control }, this.#options.onDue, this.#log);
    this.#fence = fence;
    const overdue = (messages: IntakeMessage[]) => void fence.take(messages);
    // older than anything that is stored in the share itself, and of the same runs
    await Promise.all(
      formerPartitions(number).flatMap((partition) => [
        this.#former("CONTROL", epoch, partition, patterns.inputsOf(ns, partition), onInputs),
        this.#former("INBOX", epoch, partition, patterns.inputsOf(ns, partition), onInputs),
        this.#former("TIMERS", epoch, partition, patterns.duesOf(ns, partition), overdue),
      ]),
    );
    const starts = [control.start(handedOut), inbox.start(handedOut), due.start(overdue)];
    if (number === UNSHARED) starts.push(this.#intake("CONTROL", epoch, patterns.unsharedSignals(ns), "signals").start((messages) => void this.#pass(messages)));
    const failed = (await Promise.allSettled(starts)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #intake(stream: Queue, epoch: number, filter: string, part?: string | number): Intake {
    const { nc, ns, number } = this.#options;
    const intake = new Intake(nc, {
      stream: streamName(stream, ns),
      consumer: `share-${number}-${epoch}${part === undefined ? "" : `-${part}`}`,
      filter,
      memory: true,
      maxAckPending: MAX_UNACKNOWLEDGED,
      supersedes: (other) => isOlder(other, number, epoch),
      onReset: (generation, why) => {
        if (!this.#stopped) this.#log.info({ stream, generation, why }, "inputs are taken from the oldest again");
        this.#options.onDropped();
        this.#fence?.release();
      },
      onTrouble: (error) => this.#log.warn({ stream, error: error.message }, "the consumer cannot be made"),
    });
    this.#intakes.push(intake);
    return intake;
  }

  /** What a plane of before stored under the number of a partition, if there is any; resolves when it has been handed out. */
  async #former(stream: Queue, epoch: number, partition: number, filter: string, onMessages: (messages: IntakeMessage[]) => void): Promise<void> {
    const intake = this.#intake(stream, epoch, filter, partition);
    const isLeft = async () => (await intake.lastStored()) > intake.handedThrough;
    if (!(await isLeft())) {
      this.#intakes = this.#intakes.filter((one) => one !== intake);
      return;
    }
    await intake.start(onMessages);
    while (!this.#stopped && (await isLeft())) await pause(LOOK_MS);
  }

  async #pass(messages: readonly IntakeMessage[]): Promise<void> {
    for (const message of messages) {
      try {
        await this.#options.onUnshared(message);
        message.ack();
      } catch (error) {
        // stopped: it is the next owner's
        this.#log.debug({ error: String(error) }, "a signal was not passed on");
        return;
      }
    }
  }

  async #newestEpoch(): Promise<number> {
    const { nc, ns, number } = this.#options;
    const names = await Promise.all((["CONTROL", "INBOX", "TIMERS"] as const).map((stream) => consumersOf(nc, streamName(stream, ns), API_TIMEOUT_MS)));
    return names.flat().reduce((newest, name) => {
      const [, share, epoch] = NAME.exec(name) ?? [];
      return Number(share) === number ? Math.max(newest, Number(epoch)) : newest;
    }, 0);
  }
}

/** Whether an owner of this epoch may delete it: another one's of the same share, or that of a plane that had no shares. */
function isOlder(consumer: string, number: number, own: number): boolean {
  const [name, share, epoch] = NAME.exec(consumer) ?? [];
  return name === undefined || (Number(share) === number && Number(epoch) < own);
}
