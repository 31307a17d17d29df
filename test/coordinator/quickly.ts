/** Pauses between two tries, shortened and written down. */
import type { IntakeMessage } from "../../services/bus/intake-item.ts";

/** Until `stop` a coordinator's pause takes no time at all. @returns how long each would have taken, ms, in order */
export function quickly(): { readonly pauses: number[]; stop(): void } {
  const pauses: number[] = [];
  const real = globalThis.setTimeout;
  const short = (what: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    // the broker's client has timers of its own
    if (new Error().stack?.includes("/coordinator/pause.ts") !== true) return real(what, ms, ...args);
    pauses.push(ms);
    return setImmediate(what, ...args);
  };
  globalThis.setTimeout = short as unknown as typeof setTimeout;
  return { pauses, stop: () => void (globalThis.setTimeout = real) };
}

/** A message as it lies in INBOX or CONTROL; what is done to it is written down in `done`. */
export function message(subject: string, body: unknown, more: Partial<IntakeMessage> & { readonly done?: string[] } = {}): IntakeMessage {
  const { done = [], ...rest } = more;
  const data = body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return {
    subject,
    data,
    headers: new Map(),
    seq: 1,
    time: Date.UTC(2026, 0, 31, 9, 30),
    redelivered: false,
    deliveries: 1,
    generation: 1,
    inHand: true,
    reply: "",
    ack: () => void done.push("ack"),
    setAside: () => void done.push("aside"),
    ...rest,
  };
}
