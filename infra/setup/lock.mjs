/**
 * One set-up at a time: two commands started together must not both run `npm ci` in one folder.
 *
 * Where the machine has `flock`, the kernel holds the lock on our open file and lets go of it when we die. Elsewhere
 * a file names its holder, and a file whose holder is gone (or that is older than any set-up) is taken over.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { SetupFailure } from "./failure.mjs";

const PATIENCE_SECONDS = 900;

/** Runs `work` while no other process holds the lock of this name. */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  const release = (await byKernel(path)) ?? (await byFile(`${path}.pid`));
  try {
    return await work();
  } finally {
    release();
  }
}

/** `flock` locks the open file that it inherits, so the lock stays with our descriptor when the command has ended. */
async function byKernel(path) {
  const fd = openSync(path, "a");
  const code = await new Promise((resolve) => {
    const flock = spawn("flock", ["-w", String(PATIENCE_SECONDS), "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
    flock.once("error", () => resolve(undefined));
    flock.once("exit", resolve);
  });
  if (code === 0) return () => closeSync(fd);
  closeSync(fd);
  if (code === 1) throw stuck(path);
  return undefined;
}

async function byFile(path) {
  for (let waited = 0; waited < PATIENCE_SECONDS * 1000; waited += 200) {
    try {
      writeFileSync(path, String(process.pid), { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isAbandoned(path)) {
      // Renaming decides between two that take over at once: only one of them moves the file away.
      const away = `${path}.${process.pid}`;
      try {
        renameSync(path, away);
        rmSync(away, { force: true });
      } catch {
        continue;
      }
    } else await wait(200);
  }
  throw stuck(path);
}

function isAbandoned(path) {
  try {
    const age = Date.now() - statSync(path).mtimeMs;
    if (age > PATIENCE_SECONDS * 1000) return true;
    const pid = Number(readFileSync(path, "utf8"));
    if (!pid) return age > 5_000; // created and not yet written
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function stuck(path) {
  return new SetupFailure(`another set-up holds \`${path}\` for ${PATIENCE_SECONDS} seconds`, "end it and try again");
}
