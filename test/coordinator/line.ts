/** A connection that loses what a test tells it to lose. */
import type { NatsConnection } from "../../services/bus/connection.ts";

/** @param carries called before each publish; false when the message is lost on the way */
export function faultyLine(nc: NatsConnection, carries: (subject: string, data: Uint8Array | string | undefined) => boolean): NatsConnection {
  const publish: NatsConnection["publish"] = (subject, data, options) => {
    if (carries(subject, data)) nc.publish(subject, data, options);
  };
  return new Proxy(nc, {
    get(target, key) {
      if (key === "publish") return publish;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** Acknowledgements of inputs. */
export const isInputAck = (subject: string) => subject.startsWith("$JS.ACK.") && /\.(INBOX|CONTROL)_/.test(subject);
