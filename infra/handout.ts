/**
 * `node infra/handout.ts`: what a deployment is given of a data folder, so that no machine of it holds the plane's keys.
 * The configuration of its three nats-servers, a credential for each role, the few keys that a role needs besides, and a
 * kustomization that makes ConfigMap and Secrets of them. `infra/compose.yaml` and `infra/kubernetes` take it.
 */
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Namespace, namespaceSchema } from "../schemas/ids.ts";
import { signAccounts } from "../services/identity/accounts.ts";
import { issueCreds } from "../services/identity/creds.ts";
import { writeSecret } from "../services/identity/files.ts";
import { knownNamespaces, openKeys } from "../services/identity/keys.ts";
import { renderServerConfig } from "../services/identity/natsConfig.ts";
import type { Role } from "../services/identity/roles.ts";
import { openPersonalMaster } from "../services/identity/sealing.ts";
import { openToolKey } from "../services/identity/tool-keys.ts";
import { SERVICES } from "../services/main.ts";
import { SettingsError, dataFolderOf } from "./settings.ts";

/** Names under which the servers find each other, in a pod's network and in compose's. */
export const SERVERS = ["nats-0.nats", "nats-1.nats", "nats-2.nats"] as const;
export const CLIENT_PORT = 4222;
export const ROUTE_PORT = 6222;
export const STORE = "/data/jetstream";

/** Roles that log in with a credential of the handout: the built-in services, and who sets the streams up. */
export const HANDED = ["provision", ...SERVICES] as const;
type Handed = (typeof HANDED)[number];

/** Keys that a role needs beside its credential, as files of `<data>/keys`. */
export const KEYS_OF: Readonly<Record<Handed, readonly string[]>> = {
  provision: [],
  // who seals and opens what is personal has the key that its subjects' keys are wrapped with
  coordinator: ["personal.key"],
  // tools check the tokens that it signs, so no other role may have it
  gateway: ["tool_tokens.pem", "personal.key"],
  ask: [],
  reader: ["personal.key"],
};

/** Roles that a service plays besides its own, each on a connection of its own. */
const BESIDES: Readonly<Partial<Record<Handed, readonly Role[]>>> = {
  // approvers are shown what is personal in a request by the reader's process, and a reader has no right to keys
  reader: ["reveal"],
};

/** Whose credentials a role is handed. */
export const credsOf = (role: Handed): readonly Role[] => [role, ...(BESIDES[role] ?? [])];

export interface HandoutOptions {
  readonly dataDir: string;
  /** Where it is written; the folder is closed to everybody else. */
  readonly folder: string;
  readonly namespaces: readonly Namespace[];
  /** The credentials end then: before that it is made and applied again. */
  readonly ttlDays: number;
}

const BASE = new URL("kubernetes", import.meta.url).pathname;

/** Makes what is missing in the data folder, too. @returns the files that were written, relative to the folder */
export async function handOut({ dataDir, folder, namespaces, ttlDays }: HandoutOptions): Promise<string[]> {
  const keys = await openKeys(dataDir, namespaces);
  await openToolKey(dataDir);
  await openPersonalMaster(dataDir);
  const files = new Map<string, string>();
  files.set("nats.conf", serverConfig(renderServerConfig(await signAccounts(keys), {
    listen: `0.0.0.0:${CLIENT_PORT}`,
    serverName: "nats",
    storeDir: STORE,
    cluster: { name: "signalbox", listen: `0.0.0.0:${ROUTE_PORT}`, routes: SERVERS.map((server) => `nats://${server}:${ROUTE_PORT}`) },
  })));
  for (const role of HANDED) {
    for (const one of credsOf(role)) {
      const { creds } = await issueCreds(keys, { role: one, name: `${one}-deployed`, ttlSeconds: ttlDays * 24 * 3600 });
      files.set(`${role}/${one}.creds`, creds);
    }
    for (const key of KEYS_OF[role]) files.set(`${role}/keys/${key}`, await readFile(join(dataDir, "keys", key), "utf8"));
  }
  files.set("kustomization.yaml", kustomization(relative(folder, BASE), namespaces));
  for (const [file, contents] of files) await writeSecret(join(folder, file), contents);
  return [...files.keys()];
}

/** A server that is told to go hands its streams to the others first, while clients move on. */
function serverConfig(config: string): string {
  return `${config}
# The same file is every server's; the name comes from the command line.
lame_duck_grace_period: "5s"
lame_duck_duration: "30s"
`;
}

function kustomization(base: string, namespaces: readonly Namespace[]): string {
  const secrets = HANDED.map(
    (role) => `  - name: signalbox-${role}\n    files:\n${[...credsOf(role).map((one) => `${one}.creds`), ...KEYS_OF[role].map((key) => `keys/${key}`)].map((file) => `      - ${role}/${file}`).join("\n")}`,
  );
  return `# Written by infra/handout.ts. Apply with: kubectl apply -k <this folder>
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: signalbox
resources:
  - ${base}
configMapGenerator:
  - name: nats-config
    files:
      - nats.conf
  - name: signalbox-settings
    behavior: merge
    literals:
      - SIGNALBOX_NAMESPACES=${namespaces.join(",")}
secretGenerator:
${secrets.join("\n")}
`;
}

const HELP = `node infra/handout.ts [options]

  --to folder            where to write it (default: handout in the data folder)
  --namespaces a,b       default: those of the data folder, else default
  --ttl-days n           the credentials end after so many days (default: 90)

  SIGNALBOX_DATA         data folder (default: .signalbox in the checkout)
`;

async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const options = { to: { type: "string" }, namespaces: { type: "string" }, "ttl-days": { type: "string", default: "90" }, help: { type: "boolean", short: "h" } } as const;
  const { values } = parseArgs({ args: [...argv], options });
  if (values.help === true) return void console.log(HELP);
  const dataDir = dataFolderOf(env);
  const known = await knownNamespaces(dataDir);
  const wanted = values.namespaces?.split(",").map((name) => name.trim()) ?? (known.length > 0 ? known : ["default"]);
  const namespaces = wanted.map((name) => {
    const parsed = namespaceSchema.safeParse(name);
    if (!parsed.success) throw new SettingsError(`\`${name}\` is no namespace`, parsed.error.issues[0]?.message ?? "");
    return parsed.data;
  });
  const ttlDays = Number(values["ttl-days"]);
  if (!Number.isInteger(ttlDays) || ttlDays < 1) throw new SettingsError(`\`${values["ttl-days"]}\` is no number of days`, "1 or more");
  const folder = resolve(values.to ?? join(dataDir, "handout"));
  const files = await handOut({ dataDir, folder, namespaces, ttlDays });
  console.log(`${folder}: ${files.join(", ")}`);
  console.log(`credentials end in ${ttlDays} days; whoever reads the folder is every service of the plane, and cannot let others log in`);
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2), process.env);
  } catch (error) {
    const { message, help } = error as { message: string; help?: string };
    console.error(`signalbox: ${message}${help === undefined ? "" : `\n  help: ${help}`}`);
    process.exit(2);
  }
}
