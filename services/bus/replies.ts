/** Reply inboxes, and requests to the JetStream API. */
import { type NatsConnection, createInbox } from "nats";

/** A fresh inbox under the prefix that this connection's credential may subscribe to. */
export function newInbox(nc: NatsConnection): string {
  const { options } = nc as unknown as { options: { inboxPrefix?: string } };
  return createInbox(options.inboxPrefix);
}

/** The JetStream API answered with an error. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The server's `err_code`, as 10014 for a consumer that does not exist. */
  readonly code: number;
  /** The status, as 404 or 503. */
  readonly status: number;

  constructor(code: number, status: number, description: string) {
    super(`the server refused the request: ${description}`);
    this.code = code;
    this.status = status;
  }
}

/** The API's 404: what was asked for is not there. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

interface ApiErrorBody {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/**
 * One request to the JetStream API, `subject` without `$JS.API.`.
 * @throws ApiError when the server answers with an error; the client's error for a time-out or no responders.
 */
export async function apiRequest(
  nc: NatsConnection,
  subject: string,
  body: unknown,
  timeoutMs: number,
): Promise<Record<string, unknown>> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const answer = await nc.request(`$JS.API.${subject}`, payload, { timeout: timeoutMs }).catch((error: unknown) => {
    // the client's own says what happened, and not to what
    if (error instanceof Error) error.message = `${error.message}: ${subject}`;
    throw error;
  });
  const value = JSON.parse(answer.string()) as Record<string, unknown>;
  const error = value["error"] as ApiErrorBody | undefined;
  if (error !== undefined) throw new ApiError(error.err_code ?? 0, error.code ?? 0, error.description ?? "unknown error");
  return value;
}
