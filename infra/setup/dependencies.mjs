/** Installs the packages of package-lock.json when they are missing or no longer those. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache.mjs";
import { SetupFailure } from "./failure.mjs";
import { withLock } from "./lock.mjs";
import { firstError, npm } from "./npm.mjs";

/** @param {string} root the checkout */
export async function ensureDependencies(root, log) {
  if (isCurrent(root)) return;
  const name = createHash("sha256").update(root).digest("hex").slice(0, 16);
  await withLock(join(cacheFolder(), "locks", `packages-${name}`), async () => {
    if (isCurrent(root)) return; // another set-up did it while we waited
    log("installing the packages of package-lock.json");
    const { code, output } = await npm(["ci", "--no-audit", "--no-fund", "--include=dev", "--loglevel=error"], root);
    if (code !== 0) {
      throw new SetupFailure(
        `the packages could not be installed: ${firstError(output)}`,
        "check that the npm registry can be reached, and run `npm ci` here to see all that it says",
      );
    }
    linkOwnCommand(root);
    writeFileSync(stampFile(root), lockHash(root));
  });
}

/** The stamp lies in node_modules, so that whoever removes that folder removes it too. */
function stampFile(root) {
  return join(root, "node_modules", ".signalbox-stamp");
}

function isCurrent(root) {
  try {
    return readFileSync(stampFile(root), "utf8") === lockHash(root);
  } catch {
    return false;
  }
}

function lockHash(root) {
  return createHash("sha256").update(readFileSync(join(root, "package-lock.json"))).digest("hex");
}

/** npm links the commands of dependencies, not the package's own: this lets scripts and PATH users call it too. */
function linkOwnCommand(root) {
  const folder = join(root, "node_modules", ".bin");
  const link = join(folder, "signalbox");
  if (process.platform === "win32" || existsSync(link)) return;
  mkdirSync(folder, { recursive: true });
  symlinkSync("../../infra/setup/signalbox.mjs", link);
}
