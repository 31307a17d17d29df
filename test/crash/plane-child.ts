/**
 * A process that runs services and can be told where to die. It loads everything, waits for `start`, and says `up`;
 * a second one that waits already makes a restart cheap.
 */
import { pino } from "pino";
import { namespace } from "../../schemas/ids.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { type Service, startServices } from "../../services/main.ts";
import { type Boundary, Crossings, connectWatched } from "./boundaries.ts";

export interface StartChild {
  readonly do: "start";
  readonly url: string;
  readonly dataDir: string;
  readonly ns: string;
  readonly roles: readonly Service[];
  /** For the boundary that is a server's last. */
  readonly serverPid: number;
  readonly ackWaitMs?: number;
  readonly repeatMs?: number;
  /** From the first crossing on, so that a process may die while it takes over. */
  readonly boundary?: Boundary;
  readonly victim?: Victim;
}
export type Victim = "child" | "server";
export type ToChild =
  | StartChild
  | { readonly do: "arm"; readonly boundary: Boundary | undefined; readonly victim: Victim; readonly serverPid: number }
  | { readonly do: "trace" };
export type FromChild =
  | { readonly said: "up"; readonly gateway: string }
  | { readonly said: "armed" }
  | { readonly said: "trace"; readonly trace: readonly string[] }
  | { readonly said: "server killed" };

const FLUSH_MS = 500;
let victim: Victim = "child";
let serverPid = 0;
let dying = false;

const say = (message: FromChild) => process.send?.(message);
const crossings: Crossings = new Crossings(() => {
  if (victim === "server") {
    process.kill(serverPid, "SIGKILL");
    say({ said: "server killed" });
    return "go on";
  }
  dying = true;
  const die = () => process.kill(process.pid, "SIGKILL");
  // what crossed before reaches the server, and nothing else does
  void Promise.allSettled(crossings.connections.map((nc) => nc.flush())).then(die);
  setTimeout(die, FLUSH_MS);
  return "fall silent";
});

async function start(order: StartChild): Promise<void> {
  const ns = namespace(order.ns);
  serverPid = order.serverPid;
  victim = order.victim ?? "child";
  crossings.arm(order.boundary);
  let gateway = "";
  await startServices({
    url: order.url,
    keys: await openKeys(order.dataDir, [ns]),
    namespaces: [ns],
    roles: order.roles,
    dataDir: order.dataDir,
    version: "0.0.0",
    log: pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "error" }, pino.destination(2)),
    connect: (options) => {
      if (options.name.startsWith("signalbox-gateway-")) gateway = options.name.slice("signalbox-".length);
      return connectWatched(crossings, options);
    },
    gateway: {
      ...(order.ackWaitMs !== undefined && { ackWaitMs: order.ackWaitMs }),
      ...(order.repeatMs !== undefined && { repeatMs: order.repeatMs }),
    },
  });
  say({ said: "up", gateway });
}

process.on("message", (order: ToChild) => {
  if (order.do === "trace") say({ said: "trace", trace: crossings.trace });
  else if (order.do === "arm") {
    // whoever asks hears of the death instead
    if (dying) return;
    ({ victim, serverPid } = order);
    crossings.arm(order.boundary);
    say({ said: "armed" });
  } else {
    start(order).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  }
});
process.on("disconnect", () => process.exit(0));
