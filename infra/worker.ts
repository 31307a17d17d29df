/** The other thread of a plane; see `threads.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { type RunningServices, expectServices } from "../services/main.ts";
import { Readiness, type RoleReadiness } from "../services/telemetry/readiness.ts";
import { type Order, type OtherOptions, type Word, startHere } from "./threads.ts";

const say = (word: Word) => parentPort?.postMessage(word);

const options = workerData as OtherOptions;
const readiness = expectServices(new Readiness(), options.roles, options.namespaces);
let services: RunningServices | undefined;

parentPort?.on("message", (order: Order) => {
  if (order === "stop") {
    readiness.stopping();
    void (services?.stop() ?? Promise.resolve()).finally(() => process.exit(0));
    return;
  }
  const looked: Promise<RoleReadiness[]> = order.timeoutMs > 0 ? readiness.look(order.timeoutMs) : Promise.resolve([]);
  void looked.then((roles) => say({ asked: order.ask, roles }));
});

try {
  services = await startHere(options, readiness);
  say({ started: true });
} catch (error) {
  const { name, message, help } = error as { name: string; message: string; help?: string };
  say({ failed: { name, message, ...(help !== undefined && { help }) } });
}
