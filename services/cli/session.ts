/** One connection for one command: which context, which server, whose name. */
import { readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { type Namespace, namespaceSchema } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus, type NatsConnection } from "../bus/connection.ts";
import { configHome, type Context, contextPath, type Identity, identityOf, readContext, readCreds } from "../bus/context.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Io } from "./io.ts";
import { dataFolder, isAlive, type PlaneFile, readPlane } from "./plane.ts";

/** What every command takes. */
export interface Globals {
  readonly as?: string;
  readonly json?: boolean;
}

/** Contexts that `npm start` writes; none of them both proposes and decides. */
export const DEFAULT_CONTEXT = {
  read: "auditor",
  operate: "operator",
  decide: "demo-approver",
  propose: "demo-agent",
} as const;
export type Purpose = keyof typeof DEFAULT_CONTEXT;

export interface Login {
  /** The context's name, or the credential's path when there is no context. */
  readonly context: string;
  readonly url: string;
  readonly creds: string;
  readonly credsPath: string;
  readonly identity: Identity;
  readonly inboxPrefix: string | undefined;
}

export interface Session {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  /** The actor's name. */
  readonly name: string;
  readonly role: string;
  readonly login: Login;
  /** Asks the read model. @throws CliError */
  query<T>(what: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

const QUERY_TIMEOUT_MS = 5_000;

/** Decides who logs in where, without doing it. @throws CliError, ContextError */
export async function resolveLogin(io: Io, globals: Globals, purpose: Purpose): Promise<Login> {
  const dataDir = dataFolder(io.env);
  const plane = await readPlane(dataDir);
  const envCreds = filled(io.env["NATS_CREDS"]);
  if (globals.as === undefined && envCreds !== undefined) {
    const url = filled(io.env["NATS_URL"]) ?? plane?.url;
    if (url === undefined) throw new CliError(EXIT.usage, "NATS_CREDS is set, and no server is known", "set NATS_URL as well");
    return login(envCreds, url, envCreds, undefined);
  }
  const context = await contextOf(io, globals, purpose, dataDir, plane);
  const own = context.path === contextPath(context.name, dataDir);
  const running = plane !== undefined && isAlive(plane) ? plane.url : undefined;
  const url = filled(io.env["NATS_URL"]) ?? (own ? (running ?? context.url) : (context.url ?? running));
  if (url === undefined) throw noPlane(dataDir);
  const creds = envCreds !== undefined && globals.as === undefined ? envCreds : context.creds;
  if (creds === undefined) {
    throw new CliError(EXIT.usage, `the context \`${context.name}\` has no credential`, "a context for the plane names a `.creds` file");
  }
  return login(context.name, url, creds, context.inboxPrefix);
}

async function contextOf(io: Io, globals: Globals, purpose: Purpose, dataDir: string, plane: PlaneFile | undefined): Promise<Context> {
  const asked = globals.as ?? filled(io.env["NATS_CONTEXT"]);
  const name = asked ?? DEFAULT_CONTEXT[purpose];
  // `--as` means the plane's own contexts first, NATS_CONTEXT those of the `nats` tool
  const homes = globals.as === undefined && asked !== undefined ? [configHome(io.env), dataDir] : [dataDir, configHome(io.env)];
  for (const home of homes) {
    const path = contextPath(name, home);
    if (await access(path).then(() => true, () => false)) return readContext(name, home);
  }
  if (asked === undefined && plane === undefined) throw noPlane(dataDir);
  return readContext(name, homes[0]);
}

function noPlane(dataDir: string): CliError {
  return new CliError(
    EXIT.unreachable,
    `no plane was found in \`${dataDir}\``,
    "start one with `npm start`, or set NATS_URL and NATS_CREDS (or NATS_CONTEXT)",
  );
}

async function login(context: string, url: string, credsPath: string, inboxPrefix: string | undefined): Promise<Login> {
  const creds = await readCreds(credsPath);
  const identity = identityOf(creds);
  return { context, url, creds, credsPath, identity, inboxPrefix: inboxPrefix ?? identity.inboxPrefix };
}

/** How often in a row a command that goes on tries to come back: five seconds. */
const LASTING = 20;

export interface SessionOptions {
  /** The command goes on until it is ended: its credential is renewed meanwhile, and the connection with it. */
  readonly lasting?: boolean;
}

/** Logs in. @throws CliError, ContextError, PlaneUnreachable, CredentialRefused, ServerTooOld */
export async function openSession(io: Io, globals: Globals, purpose: Purpose, { lasting = false }: SessionOptions = {}): Promise<Session> {
  const chosen = await resolveLogin(io, globals, purpose);
  const { identity } = chosen;
  const ns = namespaceSchema.safeParse(identity.namespace);
  if (!ns.success || identity.name === undefined || identity.role === undefined) {
    throw new CliError(EXIT.usage, `the credential of \`${chosen.context}\` names no namespace of a plane`, "choose another with `--as`; `signalbox doctor` lists them");
  }
  const nc = await connectBus({
    url: chosen.url,
    name: `signalbox-${identity.role}-${identity.name}`,
    creds: () => readFileSync(chosen.credsPath),
    reconnect: lasting && LASTING,
    ...(chosen.inboxPrefix !== undefined && { inboxPrefix: chosen.inboxPrefix }),
  });
  return sessionOn(nc, { ns: ns.data, name: identity.name, role: identity.role, login: chosen });
}

/** A session on a connection that is logged in already. */
export function sessionOn(nc: NatsConnection, who: Pick<Session, "ns" | "name" | "role" | "login">): Session {
  const session: Session = { nc, ...who, query: (what, body) => query(session, what, body), close: () => nc.close() };
  return session;
}

/** Opens a session, does one thing with it, and closes it. */
export async function withSession<T>(
  io: Io,
  globals: Globals,
  purpose: Purpose,
  work: (session: Session) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const session = await openSession(io, globals, purpose, options);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

async function query<T>(session: Session, what: string, body: unknown = {}): Promise<T> {
  const answer = await session.nc
    .request(subjects.query(session.ns, what), JSON.stringify(body), { timeout: QUERY_TIMEOUT_MS })
    .catch((cause: unknown) => {
      throw notAnswered(session, what, cause);
    });
  const code = answer.headers?.get("Nats-Service-Error-Code");
  if (code) {
    const message = answer.headers?.get("Nats-Service-Error") ?? "";
    throw new CliError(code.startsWith("4") ? EXIT.usage : EXIT.failed, message, code === "404" ? "`signalbox runs` lists the runs, `signalbox show <run>` their actions" : undefined);
  }
  return answer.json<T>();
}

function notAnswered(session: Session, what: string, cause: unknown): CliError {
  const { code } = cause as { code?: string };
  if (code === "PERMISSIONS_VIOLATION") {
    return new CliError(
      EXIT.denied,
      `\`${session.login.context}\` (${session.role}) may not ask for \`${what.split(".")[0]}\``,
      "choose another context with `--as`; `signalbox whoami` shows yours",
    );
  }
  if (code === "503" || code === "TIMEOUT") {
    return new CliError(EXIT.unreachable, `nobody at \`${session.login.url}\` answers for \`${what.split(".")[0]}\``, "the role `reader` must run; `signalbox doctor` looks further");
  }
  return new CliError(EXIT.unreachable, `the question was not answered: ${(cause as Error).message.toLowerCase()}`);
}

function filled(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}

