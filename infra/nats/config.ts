/** The configuration of the embedded server, as text. */
import { statfsSync } from "node:fs";
import { join } from "node:path";

export interface Account {
  /** `A…` */
  readonly publicKey: string;
  /** Signed by the operator. */
  readonly jwt: string;
  /** For people who read the file. */
  readonly name: string;
}

export interface ServerConfig {
  readonly folder: string;
  /** -1: a free one. */
  readonly port: number;
  readonly serverName: string;
  readonly operatorJwt: string;
  /** Public key of the account that the server's own events go to. */
  readonly systemAccount: string;
  readonly accounts: readonly Account[];
  /** `always`: nothing acknowledged is lost in a power cut. `default`: up to two minutes of it may be. */
  readonly sync: "always" | "default";
}

/** Where the server of a data folder keeps its things. */
export interface Layout {
  readonly base: string;
  readonly config: string;
  readonly log: string;
  readonly ports: string;
  readonly accounts: string;
  readonly store: string;
}

export function layout(folder: string): Layout {
  const base = join(folder, "nats");
  return {
    base,
    config: join(base, "server.conf"),
    log: join(base, "server.log"),
    ports: join(base, "ports"),
    accounts: join(base, "accounts"),
    store: join(base, "store"),
  };
}

/** Keys and JWTs hold no quotes, folders and names may: everything is quoted as JSON, which this format reads alike. */
export function renderConfig(config: ServerConfig): string {
  const { ports, accounts, store } = layout(config.folder);
  const q = JSON.stringify;
  return `# Written at each start; changes are lost.
server_name: ${q(config.serverName)}
listen: "127.0.0.1:${config.port}"
# Health only, and like the clients' port never beyond this machine.
http: "127.0.0.1:-1"
ports_file_dir: ${q(ports)}
max_payload: 8MB
# A built-in service's credential names every subject that it may use, for every namespace: the default of 4 KB is too short.
max_control_line: 256KB
# A client that reads too slowly is cut off before it costs the others memory.
max_pending: 64MB

operator: ${q(config.operatorJwt)}
system_account: ${q(config.systemAccount)}
# Accounts that are added while the server runs are pushed to it and kept in this folder. Those below are taken over
# at each start unless the kept ones are newer.
resolver {
  type: full
  dir: ${q(accounts)}
  allow_delete: false
  interval: "2m"
}
resolver_preload {
${config.accounts.map(({ publicKey, jwt, name }) => `  # ${name.replaceAll(/\s+/g, " ")}\n  ${publicKey}: ${q(jwt)}`).join("\n")}
}

jetstream {
  store_dir: ${q(store)}
  max_mem: 64MB
  max_file: ${largestStore(config.folder)}
${config.sync === "always" ? "  sync_interval: always\n" : ""}  limits { default_max_consumers: -1 }
}
`;
}

/**
 * Bytes: three quarters of the file system's size. The server's own default takes them of what is free at each start,
 * so a journal that has grown would find itself over a limit that shrank.
 */
function largestStore(folder: string): number {
  const { blocks, bsize } = statfsSync(folder);
  return Math.floor((blocks * bsize * 3) / 4);
}
