/** Where inputs come in: counted, read, put into the lane of their aggregate; or refused, with a record (law 6). */
import type { Logger } from "pino";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { InputKind } from "../../schemas/subjects.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import type { Admission, Admissions } from "./admission.ts";
import { type Arrival, type Origin, readInput } from "./arrival.ts";
import type { Lanes } from "./lanes.ts";
import type { Outbox } from "./outbox.ts";

const ADMITTED: Admission = { admitted: true };
const UNMETERED: ReadonlySet<string> = new Set<InputKind>(["report", "signal"]);

/** By its place in the subject alone: this runs also for what a flood brings. */
function senderOf(subject: string): Pick<Origin, "actor" | "token"> & { readonly kind: InputKind } {
  const [, , where, p, kind = "", actor = "", token = ""] = subject.split(".");
  if (where === "in") return { kind: p as InputKind, actor: kind, token: actor };
  return { kind: kind as InputKind, actor, token };
}

export interface DeskOptions {
  readonly admissions: Admissions;
  readonly lanes: Lanes;
  readonly outbox: Outbox;
  /** Waits until it is certain that what is in hand is nobody else's by now; false when the coordinator is stopped before. */
  readonly sure: () => Promise<boolean>;
  /** What is admitted is acknowledged as this says. */
  readonly careful?: (message: IntakeMessage) => IntakeMessage;
  readonly log: Logger;
}

export class Desk {
  readonly #admissions: Admissions;
  readonly #lanes: Lanes;
  readonly #outbox: Outbox;
  readonly #sure: () => Promise<boolean>;
  readonly #careful: (message: IntakeMessage) => IntakeMessage;
  readonly #log: Logger;
  /** The last origin of each sender over its quota, for the record of the rest. */
  readonly #overQuota = new Map<string, Origin>();

  constructor({ admissions, lanes, outbox, sure, careful, log }: DeskOptions) {
    this.#admissions = admissions;
    this.#lanes = lanes;
    this.#outbox = outbox;
    this.#sure = sure;
    this.#careful = careful ?? ((message) => message);
    this.#log = log;
  }

  /**
   * Takes what came in from INBOX or CONTROL, as far as its sender's quota goes. Reports have none: a gateway sends
   * as many as the plane gave it dispatches, and a report that is counted instead of recorded would be repeated. Nor
   * have signals, which are the plane's own.
   */
  take(messages: readonly IntakeMessage[]): void {
    for (const message of messages) {
      const { kind, actor, token } = senderOf(message.subject);
      const admission = UNMETERED.has(kind) ? ADMITTED : this.#admissions.admit(`${kind}/${actor}`, message.time);
      if (admission.admitted) this.#admit(message);
      else {
        const origin: Origin = { message, kind, actor, token };
        this.#overQuota.set(`${kind}/${actor}`, origin);
        if (admission.record > 0) void this.#overdrawn(origin, admission.record);
        message.ack();
      }
    }
  }

  /**
   * Leaves a record of a refused input, then takes it out of the stream. The journal does not fence a refusal: it is said
   * only while this coordinator owns the input for certain, as it did when it refused it.
   */
  async refuse(origin: Origin, reasons: readonly Reason[], id: string | undefined): Promise<void> {
    try {
      if (!(await this.#sure()) || !origin.message.inHand) return;
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
    const rest = this.#admissions.takeRest().map(([sender, count]) => {
      const origin = this.#overQuota.get(sender);
      return origin && this.#overdrawn(origin, count);
    });
    this.#overQuota.clear();
    await Promise.all(rest);
  }

  #admit(message: IntakeMessage): void {
    const read = readInput(this.#careful(message));
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
