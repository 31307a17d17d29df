/** Logging in: the options, then the environment, then an error that names both. */
import { readFileSync } from "node:fs";
import { type Actor, type Namespace, actor, namespace } from "../../schemas/ids.ts";
import type { EventType } from "../../schemas/event.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type NatsConnection, connectBus } from "../bus/connection.ts";
import { type Context, type Identity, identityOf, readContext, readCreds } from "../bus/context.ts";
import { Approvals } from "./approvals.ts";
import { Asker } from "./ask.ts";
import { NotConfigured } from "./errors.ts";
import { type EventFilter, type TypedEvent, events } from "./events.ts";
import { Agent } from "./run.ts";
import { type ServedTool, type ToolHandler, type ToolOptions, serveTool } from "./tool.ts";

export interface ConnectOptions {
  /** `nats://host:port`, several joined by commas; else of `context`, else NATS_URL, else of NATS_CONTEXT. */
  readonly url?: string;
  /** Path of a `.creds` file, which is read again at every reconnect, or its contents; else of `context`, else NATS_CREDS, else of NATS_CONTEXT. */
  readonly creds?: string;
  /** Name of a context of the `nats` tool, looked for under XDG_CONFIG_HOME. */
  readonly context?: string;
  /** Else the one that the credential is for, else `default`. */
  readonly namespace?: string;
  /** Whose name the credential bears, where it does not say so itself. */
  readonly name?: string;
  /** Default: read from the credential. */
  readonly inboxPrefix?: string;
  /** Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Connects to a plane. The connection renews itself until {@link Box.close}.
 * @throws NotConfigured, ContextError, PlaneUnreachable, CredentialRefused, ServerTooOld
 */
export async function connect(options: ConnectOptions = {}): Promise<Box> {
  const env = options.env ?? process.env;
  const chosen = options.context === undefined ? undefined : await context(options.context, env);
  const needed = (chosen?.url ?? options.url ?? env["NATS_URL"]) === undefined || (chosen?.creds ?? options.creds ?? env["NATS_CREDS"]) === undefined;
  const fallback = needed && env["NATS_CONTEXT"] ? await context(env["NATS_CONTEXT"], env) : undefined;
  const url = options.url ?? chosen?.url ?? env["NATS_URL"] ?? fallback?.url;
  if (!url) throw new NotConfigured("the plane's address", "`url` (or `context`)", "NATS_URL (or NATS_CONTEXT)");

  const given = options.creds ?? chosen?.creds ?? env["NATS_CREDS"] ?? fallback?.creds;
  const path = given === undefined || given.includes("-----BEGIN") ? undefined : given;
  const creds = path === undefined ? given : await readCreds(path);
  const identity: Identity = creds === undefined ? {} : identityOf(creds);
  const inboxPrefix = options.inboxPrefix ?? identity.inboxPrefix ?? chosen?.inboxPrefix ?? fallback?.inboxPrefix;
  const name = options.name ?? identity.name;
  const nc = await connectBus({
    url,
    name: name ?? "signalbox-client",
    // a file is read again at every connect: credentials are short-lived, and renewed in their place
    ...(creds !== undefined && { creds: path === undefined ? creds : () => readFileSync(path) }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
  });
  return new Box(nc, namespace(options.namespace ?? identity.namespace ?? "default"), name === undefined ? undefined : actor(name));
}

function context(name: string, env: Readonly<Record<string, string | undefined>>): Promise<Context> {
  const home = env["XDG_CONFIG_HOME"];
  return home ? readContext(name, home) : readContext(name);
}

/** A plane, as one credential sees it. */
export class Box {
  readonly namespace: Namespace;
  /** Answers requests for approval; with an approver's credential. */
  readonly approvals: Approvals;
  readonly #nc: NatsConnection;
  readonly #name: Actor | undefined;
  readonly #asker: Asker;

  constructor(nc: NatsConnection, ns: Namespace, name: Actor | undefined) {
    this.#nc = nc;
    this.namespace = ns;
    this.#name = name;
    this.#asker = new Asker(nc, ns);
    this.approvals = new Approvals(nc, ns, () => this.#self());
  }

  /** The agent that this credential is for; another name is the broker's to refuse. @throws NotConfigured, ZodError */
  agent(name?: string): Agent {
    return new Agent({ nc: this.#nc, ns: this.namespace, asker: this.#asker }, name === undefined ? this.#self() : actor(name));
  }

  /**
   * Serves a tool until stopped. Several may serve the same: a call reaches one of them.
   * The input has passed the tool's schema before it comes; `Input` is what that schema says.
   */
  tool<Input = JsonValue>(name: string, handler: ToolHandler<Input>, options: ToolOptions = {}): Promise<ServedTool> {
    return serveTool(this.#nc, this.namespace, name, handler as ToolHandler<never>, options);
  }

  /** Events from now on, typed by their name. Leaving the loop unsubscribes. */
  events<T extends EventType = EventType>(filter: EventFilter<T> = {}): AsyncIterable<TypedEvent<T>> {
    return events(this.#nc, this.namespace, filter);
  }

  /** Resolves when the server has taken everything that was sent and subscribed so far. */
  async flush(): Promise<void> {
    await this.#nc.flush();
  }

  /** Logs out, after what is in hand. */
  async close(): Promise<void> {
    if (!this.#nc.isClosed()) await this.#nc.drain();
  }

  #self(): Actor {
    if (this.#name === undefined) throw new NotConfigured("who this is", "`name`", "a credential that says so (NATS_CREDS)");
    return this.#name;
  }
}
