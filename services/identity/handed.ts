/**
 * Credentials that were handed out: one file `<role>.creds` for each role that a process plays, made by somebody who has
 * the keys. The process itself has none, so that whoever takes over a gateway is a gateway, and no coordinator. The
 * file is read at every connect, so that a renewed one is taken up.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inboxPrefixOf, isPlaneRole, type Role } from "./roles.ts";

/** As what a built-in service logs in. */
export interface Login {
  /** The instance's name, for which the credential is. */
  readonly name: string;
  readonly inboxPrefix: string;
  /** The contents of a `.creds` file that is good now. */
  readonly current: () => string;
  stop(): void;
}

/** The folder has no such credential, or what is there is for somebody else. */
export class NotHandedOut extends Error {
  override readonly name = "NotHandedOut";
  readonly help: string;
  constructor(path: string, why: string, help: string) {
    super(`the credential \`${path}\` ${why}`);
    this.help = help;
  }
}

/** @throws NotHandedOut */
export function handedLogin(folder: string, role: Role): Login {
  const path = join(folder, `${role}.creds`);
  const again = "`node infra/handout.ts` makes the credentials of all roles";
  let creds: string;
  try {
    creds = readFileSync(path, "utf8");
  } catch (error) {
    throw new NotHandedOut(path, `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, again);
  }
  const claims = claimsOf(creds);
  const tags = new Map(claims?.nats?.tags?.map((tag) => [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)]));
  const name = tags.get("name");
  if (name === undefined) throw new NotHandedOut(path, "is none of a plane", again);
  if (tags.get("role") !== role || !isPlaneRole(role)) throw new NotHandedOut(path, `is for the role \`${tags.get("role") ?? "none"}\``, again);
  return { name, inboxPrefix: inboxPrefixOf(role, name), current: () => readFileSync(path, "utf8"), stop: () => undefined };
}

interface Claims {
  readonly nats?: { readonly tags?: readonly string[] };
}

/** Not checked here: the server does. */
function claimsOf(creds: string): Claims | undefined {
  const payload = /-----BEGIN NATS USER JWT-----\s*[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\./.exec(creds)?.[1];
  if (payload === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Claims;
  } catch {
    return undefined;
  }
}
