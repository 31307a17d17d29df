/** Standard `.creds`, signed offline with the account's key: issuing needs no server, only the data folder. */
import { join } from "node:path";
import { createUser, encodeUser, fmtCreds, type KeyPair, type User } from "@nats-io/jwt";
import type { Namespace } from "../../schemas/ids.ts";
import { timestamp } from "../../schemas/time.ts";
import { writeSecret } from "./files.ts";
import { type Bearer, type Issued, issuedKey, issuedRecords } from "./issued.ts";
import type { PlaneKeys } from "./keys.ts";
import { type PermissionOptions, permissionsFor } from "./permissions.ts";
import { barOf } from "./revoked.ts";
import { accountOf, inboxPrefixOf, isPlaneRole, type Role } from "./roles.ts";

export interface CredsRequest extends PermissionOptions {
  readonly role: Role;
  /** The actor's name; for built-in services the instance's. */
  readonly name: string;
  /** Required for the roles of a namespace; a built-in service without it serves all namespaces of the keys. */
  readonly ns?: Namespace;
  /** Of an agent, so that a version can be revoked. */
  readonly version?: string;
  /** Without it the credential does not expire. */
  readonly ttlSeconds?: number;
}

export interface IssuedCreds {
  /** The contents of a `.creds` file: a secret. */
  readonly creds: string;
  readonly inboxPrefix: string;
  /** The user's public key: what a revocation names. */
  readonly publicKey: string;
  /** As it is written down. */
  readonly record: Issued;
}

/** Somebody who was revoked asks for a credential. */
export class Barred extends Error {
  override readonly name = "Barred";
  constructor({ role, name }: Bearer, at: string, reason: string | undefined) {
    super(`${role} \`${name}\` was revoked at ${at}${reason === undefined ? "" : `: ${reason}`}`);
  }
}

const MILLION = 1_000_000;

/**
 * Issues a credential of its own for one principal, and writes down that it did.
 * @throws when the role lacks what it needs (see {@link permissionsFor}) or the namespace has no keys; Barred
 */
export async function issueCreds(keys: PlaneKeys, request: CredsRequest): Promise<IssuedCreds> {
  const { role, name, ns, version, tool, team, ttlSeconds } = request;
  const namespaces = ns !== undefined ? [ns] : isPlaneRole(role) ? [...keys.namespaces.keys()] : [];
  const permissions = permissionsFor(role, name, namespaces, request);
  const account = accountKey(keys, role, ns);
  const bearer: Bearer = {
    role,
    name,
    ...(ns !== undefined && { ns }),
    ...(version !== undefined && { version }),
    ...(tool !== undefined && { tool }),
    ...(team !== undefined && { team }),
  };
  await notBarred(keys, bearer);
  const user = createUser();
  const claims = {
    // An empty list would allow everything, so a role that may publish nothing is denied everything.
    pub: permissions.publish.allow.length > 0 ? { allow: [...permissions.publish.allow] } : { deny: [">"] },
    sub: { allow: [...permissions.subscribe.allow] },
    ...(permissions.allow_responses && {
      resp: { max: permissions.allow_responses.max, ttl: permissions.allow_responses.ttlMs * MILLION },
    }),
    allowed_connection_types: ["STANDARD", "WEBSOCKET"],
    tags: [`role:${role}`, `name:${name}`, ...(ns !== undefined ? [`ns:${ns}`] : []), ...(version !== undefined ? [`version:${version}`] : [])],
  } satisfies Partial<User>;
  const now = Date.now();
  const exp = ttlSeconds === undefined ? undefined : Math.floor(now / 1000) + ttlSeconds;
  const jwt = await encodeUser(name, user, account, claims, exp === undefined ? {} : { exp });
  const record: Issued = {
    public_key: user.getPublicKey(),
    ...bearer,
    issued_at: timestamp(now),
    ...(exp !== undefined && { expires_at: timestamp(exp * 1000) }),
  };
  await issuedRecords(keys.dataDir).put(issuedKey(record), record);
  // who revokes bars first and looks then: either they found the record, or we find the bar
  await notBarred(keys, bearer);
  return {
    creds: new TextDecoder().decode(fmtCreds(jwt, user)),
    inboxPrefix: inboxPrefixOf(role, name),
    publicKey: record.public_key,
    record,
  };
}

async function notBarred({ dataDir }: PlaneKeys, bearer: Bearer): Promise<void> {
  const bar = await barOf(dataDir, bearer);
  if (bar !== undefined) throw new Barred(bearer, bar.at, bar.reason);
}

/**
 * Writes a credential to `<data>/creds/<name>.creds`, readable by nobody else, and returns the path. A running plane
 * renews it there before it ends.
 */
export async function writeCreds(dataDir: string, name: string, issued: IssuedCreds): Promise<string> {
  const file = join("creds", `${name}.creds`);
  const path = join(dataDir, file);
  await writeSecret(path, issued.creds);
  const records = issuedRecords(dataDir);
  const record: Issued = { ...issued.record, file };
  await records.put(issuedKey(record), record);
  await records.remove(issuedKey(issued.record));
  return path;
}

function accountKey(keys: PlaneKeys, role: Role, ns: Namespace | undefined): KeyPair {
  const kind = accountOf(role);
  if (kind === "plane") return keys.plane;
  if (kind === "system") return keys.system;
  const own = ns === undefined ? undefined : keys.namespaces.get(ns);
  if (!own) throw new Error(`there are no keys for the namespace \`${ns}\``);
  return own[kind];
}
