/** Free ports for servers of tests. */
import { isFree } from "../../infra/nats/port.ts";

/** Below the range of which the system gives ports to connections: a server that starts again finds its port free. */
const PORTS = { from: 15_000, to: 32_000 } as const;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if (await isFree(port)) return port;
  }
}
