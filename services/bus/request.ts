/** Requests whose failures say what happened, so that callers need not know the client's codes. */
import { ErrorCode, type Msg, type NatsConnection, NatsError } from "nats";
import { type HeaderInput, type HeaderMap, encodeHeaders, readHeaders } from "./headers.ts";

/**
 * - `nobody`: no one serves the subject; nobody has the request
 * - `timeout`: nobody answered in time; somebody may have the request
 * - `forbidden`: this credential may not ask there, or may not hear the answer
 * - `disconnected`: the connection is closed
 */
export type RequestFailure = "nobody" | "timeout" | "forbidden" | "disconnected";

export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly kind: RequestFailure;
  constructor(kind: RequestFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export interface Reply {
  readonly data: Uint8Array;
  readonly headers: HeaderMap;
}

/** Asks once and waits for one answer. @throws RequestError */
export async function request(
  nc: NatsConnection,
  subject: string,
  data: Uint8Array,
  options: { timeoutMs: number; headers?: HeaderInput },
): Promise<Reply> {
  let message: Msg;
  try {
    message = await nc.request(subject, data, {
      timeout: options.timeoutMs,
      ...(options.headers !== undefined && { headers: encodeHeaders(options.headers, "") }),
    });
  } catch (error) {
    throw failure(subject, error);
  }
  return { data: message.data, headers: readHeaders(message).headers };
}

/** Whether the broker refused a subscription or a publish because of permissions. */
export function isForbidden(error: unknown): boolean {
  return error instanceof NatsError && error.code === ErrorCode.PermissionsViolation;
}

function failure(subject: string, error: unknown): unknown {
  if (isForbidden(error)) return new RequestError("forbidden", `this credential may not ask on \`${subject}\``, error);
  if (!(error instanceof NatsError)) return error;
  switch (error.code) {
    case ErrorCode.NoResponders:
      return new RequestError("nobody", `nobody serves \`${subject}\``, error);
    case ErrorCode.Timeout:
      return new RequestError("timeout", `no answer on \`${subject}\` in time`, error);
    case ErrorCode.ConnectionClosed:
    case ErrorCode.ConnectionDraining:
    case ErrorCode.Disconnect:
      return new RequestError("disconnected", "the connection is closed", error);
    default:
      return error;
  }
}
