/** A connection that loses what a test tells it to lose. */
import type { Msg, NatsConnection, Subscription } from "../../services/bus/connection.ts";

export interface Faults {
  /** Called before each publish; false when the message is lost on its way to the server. */
  readonly carries?: (subject: string, data: Uint8Array | string | undefined) => boolean;
  /**
   * Called before each callback of a subscription; false when the message is lost on its way from the server, a
   * promise when it takes its time.
   */
  readonly hears?: (message: Msg) => boolean | Promise<void>;
}

type Subscribe = NatsConnection["subscribe"];

export function faultyLine(nc: NatsConnection, { carries = () => true, hears = () => true }: Faults): NatsConnection {
  const publish: NatsConnection["publish"] = (subject, data, options) => {
    if (carries(subject, data)) nc.publish(subject, data, options);
  };
  const subscribe: Subscribe = (subject, options = {}): Subscription => {
    const { callback } = options;
    if (callback === undefined) return nc.subscribe(subject, options);
    return nc.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        const heard = error !== null || hears(message);
        if (heard instanceof Promise) void heard.then(() => callback(error, message));
        else if (heard) callback(error, message);
      },
    });
  };
  return new Proxy(nc, {
    get(target, key) {
      if (key === "publish") return publish;
      if (key === "subscribe") return subscribe;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** Acknowledgements of inputs. */
export const isInputAck = (subject: string) => subject.startsWith("$JS.ACK.") && /\.(INBOX|CONTROL)_/.test(subject);
