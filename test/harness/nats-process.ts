/** A process of the real nats-server, from its configuration to its end. */
import { type ChildProcess, spawn } from "node:child_process";

/** Starts the server and waits until it says that it is ready. @throws Error with what it wrote, when it ends before */
export function launchServer(configFile: string): Promise<ChildProcess> {
  const binary = process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server";
  const child = spawn(binary, ["-c", configFile], { stdio: ["ignore", "ignore", "pipe"] });
  // a test that dies must not leave its server behind
  const orphaned = () => child.kill("SIGKILL");
  process.once("exit", orphaned);
  child.once("exit", () => process.off("exit", orphaned));
  return new Promise((resolve, reject) => {
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      if (log.includes("Server is ready")) resolve(child);
    });
    child.once("error", (cause) => reject(new Error(`\`${binary}\` cannot be started; set SIGNALBOX_NATS_SERVER`, { cause })));
    child.once("exit", (code) => reject(new Error(`nats-server ended with ${code}:\n${log}`)));
  });
}

export function isUp(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Resolves when it is gone, at once when it was. */
export async function endServer(child: ChildProcess | undefined, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child === undefined || !isUp(child)) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}
