/** The data folder, and what this program is. */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeSecret } from "../services/identity/files.ts";
import { SettingsError } from "./settings.ts";

/** @throws SettingsError */
export async function writable(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const probe = join(dataDir, `.probe-${process.pid}`);
    await writeSecret(probe, "");
    await rm(probe);
  } catch (error) {
    throw new SettingsError(`the data folder \`${dataDir}\` cannot be written: ${(error as Error).message}`, "choose another with SIGNALBOX_DATA");
  }
}

export async function ownVersion(): Promise<string> {
  return (JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
