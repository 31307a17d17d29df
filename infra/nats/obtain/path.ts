/** The server that is installed on the machine. */
import { accessSync, constants } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { inspectServer } from "../version.ts";
import type { Found, Nothing } from "./source.ts";

export async function fromPath(): Promise<Found | Nothing> {
  const faults: string[] = [];
  for (const path of candidates()) {
    const inspected = await inspectServer(path);
    if ("version" in inspected) return { path, version: inspected.version, source: "PATH" };
    faults.push(`\`${path}\` ${inspected.fault}`);
  }
  return faults.length === 0 ? { fault: "none on PATH", silent: true } : { fault: `on PATH: ${faults.join(", ")}` };
}

/** All on PATH, not the first: an old one of the system may stand before a new one of the user. */
function candidates(): string[] {
  const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  // Debian puts servers where an ordinary user's PATH does not look.
  if (process.platform === "linux") folders.push("/usr/local/sbin", "/usr/sbin");
  return [...new Set(folders.map((folder) => resolve(join(folder, name))))].filter(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
