/** Standard `.creds`, signed offline with the account's key: issuing needs no server, only the data folder. */
import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createUser, encodeUser, fmtCreds, type KeyPair, type User } from "@nats-io/jwt";
import type { Namespace } from "../../schemas/ids.ts";
import type { PlaneKeys } from "./keys.ts";
import { type PermissionOptions, permissionsFor } from "./permissions.ts";
import { accountOf, inboxPrefixOf, isPlaneRole, type Role } from "./roles.ts";

export interface CredsRequest extends PermissionOptions {
  readonly role: Role;
  /** The actor's name; for built-in services the instance's. */
  readonly name: string;
  /** Required for the roles of a namespace; a built-in service without it serves all namespaces of the keys. */
  readonly ns?: Namespace;
  /** Without it the credential does not expire. */
  readonly ttlSeconds?: number;
}

export interface IssuedCreds {
  /** The contents of a `.creds` file: a secret. */
  readonly creds: string;
  readonly inboxPrefix: string;
  /** The user's public key: what a revocation names. */
  readonly publicKey: string;
}

const MILLION = 1_000_000;

/**
 * Issues a credential of its own for one principal.
 * @throws when the role lacks what it needs (see {@link permissionsFor}) or the namespace has no keys
 */
export async function issueCreds(keys: PlaneKeys, request: CredsRequest): Promise<IssuedCreds> {
  const { role, name, ns } = request;
  const namespaces = ns !== undefined ? [ns] : isPlaneRole(role) ? [...keys.namespaces.keys()] : [];
  const permissions = permissionsFor(role, name, namespaces, request);
  const user = createUser();
  const claims = {
    // An empty list would allow everything, so a role that may publish nothing is denied everything.
    pub: permissions.publish.allow.length > 0 ? { allow: [...permissions.publish.allow] } : { deny: [">"] },
    sub: { allow: [...permissions.subscribe.allow] },
    ...(permissions.allow_responses && {
      resp: { max: permissions.allow_responses.max, ttl: permissions.allow_responses.ttlMs * MILLION },
    }),
    allowed_connection_types: ["STANDARD", "WEBSOCKET"],
    tags: [`role:${role}`, `name:${name}`, ...(ns !== undefined ? [`ns:${ns}`] : [])],
  } satisfies Partial<User>;
  const expiry = request.ttlSeconds === undefined ? {} : { exp: Math.floor(Date.now() / 1000) + request.ttlSeconds };
  const jwt = await encodeUser(name, user, accountKey(keys, role, ns), claims, expiry);
  return {
    creds: new TextDecoder().decode(fmtCreds(jwt, user)),
    inboxPrefix: inboxPrefixOf(role, name),
    publicKey: user.getPublicKey(),
  };
}

/** Writes a credential to `<data>/creds/<name>.creds`, readable by nobody else, and returns the path. */
export async function writeCreds(dataDir: string, name: string, issued: IssuedCreds): Promise<string> {
  const path = join(dataDir, "creds", `${name}.creds`);
  await writeSecret(path, issued.creds);
  return path;
}

/** Replaces a file with another in one step, mode 0600, in a folder of mode 0700. */
export async function writeSecret(path: string, contents: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const draft = `${path}.${process.pid}.tmp`;
  await writeFile(draft, contents, { mode: 0o600, flush: true });
  await rename(draft, path);
}

function accountKey(keys: PlaneKeys, role: Role, ns: Namespace | undefined): KeyPair {
  const kind = accountOf(role);
  if (kind === "plane") return keys.plane;
  if (kind === "system") return keys.system;
  const own = ns === undefined ? undefined : keys.namespaces.get(ns);
  if (!own) throw new Error(`there are no keys for the namespace \`${ns}\``);
  return own[kind];
}
