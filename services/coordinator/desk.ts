/** Where inputs come in: counted, read, put into the lane of their aggregate; or refused, with a record (law 6). */
import type { Logger } from "pino";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { IntakeMessage } from "../bus/intake.ts";
import type { Admissions } from "./admission.ts";
import { type Arrival, type Origin, readInput } from "./arrival.ts";
import type { Lanes } from "./lanes.ts";
import type { Outbox } from "./outbox.ts";

export class Desk {
  readonly #admissions: Admissions;
  readonly #lanes: Lanes;
  readonly #outbox: Outbox;
  readonly #log: Logger;
  /** The last origin of each actor over its quota, for the record of the rest. */
  readonly #overQuota = new Map<string, Origin>();

  constructor(admissions: Admissions, lanes: Lanes, outbox: Outbox, log: Logger) {
    this.#admissions = admissions;
    this.#lanes = lanes;
    this.#outbox = outbox;
    this.#log = log;
  }

  proposals(messages: readonly IntakeMessage[]): void {
    for (const message of messages) {
      const actor = message.subject.split(".")[5] ?? "";
      const admission = this.#admissions.admit(actor, message.time);
      if (admission.admitted) this.#take(message);
      else {
        const token = message.subject.split(".")[6] ?? "";
        const origin: Origin = { message, kind: "propose", actor, token };
        this.#overQuota.set(actor, origin);
        if (admission.record > 0) void this.#overdrawn(origin, admission.record);
        message.ack();
      }
    }
  }

  control(messages: readonly IntakeMessage[]): void {
    for (const message of messages) this.#take(message);
  }

  /** Leaves a record of a refused input, then takes it out of the stream. */
  async refuse(origin: Origin, reasons: readonly Reason[], id: string | undefined): Promise<void> {
    try {
      await this.#outbox.reject(origin, reasons, id);
      origin.message.ack();
    } catch (error) {
      // stopped: it stays in the stream and is refused by the next owner
      this.#log.debug({ error: String(error) }, "a refusal was not recorded");
    }
  }

  /** A refused arrival, under its own id. */
  refuseArrival(arrival: Arrival, reasons: readonly Reason[]): Promise<void> {
    return this.refuse(arrival, reasons, arrival.input.id);
  }

  /** Records what was counted and is in no record yet. */
  async recordRest(): Promise<void> {
    const rest = this.#admissions.takeRest().map(([actor, count]) => {
      const origin = this.#overQuota.get(actor);
      return origin && this.#overdrawn(origin, count);
    });
    this.#overQuota.clear();
    await Promise.all(rest);
  }

  #take(message: IntakeMessage): void {
    const read = readInput(message);
    if (read.ok) this.#lanes.push(read.arrival);
    else void this.refuse(read, read.reasons, read.id);
  }

  async #overdrawn(origin: Origin, count: number): Promise<void> {
    const why = reason("quota.exceeded", `\`${origin.actor}\` sent more than is admitted: ${count} input(s) were not judged`, {
      help: "send more slowly, and repeat what was not answered",
    });
    try {
      await this.#outbox.reject(origin, [why], undefined, count);
    } catch (error) {
      this.#log.warn({ error: String(error), actor: origin.actor, count }, "what exceeded a quota was not recorded");
    }
  }
}
