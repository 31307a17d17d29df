/** What the contract in force says of an agent's credentials: asked of the plane, as an auditor of its namespace. */
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Contract } from "../../schemas/contract.ts";
import { type Digest, digestSchema, type Namespace } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import { connectBus, type NatsConnection } from "../bus/connection.ts";
import { StreamReader } from "../bus/journal.ts";
import { readStored } from "../registry/parse.ts";
import { issueCreds } from "./creds.ts";
import type { CredentialTerms } from "./keeper.ts";
import type { PlaneKeys } from "./keys.ts";

const PATIENCE_MS = 2_000;

/**
 * Undefined when the agent has no contract in force.
 * @throws PlaneUnreachable and whatever else keeps the plane from being asked
 */
export async function credentialTerms(keys: PlaneKeys, url: string, ns: Namespace, agent: string): Promise<CredentialTerms | undefined> {
  const issued = await issueCreds(keys, { role: "auditor", name: "credentials", ns, ttlSeconds: 60 });
  const nc = await connectBus({ url, name: "signalbox-credentials", creds: issued.creds, inboxPrefix: issued.inboxPrefix, reconnect: false, timeoutMs: PATIENCE_MS });
  try {
    const contract = await contractInForce(nc, ns, agent);
    if (contract === undefined) return undefined;
    const { token_ttl_seconds: ttlSeconds } = contract.identity ?? {};
    const { version } = contract.agent;
    return { ...(ttlSeconds !== undefined && { ttlSeconds }), ...(version !== undefined && { version }) };
  } finally {
    await nc.close();
  }
}

async function contractInForce(nc: NatsConnection, ns: Namespace, agent: string): Promise<Contract | undefined> {
  const applied = await new StreamReader(nc, streamName("JOURNAL", ns)).lastDirect(subjects.log(ns, "agent", agent));
  const digest = applied && digestSchema.safeParse(decodeEvent(applied).body.data["document"]).data;
  if (digest === undefined) return undefined;
  const stored = await new StreamReader(nc, streamName("DOCUMENTS", ns)).lastDirect(subjects.document(ns, hexOf(digest)));
  if (stored === undefined || sha256Digest(stored.data) !== digest) return undefined;
  const { document } = readStored(stored.data);
  return document?.kind === "agent" ? document.value : undefined;
}

function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}
