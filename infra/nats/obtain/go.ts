/** The official module, built by the machine's own Go. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { lastLine, runCommand } from "../command.ts";
import { draftFolder, keep } from "./kept.ts";
import type { Found, Nothing } from "./source.ts";

const MODULE = "github.com/nats-io/nats-server/v2@v2.15.1";

/** Building it takes a minute or two on two cores, and a slow line comes on top. */
const BUILT_WITHIN_MS = 900_000;

export async function fromGo(log: (line: string) => void): Promise<Found | Nothing> {
  const go = await runCommand("go", ["version"], { timeoutMs: 10_000 });
  if (go.code !== 0) return { fault: `go install: go ${go.trouble ?? "does not run"}` };
  log(`building nats-server with \`go install ${MODULE}\`, this takes a few minutes`);
  const draft = draftFolder();
  try {
    // No digest is pinned here: the toolchain checks the module and all that it needs against the public checksum
    // database before it builds. Only where the binary goes is ours, the rest of the user's settings stays.
    const built = await runCommand("go", ["install", "-trimpath", MODULE], {
      timeoutMs: BUILT_WITHIN_MS,
      env: { ...process.env, GOBIN: draft },
      cwd: draft,
    });
    if (built.code !== 0) return { fault: `go install: ${lastLine(built)}` };
    return await keep(join(draft, process.platform === "win32" ? "nats-server.exe" : "nats-server"), "go install");
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
