/**
 * NATS micro services: an endpoint that anybody can ask and that `nats micro` can find, list and measure.
 */
import type { Msg, NatsConnection, ServiceMsg } from "nats";
import { type HeaderInput, type HeaderMap, encodeHeaders, readHeaders } from "./headers.ts";

/** Header names that the convention of micro services gives to errors. */
export const SERVICE_ERROR = { code: "Nats-Service-Error-Code", message: "Nats-Service-Error" } as const;

export interface ServiceRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: HeaderMap;
  /** Where the answer goes; empty when nobody waits for one. */
  readonly reply: string;
  /** Answers once; without effect when the connection is gone. @throws Error when the answer is larger than the server takes */
  respond(data: Uint8Array, headers?: HeaderInput): void;
}

export interface ServiceEndpoint {
  /** Shown in `nats micro info`: letters, digits, `-` and `_`. */
  readonly name: string;
  readonly subject: string;
  /**
   * Returns at once; the answer may come later. What it throws is answered as error 500, and counted.
   * Time in it is what `nats micro stats` shows.
   */
  readonly handler: (request: ServiceRequest) => void;
}

export interface ServiceOptions {
  readonly name: string;
  /** Semantic version. */
  readonly version: string;
  readonly description?: string;
  /** Instances in one queue group share the requests; `q` when left out, as the convention has it. */
  readonly queue?: string;
  readonly metadata?: Record<string, string>;
}

export interface RunningService {
  readonly id: string;
  /** Resolves when the service has ended: with an error when it lost a subscription, as for want of a permission. */
  readonly stopped: Promise<Error | undefined>;
  /** Takes no more requests; those in hand may still be answered while the connection stands. */
  stop(): Promise<void>;
}

/**
 * Serves endpoints until stopped, and resolves when the server knows of them.
 * @throws Error when the broker refuses a subscription, as for want of a permission
 */
export async function serve(nc: NatsConnection, options: ServiceOptions, endpoints: readonly ServiceEndpoint[]): Promise<RunningService> {
  const service = await nc.services.add({
    name: options.name,
    version: options.version,
    ...(options.description !== undefined && { description: options.description }),
    ...(options.queue !== undefined && { queue: options.queue }),
    ...(options.metadata !== undefined && { metadata: options.metadata }),
  });
  for (const endpoint of endpoints) {
    service.addEndpoint(endpoint.name, {
      subject: endpoint.subject,
      handler: (error, message) => {
        if (error === null) endpoint.handler(request(nc, message));
      },
    });
  }
  const stopped = service.stopped.then((error) => error ?? undefined);
  // A refusal comes before the answer to a flush, and the library then gives everything back, which is a second one.
  await nc.flush();
  await nc.flush();
  const refused = await Promise.race([stopped, turn()]);
  if (refused !== undefined) throw refused;
  return {
    id: service.info().id,
    stopped,
    stop: async () => {
      await service.stop();
    },
  };
}

function turn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function request(nc: NatsConnection, message: ServiceMsg): ServiceRequest {
  // The client wraps the message (2.29.3); its headers as bytes are inside.
  const raw = (message as unknown as { readonly msg: Msg }).msg;
  return {
    subject: message.subject,
    data: message.data,
    headers: readHeaders(raw).headers,
    reply: message.reply ?? "",
    respond: (data, headers) => {
      if (nc.isClosed()) return;
      message.respond(data, headers === undefined ? {} : { headers: encodeHeaders(headers, "") });
    },
  };
}
