/** Runs a script as a child, so that one Ctrl-C is one signal and no child outlives this process. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { compiledFolder } from "./cache.mjs";

/** A terminal and npm each pass one key press on; within this time two signals are one. */
const SAME_KEY_PRESS_MS = 800;

/**
 * @param {string} node the Node to run with
 * @param {string[]} args script and arguments
 * @param {{ alone: boolean }} options `alone`: in a process group of its own, which the terminal's Ctrl-C does not
 *   reach, so that signals come from here only. Commands that ask questions stay in the terminal's group.
 * @returns {Promise<never>} ends this process as the child ended
 */
export function runAndExit(node, args, { alone }) {
  const own = alone && process.platform !== "win32";
  const child = spawn(node, ["--import", new URL("leash.mjs", import.meta.url).href, ...args], {
    // The fourth is the leash: it closes when this process ends, even by SIGKILL.
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: { NODE_COMPILE_CACHE: compiledFolder(), ...process.env, SIGNALBOX_LEASH: "3" },
    detached: own,
  });
  const last = new Map();
  const forward = (signal) => {
    const now = performance.now();
    if (now - (last.get(signal) ?? -Infinity) < SAME_KEY_PRESS_MS) return;
    last.set(signal, now);
    const fromTerminal = !own && signal === "SIGINT" && process.stdin.isTTY;
    if (!fromTerminal) child.kill(signal);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => forward(signal));
  return new Promise(() => {
    child.once("error", (error) => {
      console.error(`signalbox: \`${node}\` cannot be started: ${error.message}; remove it and try again`);
      process.exit(1);
    });
    child.once("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

export function scriptPath(relative) {
  return fileURLToPath(new URL(relative, new URL("../../", import.meta.url)));
}
