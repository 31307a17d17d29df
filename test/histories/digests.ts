/**
 * SHA-256 of every recorded history, as it was checked in: what was recorded is never edited. Run by hand, for files that
 * are new; it refuses when one that is listed is another, or gone:
 *
 *     node test/histories/digests.ts
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { historyFolder, recordedVersions } from "./history.ts";

const LIST = new URL("digests.json", import.meta.url);

export type Digests = Readonly<Record<string, string>>;

/** Of each file that is there, by `v<version>/<name>.json`. */
export function digestsNow(): Digests {
  const found = recordedVersions().flatMap((version) =>
    readdirSync(historyFolder(version)).map((name) => [`v${version}/${name}`, createHash("sha256").update(readFileSync(new URL(name, historyFolder(version)))).digest("hex")] as const),
  );
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As they were checked in. */
export function digestsListed(): Digests {
  return JSON.parse(readFileSync(LIST, "utf8")) as Digests;
}

export interface Changed {
  readonly edited: string[];
  readonly gone: string[];
  /** There, and not listed. */
  readonly unlisted: string[];
}

export function changed(listed: Digests, now: Digests): Changed {
  return {
    edited: Object.keys(listed).filter((file) => now[file] !== undefined && now[file] !== listed[file]),
    gone: Object.keys(listed).filter((file) => now[file] === undefined),
    unlisted: Object.keys(now).filter((file) => listed[file] === undefined),
  };
}

if (import.meta.main) {
  const now = digestsNow();
  const { edited, gone, unlisted } = changed(digestsListed(), now);
  if (edited.length + gone.length > 0) throw new Error(`recorded histories are never edited: ${[...edited, ...gone].join(", ")}`);
  writeFileSync(LIST, `${JSON.stringify(now, null, 1)}\n`);
  console.log(unlisted.length === 0 ? "nothing is new" : `listed: ${unlisted.join(", ")}`);
}
