/**
 * A timer is applied only behind the inputs that were stored before it fell due: an approval stored in time wins,
 * however late it is read. The fence of a timer is the last input of its share in INBOX and CONTROL at the time it is read.
 */
import type { Logger } from "pino";
import type { Intake } from "../bus/intake.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import { type Arrival, readDue } from "./arrival.ts";
import { pause } from "./pause.ts";

type Source = Pick<Intake, "generation" | "handedThrough" | "lastStored">;

interface Fenced {
  readonly inbox: number;
  readonly control: number;
  /** Sequences mean nothing across a reset of the intake that they are compared with. */
  readonly generations: readonly [number, number];
  readonly arrivals: readonly Arrival[];
}

const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;

export class DueFence {
  readonly #inbox: Source;
  readonly #control: Source;
  readonly #deliver: (arrival: Arrival) => void;
  readonly #log: Logger;
  #fenced: Fenced[] = [];
  #stopped = false;

  constructor(sources: { inbox: Source; control: Source }, deliver: (arrival: Arrival) => void, log: Logger) {
    this.#inbox = sources.inbox;
    this.#control = sources.control;
    this.#deliver = deliver;
    this.#log = log;
  }

  stop(): void {
    this.#stopped = true;
    this.#fenced = [];
  }

  /** Takes timers that fell due; each is delivered when the inputs before it have been handed out. */
  async take(messages: readonly IntakeMessage[]): Promise<void> {
    const arrivals: Arrival[] = [];
    for (const message of messages) {
      const arrival = readDue(message);
      if (arrival === undefined) message.ack();
      else arrivals.push(arrival);
    }
    await this.#fence(arrivals);
  }

  /** Called whenever inputs were handed out. */
  release(): void {
    if (this.#fenced.length === 0) return;
    const waiting = this.#fenced;
    this.#fenced = [];
    for (const fenced of waiting) {
      const { inbox, control, generations, arrivals } = fenced;
      if (generations[0] !== this.#inbox.generation || generations[1] !== this.#control.generation) {
        // what the fence spoke of may be gone from the stream, and would be waited for in vain
        void this.#fence(arrivals);
      } else if (inbox > this.#inbox.handedThrough || control > this.#control.handedThrough) this.#fenced.push(fenced);
      else for (const arrival of arrivals) if (arrival.message.inHand) this.#deliver(arrival);
    }
  }

  async #fence(due: readonly Arrival[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const arrivals = due.filter((arrival) => arrival.message.inHand);
      if (this.#stopped || arrivals.length === 0) return;
      try {
        const generations = [this.#inbox.generation, this.#control.generation] as const;
        const [inbox, control] = await Promise.all([this.#inbox.lastStored(), this.#control.lastStored()]);
        this.#fenced.push({ inbox, control, generations, arrivals });
        this.release();
        return;
      } catch (error) {
        this.#log.warn({ error: String(error) }, "the fence of due timers cannot be read");
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
  }
}
