/** Sends one agent's flood from a process of its own, as an agent would, and says what became of it. */
import { once } from "node:events";
import { actor, namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus } from "../../services/bus/connection.ts";
import { PublishError, Publisher } from "../../services/bus/publisher.ts";

export interface FloodOrder {
  readonly url: string;
  readonly creds: string;
  readonly inboxPrefix: string;
  readonly ns: string;
  readonly agent: string;
  readonly times: number;
  /** `%` stands for the number of the input. */
  readonly messages: readonly { readonly run: string; readonly body: string }[];
}

export interface Flood {
  readonly stored: number;
  /** Refused by the stream itself, to the sender's face. */
  readonly turnedAway: number;
  readonly ms: number;
}

const IN_FLIGHT = 1000;

const [order] = (await once(process, "message")) as [FloodOrder];
const nc = await connectBus({ url: order.url, name: "flood", creds: order.creds, inboxPrefix: order.inboxPrefix });
const publisher = new Publisher(nc, { timeoutMs: 60_000 });
let sent = 0;
let turnedAway = 0;
const one = async (): Promise<void> => {
  while (sent < order.times) {
    const n = sent++;
    const { run, body } = order.messages[n % order.messages.length] ?? { run: "", body: "" };
    const subject = subjects.input(namespace(order.ns), "propose", actor(order.agent), run.replace("%", `${n}`));
    try {
      await publisher.publish(subject, Buffer.from(body.replace("%", `${n}`)));
    } catch (error) {
      if (!(error instanceof PublishError) || error.inDoubt) throw error;
      turnedAway += 1;
    }
  }
};
const began = performance.now();
await Promise.all(Array.from({ length: IN_FLIGHT }, one));
await nc.close();
process.send?.({ stored: order.times - turnedAway, turnedAway, ms: performance.now() - began } satisfies Flood);
process.disconnect();
