/** An auditor's own account on somebody's server, as README says to set one up: a stream there, and a user who may only add to it. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createAccount, createUser, encodeAccount, encodeUser, fmtCreds, type User } from "@nats-io/jwt";
import { contextPath } from "../../services/bus/context.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

export const MIRROR_SUBJECT = "audit.checkpoints";
const STREAM = "CHECKPOINTS";
/** A server that has just come back on a busy machine takes its time. */
const PATIENCE_MS = 20_000;

export interface Mirror {
  readonly server: TestServer;
  /** Logs in as the user who may only add. */
  connect(): Promise<NatsConnection>;
  /** Writes a context `mirror` for that user under this folder. */
  context(home: string): Promise<void>;
  /** Without it nobody acknowledges anything. */
  makeStream(): Promise<void>;
  /** What the stream holds, oldest first. */
  lines(): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startMirror(): Promise<Mirror> {
  const account = createAccount();
  const server = await startTestServer({
    provision: false,
    identity: async (identity, keys) => {
      const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: 0, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
      const jwt = await encodeAccount("AUDIT", account, { limits }, { signer: keys.operator });
      return { ...identity, accounts: [...identity.accounts, { name: "AUDIT", publicKey: account.getPublicKey(), jwt }] };
    },
  });
  const creds = async (name: string, claims: Partial<User>) => {
    const user = createUser();
    return new TextDecoder().decode(fmtCreds(await encodeUser(name, user, account, claims), user));
  };
  const inboxPrefix = "_INBOX.witness";
  const adds = await creds("witness", { pub: { allow: [MIRROR_SUBJECT], deny: [] }, sub: { allow: [`${inboxPrefix}.>`], deny: [] } });
  const keeper = await connectBus({ url: server.url, name: "keeper", creds: await creds("keeper", {}) });
  const open: NatsConnection[] = [keeper];
  // what the client is given while it is not connected may be lost: asked again until the server is back
  const api = async <T>(what: string, body: unknown): Promise<T> => {
    for (const until = performance.now() + PATIENCE_MS; ; ) {
      try {
        return (await keeper.request(`$JS.API.STREAM.${what}.${STREAM}`, JSON.stringify(body), { timeout: 500 })).json<T>();
      } catch (error) {
        if (performance.now() > until) throw error;
      }
    }
  };
  return {
    server,
    connect: async () => {
      const nc = await connectBus({ url: server.url, name: "witness", creds: adds, inboxPrefix });
      open.push(nc);
      return nc;
    },
    context: async (home) => {
      const path = contextPath("mirror", home);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(join(dirname(path), "mirror.creds"), adds, { mode: 0o600 });
      await writeFile(path, JSON.stringify({ url: server.url, creds: "mirror.creds", inbox_prefix: inboxPrefix }));
    },
    makeStream: async () => {
      const { error } = await api<{ error?: { description: string } }>("CREATE", { name: STREAM, subjects: [MIRROR_SUBJECT], storage: "file", deny_delete: true, deny_purge: true });
      if (error !== undefined) throw new Error(error.description);
    },
    lines: async () => {
      const { state } = await api<{ state: { messages: number } }>("INFO", {});
      const lines: string[] = [];
      for (let seq = 1; seq <= state.messages; seq++) {
        const { message } = await api<{ message: { data: string } }>("MSG.GET", { seq });
        lines.push(Buffer.from(message.data, "base64").toString("utf8"));
      }
      return lines;
    },
    stop: async () => {
      for (const nc of open) await nc.close();
      await server.stop();
    },
  };
}
