/** The other thread of a plane; see `threads.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { type ThreadsOptions, type Word, startHere } from "./threads.ts";

const say = (word: Word) => parentPort?.postMessage(word);

try {
  const services = await startHere(workerData as ThreadsOptions);
  parentPort?.once("message", () => {
    void services.stop().finally(() => process.exit(0));
  });
  say({ started: true });
} catch (error) {
  const { name, message, help } = error as { name: string; message: string; help?: string };
  say({ failed: { name, message, ...(help !== undefined && { help }) } });
}
