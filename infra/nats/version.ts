/** What a nats-server binary says of itself, and whether the plane can rest on it. */
import { runCommand } from "./command.ts";

/**
 * Atomic batches, scheduled messages and the batched direct get came with 2.12. Older servers ignore the headers
 * without a word, so that what looks stored is not (`services/bus/connection.ts` checks the running server again).
 */
const OLDEST = [2, 12] as const;
export const OLDEST_VERSION: string = OLDEST.join(".");

export type Inspected = { readonly version: string } | { readonly fault: string };

/** Asks the binary for its version. The fault is a clause about `path`: "is 2.9.10, needed is …", "cannot be run: …". */
export async function inspectServer(path: string): Promise<Inspected> {
  const outcome = await runCommand(path, ["--version"], { timeoutMs: 10_000 });
  if (outcome.code !== 0) return { fault: `cannot be run: ${outcome.trouble ?? `it ended with \`${outcome.code}\``}` };
  const version = /nats-server: v(\d+\.\d+\.\d+\S*)/.exec(outcome.output)?.[1];
  if (version === undefined) return { fault: "is no nats-server: it does not tell its version" };
  if (!isRecentEnough(version)) return { fault: `is \`${version}\`, needed is ${OLDEST_VERSION} or newer` };
  return { version };
}

export function isRecentEnough(version: string): boolean {
  return compareVersions(version, OLDEST_VERSION) >= 0;
}

/** Negative when `a` is older. Only major, minor and patch count. */
export function compareVersions(a: string, b: string): number {
  const left = numbers(a);
  const right = numbers(b);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return version.split(".").map((part) => Number.parseInt(part, 10));
}
