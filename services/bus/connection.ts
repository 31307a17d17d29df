/**
 * The way onto the bus. Nothing outside `services/bus` imports the NATS client: what others need of it is
 * re-exported here, so that the client can be replaced in one folder.
 */
import { connect, Empty, ErrorCode, Events, headers, NatsError } from "nats";
import type { Msg, MsgHdrs, NatsConnection, Subscription } from "nats";
import { Credential, type CredentialSource } from "./credential.ts";
import { writeOncePerRound } from "./flush.ts";

export { Empty, headers };
export type { Msg, MsgHdrs, NatsConnection, Subscription };

/** Older servers ignore atomic batches, schedules and TTLs without a word: what looks stored is not. */
const MINIMUM_SERVER = [2, 12] as const;
const MINIMUM_API_LEVEL = 4;

export interface ConnectOptions {
  /** `nats://host:port`, `tls://…` or several, joined by commas. */
  readonly url: string;
  /** Shown by the server in its connection lists. */
  readonly name: string;
  /** The contents of a `.creds` file (JWT and seed); a function is asked at every connect, for a file that is renewed. */
  readonly creds?: CredentialSource;
  /** Replies arrive under this prefix only; permissions allow a principal no other inbox. */
  readonly inboxPrefix?: string;
  /** For the first connection, milliseconds. */
  readonly timeoutMs?: number;
  /** Default true: for ever, every 250 ms. False suits a command that runs once; a number is how often in a row. */
  readonly reconnect?: boolean | number;
}

/** Nothing answered at the address, or what answered broke off. */
export class PlaneUnreachable extends Error {
  override readonly name = "PlaneUnreachable";
  readonly help: string;
  constructor(url: string, cause: unknown) {
    super(`the plane at \`${url}\` cannot be reached: ${reason(cause)}`, { cause });
    this.help = "start it with `npm start`, or set NATS_URL to the server that it runs on";
  }
}

/** A server answered and does not know the credential, or the credential has expired or was revoked. */
export class CredentialRefused extends Error {
  override readonly name = "CredentialRefused";
  readonly help: string;
  constructor(url: string, cause: unknown) {
    super(`the server at \`${url}\` refused the credential: ${reason(cause)}`, { cause });
    this.help = "check that the `.creds` file was issued by this plane and has not expired; issue a new one with `signalbox creds issue`";
  }
}

/** The server lacks what the plane's guarantees rest on. */
export class ServerTooOld extends Error {
  override readonly name = "ServerTooOld";
  readonly help = "upgrade nats-server (2.15 has everything); `npm start` without NATS_URL brings one that fits";
  constructor(version: string, apiLevel: number | undefined) {
    super(
      `nats-server \`${version}\` with API level \`${apiLevel ?? "none"}\` is too old, ` +
        `needed are \`${MINIMUM_SERVER.join(".")}\` and level \`${MINIMUM_API_LEVEL}\``,
    );
  }
}

/**
 * Connects, and refuses a server that is too old. A dead link is noticed within 15 seconds.
 * @throws PlaneUnreachable, CredentialRefused, ServerTooOld
 */
export async function connectBus(options: ConnectOptions): Promise<NatsConnection> {
  const { reconnect = true } = options;
  const credential = options.creds === undefined ? undefined : new Credential(options.creds);
  let nc: NatsConnection;
  try {
    nc = await connect({
      servers: options.url.split(",").map((server) => server.trim()),
      name: options.name,
      timeout: options.timeoutMs ?? 5_000,
      pingInterval: 5_000,
      maxPingOut: 2,
      reconnect: reconnect !== false,
      maxReconnectAttempts: typeof reconnect === "number" ? reconnect : -1,
      reconnectTimeWait: 250,
      noAsyncTraces: true,
      ...(credential && { authenticator: credential.authenticator }),
      // a refused credential may be renewed; the credential itself says when it will not be
      ...(credential?.renewable === true && { ignoreAuthErrorAbort: true, reconnectDelayHandler: credential.delay }),
      ...(options.inboxPrefix !== undefined && { inboxPrefix: options.inboxPrefix }),
    });
  } catch (error) {
    throw isRefusal(error) ? new CredentialRefused(options.url, error) : new PlaneUnreachable(options.url, error);
  }
  writeOncePerRound(nc);
  if (credential?.renewable === true) void watch(nc, credential);
  const info = nc.info as { version: string; api_lvl?: number } | undefined;
  if (!isRecentEnough(info?.version ?? "0", info?.api_lvl)) {
    await nc.close();
    throw new ServerTooOld(info?.version ?? "unknown", info?.api_lvl);
  }
  return nc;
}

/** Tells the credential what the server thinks of it. Ends with the connection. */
async function watch(nc: NatsConnection, credential: Credential): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === Events.Reconnect) credential.accepted();
    else if (status.type === Events.Error && REFUSALS.includes(String(status.data))) credential.refused();
  }
}

/** Whether a server of this version and JetStream API level keeps the promises that the plane makes. */
export function isRecentEnough(version: string, apiLevel: number | undefined): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const recent = major > MINIMUM_SERVER[0] || (major === MINIMUM_SERVER[0] && minor >= MINIMUM_SERVER[1]);
  return recent && (apiLevel ?? 0) >= MINIMUM_API_LEVEL;
}

const REFUSALS: readonly string[] = [
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.AuthenticationTimeout,
  ErrorCode.AccountExpired,
  ErrorCode.BadAuthentication,
  ErrorCode.BadCreds,
];

function isRefusal(error: unknown): boolean {
  return error instanceof NatsError && REFUSALS.includes(error.code);
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message.toLowerCase() : String(cause);
}
