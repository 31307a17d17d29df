/** Finding a running plane: the data folder, and what `npm start` leaves in it. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Io } from "./io.ts";

/** `<data>/plane.json`, written by a plane while it runs. */
export interface PlaneFile {
  readonly url: string;
  readonly pid: number;
  readonly namespaces: readonly string[];
  readonly started_at: string;
  readonly version: string;
  /** Where it answers `/livez` and `/readyz`, when it was told to. */
  readonly health?: string;
}

/** SIGNALBOX_DATA, or `.signalbox` in the root of the checkout. */
export function dataFolder(env: Io["env"]): string {
  const given = env["SIGNALBOX_DATA"];
  return resolve(given === undefined || given === "" ? join(import.meta.dirname, "..", "..", ".signalbox") : given);
}

/** What a plane wrote; undefined when there is no file or it is not one. */
export async function readPlane(dataDir: string): Promise<PlaneFile | undefined> {
  try {
    const file = JSON.parse(await readFile(join(dataDir, "plane.json"), "utf8")) as Partial<PlaneFile>;
    return typeof file.url === "string" && typeof file.pid === "number" ? { namespaces: [], started_at: "", version: "", ...file } as PlaneFile : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process that wrote the file still runs. */
export function isAlive({ pid }: PlaneFile): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // it runs, and belongs to somebody else
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
