/**
 * Where to log in, and as whom: contexts of the `nats` command line tool, `.creds` files, and the environment.
 * A context is a file that people already have; so the same name works here and there.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** What a context says, as far as the plane has a use for it. */
export interface Context {
  readonly name: string;
  /** The file that it was read from. */
  readonly path: string;
  readonly description?: string;
  /** `nats://host:port`. */
  readonly url?: string;
  /** Absolute path of a `.creds` file. */
  readonly creds?: string;
  readonly inboxPrefix?: string;
}

/** A context or `.creds` file is not there, or not what it should be. */
export class ContextError extends Error {
  override readonly name = "ContextError";
  readonly help: string;
  constructor(message: string, help: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.help = help;
  }
}

/** The folder above `nats/context`: `$XDG_CONFIG_HOME`, or `~/.config`. */
export function configHome(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return env["XDG_CONFIG_HOME"] || join(homedir(), ".config");
}

/** The file of a context. */
export function contextPath(name: string, home: string = configHome()): string {
  return join(home, "nats", "context", `${name}.json`);
}

/**
 * Reads a context of the `nats` tool.
 * @param home the folder above `nats/context`; for the contexts that a plane wrote, its data folder
 * @throws ContextError
 */
export async function readContext(name: string, home: string = configHome()): Promise<Context> {
  if (!/^[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*$/.test(name)) {
    throw new ContextError(`\`${name}\` is no name of a context`, "a context is named by letters, digits and `-_.@+`");
  }
  const path = contextPath(name, home);
  let file: unknown;
  try {
    file = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new ContextError(
      missing ? `there is no context \`${name}\` in \`${dirname(path)}\`` : `the context \`${path}\` cannot be read: ${(cause as Error).message}`,
      "`nats context ls` lists those of XDG_CONFIG_HOME; `npm start` writes its own into the data folder",
      cause,
    );
  }
  const text = (key: string): string | undefined => {
    const value = typeof file === "object" && file !== null ? (file as Record<string, unknown>)[key] : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const [description, url, creds, inboxPrefix] = [text("description"), text("url"), text("creds"), text("inbox_prefix")];
  return {
    name,
    path,
    ...(description !== undefined && { description }),
    ...(url !== undefined && { url }),
    ...(creds !== undefined && { creds: expand(creds, dirname(path)) }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
  };
}

/** Paths in a context may begin with `~`; a relative one is taken from the context's folder. */
function expand(path: string, folder: string): string {
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(folder, path);
}

/** What a credential says of its bearer. Read, not verified: the broker is who enforces it. */
export interface Identity {
  /** As the plane that issued it knows the bearer. */
  readonly name?: string;
  readonly role?: string;
  readonly namespace?: string;
  /** The only inbox that this credential may listen to. */
  readonly inboxPrefix?: string;
}

/** Reads a `.creds` file. @throws ContextError */
export async function readCreds(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ContextError(
      `the credential \`${path}\` cannot be read: ${(cause as Error).message}`,
      "`signalbox creds issue` writes one; its file must be readable by you",
      cause,
    );
  }
}

/** What the contents of a `.creds` file say of their bearer. @throws ContextError when they hold no user's token */
export function identityOf(creds: string): Identity {
  const token = /-----BEGIN NATS USER JWT-----\s*([A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+)\s*-/.exec(creds);
  let claims: UserClaims;
  try {
    claims = JSON.parse(Buffer.from(token?.[2] ?? "", "base64url").toString("utf8")) as UserClaims;
  } catch (cause) {
    throw new ContextError("the credential holds no user's token", "give the contents, or the path, of a `.creds` file", cause);
  }
  const tags = claims.nats?.tags ?? [];
  const tag = (key: string): string | undefined => tags.find((text) => text.startsWith(`${key}:`))?.slice(key.length + 1);
  const inbox = claims.nats?.sub?.allow?.find((subject) => subject.startsWith("_INBOX") && subject.endsWith(".>"));
  const [name, role, namespace] = [tag("name"), tag("role"), tag("ns")];
  return {
    ...(name !== undefined && { name }),
    ...(role !== undefined && { role }),
    ...(namespace !== undefined && { namespace }),
    ...(inbox !== undefined && { inboxPrefix: inbox.slice(0, -2) }),
  };
}

interface UserClaims {
  readonly nats?: { readonly tags?: readonly string[]; readonly sub?: { readonly allow?: readonly string[] } };
}
