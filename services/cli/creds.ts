/** `creds issue`, `creds list`: credentials, signed with the keys of the data folder. */
import { resolve } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { contextPath, readContext } from "../bus/context.ts";
import { writeContext } from "../identity/contexts.ts";
import { Barred, type IssuedCreds, issueCreds, writeCreds } from "../identity/creds.ts";
import { writeSecret } from "../identity/files.ts";
import { hasEnded, type Issued, issuedRecords } from "../identity/issued.ts";
import type { CredentialTerms } from "../identity/keeper.ts";
import type { PlaneKeys } from "../identity/keys.ts";
import { revokedRecords } from "../identity/revoked.ts";
import { isPlaneRole, type Role, ROLES } from "../identity/roles.ts";
import { credentialTerms } from "../identity/terms.ts";
import { type Cli, examples, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line, table } from "./io.ts";
import { keysOfPlane } from "./plane-keys.ts";
import { dataFolder, isAlive, readPlane } from "./plane.ts";
import { count } from "./read.ts";
import { visible } from "./visible.ts";

/** A file that a running plane renews. */
const RENEWED_SECONDS = 3600;
/** A file that nobody renews. */
const ALONE_SECONDS = 24 * 3600;

interface IssueOptions {
  readonly role: string;
  readonly name: string;
  readonly ns?: string;
  readonly ttl?: number;
  readonly agentVersion?: string;
  readonly tool?: string;
  readonly team?: string;
  readonly output?: string;
  readonly force?: boolean;
}

export function credsCommands(cli: Cli): void {
  const creds = cli.program.command("creds").description("credentials");
  issueCommand(cli, creds);
  listCommand(cli, creds);
}

function issueCommand(cli: Cli, creds: Cli["program"]): void {
  const command = creds.command("issue").description("issue a standard `.creds` file, and a context beside it");
  command
    .requiredOption("--role <role>", ROLES.join(", "))
    .requiredOption("--name <name>", "the actor's name")
    .option("--ns <namespace>", "its namespace; needed where the plane has several")
    .option("--ttl <seconds>", "it ends after so long; left out: as the agent's contract says, else an hour, or a day with `-o`", count)
    .option("--agent-version <version>", "the agent's version; left out: that of its contract in force")
    .option("--tool <tool>", "the tool that it serves, for the role tool")
    .option("--team <team>", "the team that it reads, for the role developer")
    .option("-o, --output <file>", "write it there (`-`: print it) and write no context; nobody renews it there")
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
    const { issued, terms } = await issue(cli, keys, role, ns, options);
    const { expires_at: ends } = issued.record;
    if (options.output === "-") return void cli.io.stdout.write(issued.creds);
    const { name } = options;
    const about = { role, name, ...(ns !== undefined && { namespace: ns }), public_key: issued.publicKey, inbox_prefix: issued.inboxPrefix, expires_at: ends };
    const says = (path: string, more: string) => [path, cli.paint.dim(`ends at ${ends ?? "no time"}${terms === undefined ? "" : ", as the contract says"}; ${more}`)].join("\n");
    if (options.output !== undefined) {
      const path = resolve(options.output);
      await writeSecret(path, issued.creds);
      return show(cli, self, { ...about, creds: path }, () => `${says(path, "nobody renews it there")}\n${cli.paint.dim(`inbox prefix: ${issued.inboxPrefix}`)}`);
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
    show(cli, self, { ...about, creds: path, context }, () => `${says(path, "a running plane renews it")}\n${cli.paint.dim(`use it with: signalbox --as ${name} whoami`)}`);
  });
}

async function issue(cli: Cli, keys: PlaneKeys, role: Role, ns: Namespace | undefined, options: IssueOptions): Promise<{ issued: IssuedCreds; terms: CredentialTerms | undefined }> {
  const { name, tool, team, agentVersion } = options;
  const terms = role === "agent" && ns !== undefined ? await termsInForce(cli, keys, ns, name) : undefined;
  const longest = terms?.ttlSeconds;
  if (options.ttl !== undefined && longest !== undefined && options.ttl > longest) {
    throw new CliError(EXIT.usage, `the contract of \`${visible(name)}\` lets its credentials live ${longest} s`, "give a shorter --ttl or none, or apply a contract with another `identity.token_ttl_seconds`");
  }
  const version = agentVersion ?? terms?.version;
  try {
    const issued = await issueCreds(keys, {
      role,
      name,
      ttlSeconds: options.ttl ?? longest ?? (options.output === undefined ? RENEWED_SECONDS : ALONE_SECONDS),
      ...(ns !== undefined && { ns }),
      ...(version !== undefined && { version }),
      ...(tool !== undefined && { tool }),
      ...(team !== undefined && { team }),
    });
    return { issued, terms: longest === undefined || options.ttl !== undefined ? undefined : terms };
  } catch (error) {
    if (error instanceof Barred) throw new CliError(EXIT.denied, error.message, "`signalbox stops` shows the revocation; another operator lifts it with `signalbox lift`");
    const [first = ""] = (error as Error).message.split("\n");
    throw new CliError(EXIT.usage, `it cannot be issued: ${first}`, "`signalbox creds issue --help` lists what each role needs");
  }
}

/** What the contract in force says, when the plane can be asked. */
async function termsInForce(cli: Cli, keys: PlaneKeys, ns: Namespace, agent: string): Promise<CredentialTerms | undefined> {
  const plane = await readPlane(keys.dataDir);
  const url = plane !== undefined && isAlive(plane) ? plane.url : cli.io.env["NATS_URL"] || undefined;
  if (url === undefined) return undefined;
  return credentialTerms(keys, url, ns, agent).catch((error: Error) => {
    line(cli.io.stderr, `the contract was not asked how long it may live: ${error.message}`);
    return undefined;
  });
}

type State = "valid" | "ended" | "revoked";

function listCommand(cli: Cli, creds: Cli["program"]): void {
  const command = creds.command("list").description("credentials that were issued and have not been forgotten");
  command.option("--all", "also those that have ended or were revoked");
  examples(command, "creds list", "creds list --all --json");
  command.action(async (options: { all?: boolean }, self) => {
    const { dataDir } = await keysOfPlane(dataFolder(cli.io.env));
    const revoked = new Set(await revokedRecords(dataDir).keys());
    const stateOf = (record: Issued): State => (revoked.has(record.public_key) ? "revoked" : hasEnded(record, Date.now()) ? "ended" : "valid");
    const credentials = [...(await issuedRecords(dataDir).all()).values()]
      .map((record) => ({ state: stateOf(record), ...record }))
      .filter(({ state }) => options.all === true || state === "valid")
      .toSorted((a, b) => (a.issued_at < b.issued_at ? 1 : -1));
    const rows = credentials.map(({ state, role, name, ns = "all", version = "", issued_at, expires_at = "never" }) => [state, role, name, ns, version, issued_at, expires_at]);
    show(cli, self, { credentials }, () => table(["STATE", "ROLE", "NAME", "NAMESPACE", "VERSION", "ISSUED", "ENDS"], rows, cli.paint));
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
