/** What happens while a test waits for it, in order; and streams of inputs with nothing in them. */
import { type StreamKind, patterns, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Intake } from "../../services/bus/intake.ts";
import { consumersOf, deleteConsumer } from "../../services/bus/intake-consumer.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { withPatience } from "../harness/plane.ts";
import { NS } from "../projection/journal.ts";

export class Hearing {
  readonly heard: { readonly what: string; readonly message?: IntakeMessage }[] = [];
  readonly #waiting = new Set<() => void>();

  hear(what: string, message?: IntakeMessage): void {
    this.heard.push({ what, ...(message && { message }) });
    for (const look of this.#waiting) look();
  }

  /** Whoever waits looks again when something happens. */
  until(fits: () => boolean, what: string): Promise<void> {
    const found = new Promise<void>((resolve) => {
      const look = () => {
        if (fits()) resolve();
      };
      this.#waiting.add(look);
      look();
    });
    return withPatience(found, () => `${what}: heard ${JSON.stringify(this.heard.slice(-50).map((one) => one.what))}`);
  }
}

/** Deletes every consumer of a stream, and takes out what is in it. */
export async function emptied(nc: NatsConnection, kind: StreamKind): Promise<void> {
  const stream = streamName(kind, NS);
  for (const name of await consumersOf(nc, stream, 5000)) await deleteConsumer(nc, stream, name, 5000);
  const sweeper = new Intake(nc, { stream, consumer: "sweeper", memory: true, ...(kind === "TIMERS" && { filter: patterns.dues(NS) }) });
  if ((await sweeper.lastStored()) === 0) return;
  await sweeper.start((messages) => {
    for (const message of messages) message.ack();
  });
  while ((await sweeper.lastStored()) > 0);
  await sweeper.stop();
  await sweeper.remove();
}
