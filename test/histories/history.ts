/** A recorded journal: the stored bytes of one aggregate, from its first event. */
import { readdirSync, readFileSync } from "node:fs";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";

export interface History {
  readonly name: string;
  /** Version of the machines that wrote it. */
  readonly machine: string;
  readonly subject: string;
  /** Bodies as stored, base64. */
  readonly events: readonly string[];
}

export const historyFolder = (version: string) => new URL(`./v${version}/`, import.meta.url);
export const historyFile = (version: string, name: string) => new URL(`${name}.json`, historyFolder(version));

/** Versions that left histories. */
export function recordedVersions(): string[] {
  return readdirSync(new URL(".", import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.startsWith("v"))
    .map((entry) => entry.name.slice(1));
}

export function histories(version: string): History[] {
  return readdirSync(historyFolder(version))
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(new URL(name, historyFolder(version)), "utf8")) as History);
}

export function storedEvents({ subject, events }: History): JournalEvent[] {
  return events.map((text, index) =>
    decodeEvent({ subject, data: Uint8Array.from(Buffer.from(text, "base64")), headers: new Map(), seq: index + 1, time: 0 }),
  );
}
