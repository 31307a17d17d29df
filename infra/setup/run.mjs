/**
 * `node infra/setup/run.mjs <script.ts> [args…]`: makes sure of packages and Node, then runs the script.
 *
 * Plain JavaScript without dependencies, for any Node from 20 up: it runs before either is there. Never asks.
 */
import { runAndExit, scriptPath } from "./child.mjs";
import { ensureDependencies } from "./dependencies.mjs";
import { fail } from "./failure.mjs";
import { ensureNode } from "./node.mjs";

const say = (line) => console.error(`signalbox: ${line}`);
const [script, ...args] = process.argv.slice(2);

try {
  if (script === undefined) throw new Error("usage: node infra/setup/run.mjs <script.ts> [args…]");
  await ensureDependencies(scriptPath("."), say);
  const node = await ensureNode(say);
  await runAndExit(node, [scriptPath(script), ...args], { alone: true });
} catch (error) {
  fail(error);
}
