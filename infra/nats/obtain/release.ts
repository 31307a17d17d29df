/** The archive that the NATS project releases, used only when its digest is the one written here. */
import { createHash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lastLine, runCommand } from "../command.ts";
import { draftFolder, keep } from "./kept.ts";
import type { Found, Nothing } from "./source.ts";

const VERSION = "2.15.0";
const RELEASES = "https://github.com/nats-io/nats-server/releases/download";

/**
 * SHA-256 of the archives, from the SHA256SUMS of the release. 2.15.0 and not the newest: of its digests there are
 * several independent records (those for Linux stand in the official container image), which agree. A platform
 * without such a record is left to the other sources. Change version and digests together.
 */
const DIGESTS: Readonly<Record<string, string>> = {
  "linux-amd64": "5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92",
  "linux-arm64": "cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112",
  "darwin-amd64": "5bd8b59ca5bf93fab3da2c5843cf564cd6e2e291e22ae3b861746e7ebe259b95",
  "darwin-arm64": "e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8",
};

const ANSWER_WITHIN_MS = 15_000;
const WHOLE_WITHIN_MS = 180_000;

export interface Release {
  readonly version: string;
  readonly base: string;
  readonly digests: Readonly<Record<string, string>>;
}

export function fromRelease(log: (line: string) => void): Promise<Found | Nothing> {
  return fetchRelease({ version: VERSION, base: RELEASES, digests: DIGESTS }, log);
}

/** Downloads, checks and keeps the server of a release for this platform. */
export async function fetchRelease(release: Release, log: (line: string) => void): Promise<Found | Nothing> {
  const source = `release ${release.version}`;
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const digest = release.digests[platform];
  if (digest === undefined) return { fault: `${source}: no digest is pinned for \`${platform}\`` };
  const stem = `nats-server-v${release.version}-${platform}`;
  log(`downloading nats-server ${release.version} from the project's release`);
  const draft = draftFolder();
  try {
    const archive = await download(`${release.base}/v${release.version}/${stem}.tar.gz`);
    const got = createHash("sha256").update(archive).digest("hex");
    if (got !== digest) return { fault: `${source}: the archive has the SHA-256 \`${got}\`, pinned is \`${digest}\`` };
    writeFileSync(join(draft, "archive.tar.gz"), archive);
    const args = ["-xzf", join(draft, "archive.tar.gz"), "-C", draft, "--strip-components=1", `${stem}/nats-server`];
    const unpacked = await runCommand("tar", args, { timeoutMs: 60_000 });
    if (unpacked.code !== 0) return { fault: `${source}: tar could not unpack it: ${lastLine(unpacked)}` };
    return await keep(join(draft, "nats-server"), source);
  } catch (error) {
    return { fault: `${source}: the download failed: ${reason(error)}` };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** A machine without a way out often drops packets silently: the first answer has its own, shorter limit. */
async function download(url: string): Promise<Uint8Array> {
  const silence = new AbortController();
  const limit = setTimeout(() => silence.abort(new Error(`no answer after ${ANSWER_WITHIN_MS / 1000} seconds`)), ANSWER_WITHIN_MS);
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([silence.signal, AbortSignal.timeout(WHOLE_WITHIN_MS)]) });
    clearTimeout(limit);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } finally {
    clearTimeout(limit);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return (cause ?? error.message).toLowerCase();
}
