/** Coordinators in processes of their own, to be killed as a crash would, and frozen. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type TestPlane, withPatience } from "../harness/plane.ts";

export interface ChildCoordinator {
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
}

/** Ready when it resolves. @param elsewhere as if it ran on another machine: nobody sees that its process is gone */
export async function childCoordinator({ server, ns }: TestPlane, { elsewhere = false } = {}): Promise<ChildCoordinator> {
  const { creds, inboxPrefix } = await server.issue("coordinator", `child-${randomUUID().slice(0, 8)}`);
  const child = spawn(process.execPath, [new URL("child.ts", import.meta.url).pathname], {
    env: {
      ...process.env,
      SIGNALBOX_TEST_URL: server.url,
      SIGNALBOX_TEST_CREDS: creds,
      SIGNALBOX_TEST_INBOX: inboxPrefix,
      SIGNALBOX_TEST_NS: ns,
      ...(elsewhere && { SIGNALBOX_TEST_ELSEWHERE: "1" }),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const orphan = () => child.kill("SIGKILL");
  process.once("exit", orphan);
  const gone = once(child, "exit").then(() => void process.off("exit", orphan));
  await withPatience(Promise.race([once(child.stdout, "data"), gone.then(() => Promise.reject(new Error("the child ended")))]), "the child is not ready");
  return {
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
