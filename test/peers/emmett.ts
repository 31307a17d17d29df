/** Emmett on PostgreSQL, `synchronous_commit` on: commits of four events to streams of their own, each with its expected version. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../harness/ports.ts";
import { peer } from "./install.ts";
import { AT_A_TIME, type Rate, rateOf } from "./load.ts";

const EVENTS = 4;
const COMMITS_A_RUN = 8;
const TEXT = "x".repeat(400);

interface Store {
  readonly schema: { migrate(): Promise<unknown> };
  appendToStream(name: string, events: unknown[], options: { expectedStreamVersion: unknown }): Promise<unknown>;
  close(): Promise<void>;
}

interface Pool {
  end(): Promise<void>;
}

/** @throws Error when PostgreSQL is not installed */
export async function measureEmmett(seconds: number): Promise<readonly Rate[]> {
  const bin = binaries();
  const data = mkdtempSync(join(tmpdir(), "signalbox-postgres-"));
  const port = await freePort();
  const root = process.getuid?.() === 0;
  // PostgreSQL does not run as root
  const run = (program: string, args: readonly string[]) => {
    const command = root ? ["runuser", "-u", "postgres", "--", join(bin, program), ...args] : [join(bin, program), ...args];
    execFileSync(command[0] as string, command.slice(1), { stdio: "ignore" });
  };
  if (root) execFileSync("chown", ["postgres", data]);
  chmodSync(data, 0o700);
  const cluster = join(data, "cluster");
  try {
    run("initdb", ["-D", cluster, "-A", "trust", "-U", "postgres"]);
    run("pg_ctl", ["-D", cluster, "-w", "-o", `-p ${port} -c unix_socket_directories=${data} -c max_connections=200 -c synchronous_commit=on`, "start"]);
    const { getPostgreSQLEventStore } = await peer<{ getPostgreSQLEventStore(url: string, options: { connectionOptions: { pool: Pool } }): Store }>("@event-driven-io/emmett-postgresql");
    const { default: pg } = await peer<{ default: { Pool: new (options: { connectionString: string; max: number }) => Pool } }>("pg");
    const connectionString = `postgresql://postgres@127.0.0.1:${port}/postgres`;
    // its own pool has ten connections, for which the others would wait
    const pool = new pg.Pool({ connectionString, max: Math.max(...AT_A_TIME) });
    const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pool } });
    await store.schema.migrate();
    const rates: Rate[] = [];
    for (const atATime of AT_A_TIME) {
      const runs = Array.from({ length: atATime }, (_, i) => ({ name: `run-${atATime}-${i}-0`, life: 0, commits: 0 }));
      const free = [...runs];
      rates.push(
        await rateOf(atATime, seconds, async () => {
          const one = free.pop() as (typeof runs)[number];
          const events = Array.from({ length: EVENTS }, (_, n) => ({ type: "happened", data: { n, text: TEXT } }));
          await store.appendToStream(one.name, events, { expectedStreamVersion: one.commits === 0 ? "STREAM_DOES_NOT_EXIST" : BigInt(one.commits * EVENTS) });
          one.commits += 1;
          if (one.commits === COMMITS_A_RUN) Object.assign(one, { commits: 0, life: one.life + 1, name: `${one.name.replace(/-\d+$/, "")}-${one.life + 1}` });
          free.push(one);
        }),
      );
    }
    await store.close();
    await pool.end();
    run("pg_ctl", ["-D", cluster, "-m", "fast", "-w", "stop"]);
    return rates;
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

function binaries(): string {
  const base = "/usr/lib/postgresql";
  const newest = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  if (newest === undefined) throw new Error("PostgreSQL is not installed here (Debian: `apt-get install postgresql`)");
  return join(base, newest, "bin");
}
