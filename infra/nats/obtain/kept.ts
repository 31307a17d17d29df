/** The copy kept from last time: `<cache>/nats-server/<version>/nats-server`. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../cache.ts";
import { compareVersions, inspectServer } from "../version.ts";
import type { Found, Nothing } from "./source.ts";

const BINARY = process.platform === "win32" ? "nats-server.exe" : "nats-server";

export async function fromCache(): Promise<Found | Nothing> {
  for (const version of keptVersions()) {
    const path = join(keptFolder(), version, BINARY);
    const inspected = await inspectServer(path);
    if ("version" in inspected) return { path, version: inspected.version, source: `kept copy, ${origin(version)}` };
  }
  return { fault: "none kept from last time", silent: true };
}

/**
 * Takes a server into the cache and returns it from there; a server that does not fit is a fault and is not kept.
 * Whole or not at all: two set-ups at once, or one that is cut off, leave no half copy behind.
 */
export async function keep(binary: string, source: string): Promise<Found | Nothing> {
  const inspected = await inspectServer(binary);
  if ("fault" in inspected) return { fault: `${source}: the server ${inspected.fault}` };
  const folder = join(keptFolder(), inspected.version);
  const draft = draftFolder();
  try {
    copyFileSync(binary, join(draft, BINARY));
    chmodSync(join(draft, BINARY), 0o755);
    writeFileSync(join(draft, "origin"), `${source}\n`);
    try {
      renameSync(draft, folder);
    } catch (error) {
      // Another set-up was faster with the same version: its copy is as good.
      if (!isOccupied(error)) throw error;
    }
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return { path: join(folder, BINARY), version: inspected.version, source };
}

/** A new folder beside the kept copies, on the same file system, for what is being fetched. The caller removes it. */
export function draftFolder(): string {
  mkdirSync(keptFolder(), { recursive: true });
  return mkdtempSync(join(keptFolder(), ".draft-"));
}

function keptFolder(): string {
  return join(cacheFolder(), "nats-server");
}

/** Newest first. */
function keptVersions(): string[] {
  try {
    return readdirSync(keptFolder())
      .filter((name) => /^\d/.test(name))
      .sort((a, b) => compareVersions(b, a));
  } catch {
    return [];
  }
}

function origin(version: string): string {
  try {
    return readFileSync(join(keptFolder(), version, "origin"), "utf8").trim();
  } catch {
    return "origin unknown";
  }
}

function isOccupied(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOTEMPTY" || code === "EEXIST" || code === "EPERM";
}
