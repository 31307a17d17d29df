/** `whoami`, `nats-config`: who is who, and who may be. */
import { join } from "node:path";
import { namespace, namespaceSchema } from "../../schemas/ids.ts";
import { signAccounts } from "../identity/accounts.ts";
import { knownNamespaces, openKeys } from "../identity/keys.ts";
import { accountsFolder, type ClusterOptions, renderIdentity, renderServerConfig } from "../identity/natsConfig.ts";
import { type Cli, examples, globalsOf, show } from "./cli.ts";
import { credsCommands } from "./creds.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import { dataFolder } from "./plane.ts";
import { openSession, resolveLogin } from "./session.ts";
import { tokenCommands } from "./tokens.ts";
import { visible } from "./visible.ts";

export function adminCommands(cli: Cli): void {
  whoami(cli);
  credsCommands(cli);
  tokenCommands(cli);
  natsConfig(cli);
}

function whoami(cli: Cli): void {
  const command = cli.program.command("whoami").description("which context is used, and whom the plane takes you for");
  examples(command, "whoami", "whoami --as demo-agent", "NATS_CREDS=me.creds signalbox whoami");
  command.action(async (_options, self) => {
    const globals = globalsOf(self);
    const login = await resolveLogin(cli.io, globals, "read");
    const session = await openSession(cli.io, globals, "read");
    const rtt = await session.nc.rtt();
    await session.close();
    const { identity } = login;
    const value = { context: login.context, ...identity, url: login.url, creds: login.credsPath, rtt_ms: rtt };
    show(cli, self, value, () =>
      [
        ["name", identity.name ?? "unknown"],
        ["role", identity.role ?? "unknown"],
        ["namespace", identity.namespace ?? "all"],
        ["context", login.context],
        ["server", `${login.url} (${rtt} ms)`],
        ["credential", login.credsPath],
        ["inbox", login.inboxPrefix ?? "_INBOX"],
      ]
        .map(([name, text]) => `${name?.padEnd(10)}  ${visible(text ?? "")}`)
        .join("\n"),
    );
  });
}

function natsConfig(cli: Cli): void {
  const command = cli.program.command("nats-config").description("the configuration of a nats-server of your own");
  command
    .option("--ns <namespaces>", "separated by commas; those of the data folder, or `default`")
    .option("--listen <address>", "host:port", "0.0.0.0:4222")
    .option("--store-dir <folder>", "JetStream's files; those of the accounts lie beside them", "/var/lib/nats/jetstream")
    .option("--server-name <name>", "its name; of servers that form a cluster each has its own", "signalbox")
    .option("--cluster <name>", "the server is one of several that hold the streams together; then `npm start -- --replicas 3`")
    .option("--cluster-listen <address>", "host:port for the other servers", "0.0.0.0:6222")
    .option("--routes <addresses>", "of all servers of the cluster, separated by commas, as nats://nats-0.nats:6222")
    .option("--identity-only", "only who may log in, to paste into a configuration that exists");
  examples(command, "nats-config > nats.conf", "nats-config --ns default,finance --identity-only");
  command.action(async (options: ConfigOptions) => {
    const dataDir = dataFolder(cli.io.env);
    const known = await knownNamespaces(dataDir);
    const wanted = options.ns?.split(",").map((text) => text.trim());
    const bad = wanted?.find((text) => !namespaceSchema.safeParse(text).success);
    if (bad !== undefined) throw new CliError(EXIT.usage, `\`${visible(bad)}\` is no namespace`, "a namespace is [a-z0-9][a-z0-9-]{0,62}");
    const namespaces = wanted?.map(namespace) ?? (known.length > 0 ? known : [namespace("default")]);
    const identity = await signAccounts(await openKeys(dataDir, namespaces));
    const { listen, storeDir, serverName } = options;
    const cluster = clusterOf(options);
    const config = { listen, storeDir, serverName, ...(cluster && { cluster }) };
    cli.io.stdout.write(options.identityOnly === true ? renderIdentity(identity, accountsFolder(storeDir)) : renderServerConfig(identity, config));
    line(cli.io.stderr, `the keys are in ${join(dataDir, "keys")}: whoever reads them is the plane`);
  });
}

interface ConfigOptions {
  readonly ns?: string;
  readonly listen: string;
  readonly storeDir: string;
  readonly serverName: string;
  readonly cluster?: string;
  readonly clusterListen: string;
  readonly routes?: string;
  readonly identityOnly?: boolean;
}

function clusterOf({ cluster: name, clusterListen: listen, routes }: ConfigOptions): ClusterOptions | undefined {
  const addresses = (routes ?? "").split(",").map((text) => text.trim()).filter((text) => text !== "");
  if ((name === undefined) !== (addresses.length === 0)) throw new CliError(EXIT.usage, "a cluster has a name and routes", "`--cluster <name> --routes <addresses>`");
  return name === undefined ? undefined : { name, listen, routes: addresses };
}
