/** `creds issue`, `whoami`, `nats-config`: who is who. Issuing needs the data folder and no server. */
import { join, resolve } from "node:path";
import { namespace, type Namespace, namespaceSchema } from "../../schemas/ids.ts";
import { contextPath, readContext } from "../bus/context.ts";
import { signAccounts } from "../identity/accounts.ts";
import { writeContext } from "../identity/contexts.ts";
import { issueCreds, writeCreds } from "../identity/creds.ts";
import { writeSecret } from "../identity/files.ts";
import { knownNamespaces, openKeys } from "../identity/keys.ts";
import { renderIdentity, renderServerConfig } from "../identity/natsConfig.ts";
import { isPlaneRole, type Role, ROLES } from "../identity/roles.ts";
import { type Cli, examples, globalsOf, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import { keysOfPlane } from "./plane-keys.ts";
import { dataFolder, readPlane } from "./plane.ts";
import { count } from "./read.ts";
import { openSession, resolveLogin } from "./session.ts";
import { tokenCommands } from "./tokens.ts";
import { visible } from "./visible.ts";

export function adminCommands(cli: Cli): void {
  whoami(cli);
  credsIssue(cli);
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

interface IssueOptions {
  readonly role: string;
  readonly name: string;
  readonly ns?: string;
  readonly ttl?: number;
  readonly tool?: string;
  readonly team?: string;
  readonly output?: string;
  readonly force?: boolean;
}

function credsIssue(cli: Cli): void {
  const creds = cli.program.command("creds").description("credentials");
  const command = creds.command("issue").description("issue a standard `.creds` file, and a context beside it");
  command
    .requiredOption("--role <role>", ROLES.join(", "))
    .requiredOption("--name <name>", "the actor's name")
    .option("--ns <namespace>", "its namespace; needed where the plane has several")
    .option("--ttl <seconds>", "it expires after so long; never, when left out", count)
    .option("--tool <tool>", "the tool that it serves, for the role tool")
    .option("--team <team>", "the team that it reads, for the role developer")
    .option("-o, --output <file>", "write it there (`-`: print it) and write no context")
    .option("--force", "replace a context of another role");
  examples(
    command,
    "creds issue --role agent --name refund-assistant",
    "creds issue --role tool --name crm-1 --tool crm.read_customer --ttl 86400",
    "creds issue --role developer --name kim --team payments -o kim.creds",
  );
  command.action(async (options: IssueOptions, self) => {
    const role = roleOf(options.role);
    const dataDir = dataFolder(cli.io.env);
    const keys = await keysOfPlane(dataDir);
    const ns = isPlaneRole(role) || role === "system" ? undefined : chosen([...keys.namespaces.keys()], options.ns);
    const { name, ttl, tool, team } = options;
    const issued = await issueCreds(keys, {
      role,
      name,
      ...(ns !== undefined && { ns }),
      ...(ttl !== undefined && { ttlSeconds: ttl }),
      ...(tool !== undefined && { tool }),
      ...(team !== undefined && { team }),
    }).catch((error: Error) => {
      throw new CliError(EXIT.usage, `it cannot be issued: ${error.message.split("\n")[0] ?? ""}`, "`signalbox creds issue --help` lists what each role needs");
    });
    if (options.output === "-") return void cli.io.stdout.write(issued.creds);
    const about = { role, name, ...(ns !== undefined && { namespace: ns }), public_key: issued.publicKey, inbox_prefix: issued.inboxPrefix };
    if (options.output !== undefined) {
      const path = resolve(options.output);
      await writeSecret(path, issued.creds);
      return show(cli, self, { ...about, creds: path }, () => `${path}\n${cli.paint.dim(`inbox prefix: ${issued.inboxPrefix}`)}`);
    }
    await refuseOverwrite(dataDir, name, role, options.force === true);
    const path = await writeCreds(dataDir, name, issued);
    const plane = await readPlane(dataDir);
    const context = await writeContext(dataDir, name, {
      description: `${role} ${name}${ns === undefined ? "" : ` in ${ns}`}`,
      url: plane?.url ?? cli.io.env["NATS_URL"] ?? "nats://127.0.0.1:4222",
      creds: path,
      inboxPrefix: issued.inboxPrefix,
    });
    show(cli, self, { ...about, creds: path, context }, () => `${path}\n${cli.paint.dim(`use it with: signalbox --as ${name} whoami`)}`);
  });
}

function roleOf(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (role === undefined) throw new CliError(EXIT.usage, `\`${visible(text)}\` is no role`, `roles are ${ROLES.join(", ")}`);
  return role;
}

function chosen(namespaces: readonly Namespace[], wanted: string | undefined): Namespace {
  if (wanted === undefined && namespaces.length === 1) return namespaces[0] as Namespace;
  const found = namespaces.find((ns) => ns === wanted);
  if (found !== undefined) return found;
  const message = wanted === undefined ? "the plane has several namespaces" : `the plane has no namespace \`${visible(wanted)}\``;
  throw new CliError(EXIT.usage, message, `choose with \`--ns\`: ${namespaces.join(", ")}`);
}

/** A context is a way to act: nobody's is silently turned into another's. */
async function refuseOverwrite(dataDir: string, name: string, role: Role, force: boolean): Promise<void> {
  const before = await readContext(name, dataDir).catch(() => undefined);
  if (before?.description === undefined || before.description.startsWith(`${role} `) || force) return;
  throw new CliError(EXIT.usage, `the context \`${contextPath(name, dataDir)}\` is another's: ${before.description}`, "choose another name, write it elsewhere with `-o`, or add `--force`");
}

function natsConfig(cli: Cli): void {
  const command = cli.program.command("nats-config").description("the configuration of a nats-server of your own");
  command
    .option("--ns <namespaces>", "separated by commas; those of the data folder, or `default`")
    .option("--listen <address>", "host:port", "0.0.0.0:4222")
    .option("--store-dir <folder>", "JetStream's files", "/var/lib/nats/jetstream")
    .option("--identity-only", "only who may log in, to paste into a configuration that exists");
  examples(command, "nats-config > nats.conf", "nats-config --ns default,finance --identity-only");
  command.action(async (options: { ns?: string; listen: string; storeDir: string; identityOnly?: boolean }) => {
    const dataDir = dataFolder(cli.io.env);
    const known = await knownNamespaces(dataDir);
    const wanted = options.ns?.split(",").map((text) => text.trim());
    const bad = wanted?.find((text) => !namespaceSchema.safeParse(text).success);
    if (bad !== undefined) throw new CliError(EXIT.usage, `\`${visible(bad)}\` is no namespace`, "a namespace is [a-z0-9][a-z0-9-]{0,62}");
    const namespaces = wanted?.map(namespace) ?? (known.length > 0 ? known : [namespace("default")]);
    const identity = await signAccounts(await openKeys(dataDir, namespaces));
    const { listen, storeDir } = options;
    cli.io.stdout.write(options.identityOnly === true ? renderIdentity(identity) : renderServerConfig(identity, { listen, storeDir }));
    line(cli.io.stderr, `the keys are in ${join(dataDir, "keys")}: whoever reads them is the plane`);
  });
}
