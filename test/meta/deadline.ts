/**
 * Loaded into the process of each test file by the gate: a file that does not come to its end is ended, loudly. The
 * runner's own time-out ends tests and does not end a process in which a server or a timer is left.
 */
import { isMainThread } from "node:worker_threads";

const WITHIN_MS = Number(process.env["SIGNALBOX_TEST_FILE_MS"] ?? 330_000);

if (isMainThread) {
  setTimeout(() => {
    console.error(`ended after ${WITHIN_MS / 1000} s: something of this file is still at work`);
    process.kill(process.pid, "SIGKILL");
  }, WITHIN_MS).unref();
}
