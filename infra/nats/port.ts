/** The embedded server keeps the port that it had: contexts that people made stay right from one start to the next. */
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";

const ANY_FREE = -1;
const file = (dataDir: string) => join(dataDir, "nats", "port");

/** The port of the last start if nobody else has taken it, and otherwise -1 for a free one. */
export async function lastPort(dataDir: string): Promise<number> {
  const port = Number(await readFile(file(dataDir), "utf8").catch(() => ""));
  return Number.isInteger(port) && port > 0 && port < 65_536 && (await isFree(port)) ? port : ANY_FREE;
}

/** @param url of the server, `nats://127.0.0.1:<port>` */
export async function keepPort(dataDir: string, url: string): Promise<void> {
  await writeFile(file(dataDir), `${new URL(url).port}\n`, { mode: 0o600 });
}

/** Whether nobody listens there on this machine's own address. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
