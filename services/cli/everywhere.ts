/** The same operator in every namespace of the plane, one after the other: a context belongs to one, the data folder to all. */
import { connectBus } from "../bus/connection.ts";
import { identityOf } from "../bus/context.ts";
import { issueCreds } from "../identity/creds.ts";
import { knownNamespaces, openKeys } from "../identity/keys.ts";
import type { Cli } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { dataFolder } from "./plane.ts";
import { type Session, sessionOn } from "./session.ts";

/** Long enough for one command. */
const TTL_SECONDS = 120;

/**
 * Does one thing in each namespace, in the session's own first.
 * @throws CliError when the plane's keys are not at hand; what `work` throws, with nothing done in the namespaces after it
 */
export async function inEveryNamespace<T>(cli: Cli, session: Session, work: (session: Session) => Promise<T>): Promise<T[]> {
  const dataDir = dataFolder(cli.io.env);
  const namespaces = await knownNamespaces(dataDir);
  if (namespaces.length === 0) {
    throw new CliError(EXIT.usage, `the plane's keys are not in \`${dataDir}\``, "run it where the plane's data folder is, set SIGNALBOX_DATA, or use a context of each namespace in turn");
  }
  const results = [await work(session)];
  const keys = await openKeys(dataDir, namespaces);
  for (const ns of namespaces.filter((one) => one !== session.ns)) {
    const { creds, inboxPrefix } = await issueCreds(keys, { role: "operator", name: session.name, ns, ttlSeconds: TTL_SECONDS });
    const login = { ...session.login, context: `${session.login.context} in ${ns}`, creds, identity: identityOf(creds), inboxPrefix };
    const nc = await connectBus({ url: session.login.url, name: `signalbox-operator-${session.name}`, creds, inboxPrefix, reconnect: false });
    const own = sessionOn(nc, { ns, name: session.name, role: session.role, login });
    try {
      results.push(await work(own));
    } finally {
      await own.close();
    }
  }
  return results;
}
