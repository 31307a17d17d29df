/**
 * Durable timers: scheduled messages of the TIMERS stream, which the server delivers to the run's `due` subject.
 * They are derived state: the journal says which are owed, and the sweep arms them again.
 */
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Publisher, StoredAt } from "./publisher.ts";

/** What comes back when a timer is due. */
export interface TimerPayload {
  /** The timer's name in its run. */
  readonly timer: string;
  /** Sequence of the event that armed it: a timer that was armed anew since is told apart by it. */
  readonly armed: number;
}

export class Timers {
  readonly #publisher: Publisher;
  readonly #ns: Namespace;

  constructor(publisher: Publisher, ns: Namespace) {
    this.#publisher = publisher;
    this.#ns = ns;
  }

  /**
   * Arms a timer, or moves it when one of that name is armed. It fires up to 255 ms late, never early; one that lies
   * in the past fires at once. It may fire although it was moved a moment before, and after a power cut not at all
   * until the sweep: whoever takes it compares `armed`.
   * @param dueAtMs milliseconds since the epoch
   * @throws PublishError
   */
  async arm(run: RunId, name: string, dueAtMs: number, payload: TimerPayload): Promise<StoredAt> {
    return this.#publisher.publish(subjects.timer(this.#ns, run, name), Buffer.from(JSON.stringify(payload)), {
      "Nats-Schedule": `@at ${new Date(dueAtMs).toISOString()}`,
      "Nats-Schedule-Target": subjects.due(this.#ns, run),
    });
  }
}

/** Reads the body of a due message; undefined when it is none of ours. */
export function readTimerPayload(data: Uint8Array): TimerPayload | undefined {
  try {
    const value = JSON.parse(Buffer.from(data).toString("utf8")) as Partial<TimerPayload> | null;
    if (typeof value?.timer !== "string" || !Number.isSafeInteger(value.armed)) return undefined;
    return { timer: value.timer, armed: value.armed as number };
  } catch {
    return undefined;
  }
}
