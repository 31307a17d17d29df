/** Brings the neighbours that are measured beside the plane into a folder of their own: no part of the plane uses them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "@restatedev/restate-server": "1.7.12",
  "@restatedev/restate-sdk": "1.17.2",
  "@restatedev/xstate": "0.5.2",
  xstate: "5.33.3",
  "@event-driven-io/emmett": "0.42.0",
  "@event-driven-io/emmett-postgresql": "0.42.0",
  pg: "8.23.1",
} as const;

export const FOLDER = join(import.meta.dirname, "..", "..", ".cache", "peers");

/** @throws Error when they cannot be had */
export function installPeers(): void {
  const manifest = `${JSON.stringify({ private: true, dependencies: PACKAGES }, undefined, 2)}\n`;
  const path = join(FOLDER, "package.json");
  if (textOf(path) === manifest && textOf(join(FOLDER, "done")) === manifest) return;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(path, manifest);
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: FOLDER, stdio: ["ignore", "ignore", "inherit"] });
  writeFileSync(join(FOLDER, "done"), manifest);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** One of the installed packages; what it exports is its own affair. */
export async function peer<T>(name: string): Promise<T> {
  const path = createRequire(join(FOLDER, "package.json")).resolve(name);
  return (await import(pathToFileURL(path).href)) as T;
}
