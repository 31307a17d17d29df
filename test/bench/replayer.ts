/** Times replay in a process that does nothing else: what the benchmark itself keeps in memory would be looked through by every collection of garbage. */
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { throughput } from "../replay/throughput.ts";
import { serveParent } from "./processes.ts";

/** Times over, after one that is not measured. */
const PASSES = 4;

let nc: NatsConnection | undefined;

serveParent({
  start: async ({ url, dataDir, keyNamespaces }: { url: string; dataDir: string; keyNamespaces: readonly Namespace[] }) => {
    const { creds, inboxPrefix } = await issueCreds(await openKeys(dataDir, keyNamespaces), { role: "reader", name: "bench-replayer" });
    nc = await connectBus({ url, name: "bench-replayer", creds, inboxPrefix });
  },
  replay: async ({ ns, most }: { ns: Namespace; most: number }) => throughput(await some(nc as NatsConnection, ns, most), PASSES),
  stop: async () => nc?.close(),
});

/** The journal's beginning, up to the end of a commit. */
async function some(connection: NatsConnection, ns: Namespace, most: number): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = [];
  for await (const message of new StreamReader(connection, streamName("JOURNAL", ns)).read({ subject: patterns.log(ns), pageSize: 2000 })) {
    messages.push(message);
    const [index, last] = decodeEvent(message).body.part;
    if (messages.length >= most && index === last) break;
  }
  return messages;
}
