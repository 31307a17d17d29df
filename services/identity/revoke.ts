/**
 * Taking credentials away at once (ID-2): written down, signed into the accounts, and pushed to the servers, which close
 * the connections that were opened with them. What is queued or in flight in the plane is the guard's to stop.
 */
import { createHash } from "node:crypto";
import { connectBus } from "../bus/connection.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { Scope } from "../../schemas/inputs.ts";
import { timestamp } from "../../schemas/time.ts";
import { accountNameOf, type AccountToken, signEach } from "./accounts.ts";
import { issueCreds } from "./creds.ts";
import { bearerOfKey, hasEnded, type Issued, issuedRecords } from "./issued.ts";
import { knownNamespaces, openKeys, type PlaneKeys } from "./keys.ts";
import { type Bar, bars, fits, revocations, type Revoked, revokedRecords, type Who } from "./revoked.ts";

export interface RevokeOptions {
  /** The server to push to; without it the revocation holds for whoever reads the accounts next. */
  readonly url?: string | undefined;
  readonly reason?: string;
}

export interface RevokeResult {
  /** Credentials that were good until now. */
  readonly credentials: readonly Issued[];
  /** Names of the accounts that changed. */
  readonly accounts: readonly string[];
  /** Whether a server has taken all of them over. */
  readonly pushed: boolean;
  /** Why not. */
  readonly problem?: string;
}

/**
 * Takes away every credential of whoever fits, and issues no new one to them until {@link reinstate}. May be repeated;
 * what a server did not hear the first time it hears then.
 * @throws when the folder has no keys, cannot be written, or one of its records is damaged
 */
export async function revoke(dataDir: string, who: Who, options: RevokeOptions = {}): Promise<RevokeResult> {
  const keys = await openKeys(dataDir, await knownNamespaces(dataDir));
  const at = timestamp(Date.now());
  // first, so that nobody is issued another while we look
  await bars(dataDir).put(barKey(who), { who, at, ...(options.reason !== undefined && { reason: options.reason }) } satisfies Bar);
  const { credentials, accounts } = await markRevoked(keys, who, at);
  if (accounts.length === 0) return { credentials, accounts, pushed: true };
  if (options.url === undefined) return { credentials, accounts, pushed: false, problem: "no server was named" };
  try {
    await pushRevocations(keys, options.url, accounts);
    return { credentials, accounts, pushed: true };
  } catch (error) {
    return { credentials, accounts, pushed: false, problem: (error as Error).message };
  }
}

/** Lets whoever was revoked by exactly these words be issued credentials again; the old ones stay dead. Returns whether there was such a bar. */
export async function reinstate(dataDir: string, who: Who): Promise<boolean> {
  const records = bars(dataDir);
  const found = (await records.all()).has(barKey(who));
  await records.remove(barKey(who));
  return found;
}

/**
 * Whose credentials a scope of the guard is about, in one namespace. Undefined where it is about nobody's: teams,
 * principals and everything are stopped in the plane.
 */
export function whoOf(scope: Scope, ns: Namespace): Who | undefined {
  const colon = scope.indexOf(":");
  const [kind, rest] = [scope.slice(0, colon), scope.slice(colon + 1)];
  switch (kind) {
    case "agent":
      return { roles: ["agent"], name: rest, ns };
    case "version": {
      const at = rest.indexOf("@");
      return { roles: ["agent"], name: rest.slice(0, at), version: rest.slice(at + 1), ns };
    }
    case "tool":
      return { roles: ["tool"], tool: rest, ns };
    case "person":
      return { roles: ["approver", "operator", "auditor", "developer"], name: rest, ns };
    default:
      return undefined;
  }
}

/** Marks what was issued, has not ended, and fits. Repeating it finds the same accounts. */
async function markRevoked(keys: PlaneKeys, who: Who, at: string): Promise<{ credentials: Issued[]; accounts: string[] }> {
  const revoked = revokedRecords(keys.dataDir);
  const before = new Set(await revoked.keys());
  const credentials: Issued[] = [];
  const accounts = new Set<string>();
  const { roles, name, ns } = who;
  const perhaps = { ...(roles && { roles }), ...(name !== undefined && { name }), ...(ns !== undefined && { ns }) };
  for (const record of (await issuedRecords(keys.dataDir).some((key) => fits(perhaps, bearerOfKey(key)))).values()) {
    if (!fits(who, record) || hasEnded(record, Date.parse(at))) continue;
    accounts.add(accountNameOf(record));
    if (before.has(record.public_key)) continue;
    before.add(record.public_key);
    await revoked.put(record.public_key, { ...record, revoked_at: at });
    credentials.push(record);
  }
  return { credentials, accounts: [...accounts].toSorted() };
}

/**
 * Signs these accounts with everything that is revoked, and tells a server. What somebody else revoked meanwhile is told
 * again: of two who sign at once the later might not know of the earlier.
 * @throws as {@link pushAccounts}
 */
export async function pushRevocations(keys: PlaneKeys, url: string, accounts: readonly string[]): Promise<void> {
  const keysOf = (records: readonly Revoked[]) => records.map(({ public_key }) => public_key).join();
  for (let revoked = await revocations(keys.dataDir); ; ) {
    await pushAccounts(keys, url, await signEach(keys, accounts, revoked));
    const now = await revocations(keys.dataDir);
    if (keysOf(now) === keysOf(revoked)) return;
    revoked = now;
  }
}

/** An answer comes from each server; the first tells. */
const PUSH_TIMEOUT_MS = 5_000;

/**
 * Tells a server, and through it the others of its cluster, what accounts are now.
 * @throws PlaneUnreachable, CredentialRefused, or Error with what the server said
 */
export async function pushAccounts(keys: PlaneKeys, url: string, accounts: readonly AccountToken[]): Promise<void> {
  const issued = await issueCreds(keys, { role: "system", name: "revocation", ttlSeconds: 60 });
  const nc = await connectBus({ url, name: "signalbox-revocation", creds: issued.creds, inboxPrefix: issued.inboxPrefix, reconnect: false });
  try {
    for (const { name, publicKey, jwt } of accounts) {
      const answer = await nc.request(`$SYS.REQ.ACCOUNT.${publicKey}.CLAIMS.UPDATE`, jwt, { timeout: PUSH_TIMEOUT_MS });
      const { error, data } = answer.json<{ error?: { description?: string }; data?: { code?: number; message?: string } }>();
      if (error !== undefined || data?.code !== 200) {
        throw new Error(`the server did not take over the account \`${name}\`: ${error?.description ?? data?.message ?? "no reason given"}`);
      }
    }
  } finally {
    await nc.close();
  }
}

/** The same words, the same bar. */
function barKey({ roles, name, ns, version, tool }: Who): string {
  const words = JSON.stringify([roles?.toSorted() ?? null, name ?? null, ns ?? null, version ?? null, tool ?? null]);
  return createHash("sha256").update(words).digest("hex");
}
