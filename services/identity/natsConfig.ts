/** What an administrator puts on a nats-server of their own so that the plane can live there. */
import type { ServerIdentity } from "./accounts.ts";

export interface ServerConfigOptions {
  /** `host:port`; default `0.0.0.0:4222`. */
  readonly listen?: string;
  readonly serverName?: string;
  /** Folder of JetStream's files. */
  readonly storeDir?: string;
  /** `always`: nothing acknowledged is lost in a power cut. A duration such as `2m`: everything since is. */
  readonly sync?: string;
  /** The server is one of several that hold the streams together. */
  readonly cluster?: ClusterOptions;
}

export interface ClusterOptions {
  readonly name: string;
  /** `host:port` for the other servers. */
  readonly listen: string;
  /** Addresses of all servers of the cluster, this one among them or not. */
  readonly routes: readonly string[];
}

const STORE_DIR = "/var/lib/nats/jetstream";

/** Largest message the server takes; larger values are documents in pieces of their own. */
export const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

/**
 * A credential travels in the first line of a connection. A built-in service that serves fifty namespaces has
 * a long list of permissions; the server's default of 4 KiB would cut it off, and the client would only time out.
 */
export const MAX_CONTROL_LINE_BYTES = 256 * 1024;

/** A complete configuration file. It holds tokens, which are public, and no seed. */
export function renderServerConfig(identity: ServerIdentity, options: ServerConfigOptions = {}): string {
  return `# For nats-server 2.15 or newer (API level 4 at least).
listen: ${quoted(options.listen ?? "0.0.0.0:4222")}
server_name: ${quoted(options.serverName ?? "signalbox")}
max_payload: ${MAX_PAYLOAD_BYTES}
# Credentials of the plane's own services are longer than the default allows.
max_control_line: ${MAX_CONTROL_LINE_BYTES}

jetstream {
  store_dir: ${quoted(options.storeDir ?? STORE_DIR)}
  # Synced before it is acknowledged. Three replicas in three failure domains want it as well.
  sync_interval: ${quoted(options.sync ?? "always")}
}
${options.cluster === undefined ? "" : renderCluster(options.cluster)}
${renderIdentity(identity, accountsFolder(options.storeDir))}`;
}

function renderCluster({ name, listen, routes }: ClusterOptions): string {
  return `
cluster {
  name: ${quoted(name)}
  listen: ${quoted(listen)}
  routes: [${routes.map(quoted).join(", ")}]
}
`;
}

/**
 * The part that names who may log in: paste it into an existing configuration. A server that belongs to
 * another operator cannot take it; there, the accounts are imported under that operator.
 * @param accountsDir where the server keeps what it is told of accounts while it runs; its own, and writable
 */
export function renderIdentity(identity: ServerIdentity, accountsDir: string = accountsFolder(undefined)): string {
  const preload = identity.accounts.map((account) => `  # ${account.name}\n  ${account.publicKey}: ${account.jwt}`);
  return `operator: ${identity.operatorJwt}
system_account: ${identity.systemAccount}

# Accounts, with the credentials in them that were revoked. "signalbox revoke" tells running servers over the system
# account: they close the connections, and keep what they heard in this folder. The accounts below are taken over at each
# start unless the kept ones are newer. A server that was away is told by the plane, which repeats it while it runs.
# After adding a namespace: print this again, and start the server again.
resolver: {
  type: full
  dir: ${quoted(accountsDir)}
  allow_delete: false
}
resolver_preload: {
${preload.join("\n")}
}
`;
}

/** Beside JetStream's files. */
export function accountsFolder(storeDir: string | undefined): string {
  return `${storeDir ?? STORE_DIR}-accounts`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
