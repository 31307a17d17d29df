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
  store_dir: ${quoted(options.storeDir ?? "/var/lib/nats/jetstream")}
  # Synced before it is acknowledged. Three replicas in three failure domains want it as well.
  sync_interval: ${quoted(options.sync ?? "always")}
}
${options.cluster === undefined ? "" : renderCluster(options.cluster)}
${renderIdentity(identity)}`;
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
 */
export function renderIdentity(identity: ServerIdentity): string {
  const preload = identity.accounts.map((account) => `  # ${account.name}\n  ${account.publicKey}: ${account.jwt}`);
  return `operator: ${identity.operatorJwt}
system_account: ${identity.systemAccount}

# All accounts are known beforehand. After adding a namespace: print this again, and reload the server. Credentials that
# were revoked are in the accounts. "signalbox revoke" also tells a running server, over the system account; a server that
# starts again knows only this file: print it again after a revocation, or start the plane, which then tells it once more.
resolver: MEMORY
resolver_preload: {
${preload.join("\n")}
}
`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
