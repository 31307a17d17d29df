/** Runs npm from inside what npm itself may have started. */
import { spawn } from "node:child_process";
import { basename } from "node:path";

/**
 * @param {string[]} args
 * @param {string} cwd the folder whose package.json counts
 * @returns {Promise<{ code: number | null, output: string }>} `code` is null when npm cannot be started
 */
export function npm(args, cwd) {
  // Inside `npm run` its own program is known; elsewhere it is found on PATH. Other package managers set the same
  // variable, and are no npm.
  const own = process.env.npm_execpath;
  const direct = own && basename(own) === "npm-cli.js";
  const [command, first] = direct ? [process.execPath, [own]] : ["npm", []];
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, [...first, ...args], {
      cwd,
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
      shell: !direct && process.platform === "win32",
    });
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.once("error", (error) => resolve({ code: null, output: error.message }));
    child.once("close", (code) => resolve({ code, output }));
  });
}

/**
 * The environment without what the outer npm says of its own script and folder. A user's settings (`npm_config_…`)
 * stay, but for those that would send the work to another folder or leave packages out.
 */
function environment() {
  const dropped = /^npm_(?!config_)|^npm_config_(local_prefix|global_prefix|prefix|global|location|omit|only|production|dry_run|include|package|call|yes|workspace|workspaces)$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !dropped.test(name)));
  delete env.NODE_ENV; // `production` would leave out what the tests need
  delete env.INIT_CWD;
  return env;
}

/** The line of npm's output that says what went wrong. */
export function firstError(output) {
  const lines = output.split("\n").map((line) => line.trim()).filter(Boolean);
  const errors = lines.filter((line) => /^npm (err!|error)/i.test(line)).map((line) => line.replace(/^npm (err!|error)\s*/i, ""));
  return errors.find((line) => !/^(code|errno|syscall|path) /.test(line)) ?? errors[0] ?? lines.at(-1) ?? "npm said nothing";
}
