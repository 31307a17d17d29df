/** Messages of a subject as something to iterate over. */
import type { Msg, NatsConnection } from "../bus/connection.ts";
import { isForbidden } from "../bus/request.ts";
import { NotPermitted } from "./errors.ts";

/**
 * Subscribes at once, so that nothing is missed between this call and the first reading; leaving the loop
 * unsubscribes. To be read once.
 * @param read undefined for a message that is passed over
 * @param last true for the message after which nothing comes
 */
export function listen<T>(
  nc: NatsConnection,
  subject: string,
  read: (message: Msg) => T | undefined,
  last: (value: T) => boolean = () => false,
): AsyncIterable<T> {
  const subscription = nc.subscribe(subject);
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for await (const message of subscription) {
          const value = read(message);
          if (value === undefined) continue;
          yield value;
          if (last(value)) return;
        }
      } catch (error) {
        throw isForbidden(error) ? new NotPermitted(`listen to \`${subject}\``, error) : error;
      } finally {
        subscription.unsubscribe();
      }
    },
  };
}
