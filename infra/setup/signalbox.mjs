#!/usr/bin/env node
/** The command `signalbox`: the set-up of run.mjs, silent when all is there, then the CLI. */
import module from "node:module";
import { compiledFolder } from "./cache.mjs";
import { runAndExit, scriptPath } from "./child.mjs";
import { ensureDependencies } from "./dependencies.mjs";
import { fail } from "./failure.mjs";
import { ensureNode } from "./node.mjs";

// Standard output belongs to the command: what set-up says goes beside it.
const say = (line) => console.error(`signalbox: ${line}`);
const script = scriptPath("services/cli/main.ts");

try {
  await ensureDependencies(scriptPath("."), say);
  const node = await ensureNode(say);
  if (node === process.execPath) {
    // In this process: a second one would double the time that a small command takes.
    process.argv[1] = script;
    module.enableCompileCache?.(compiledFolder());
    await import(new URL("../../services/cli/main.ts", import.meta.url).href);
  } else await runAndExit(node, [script, ...process.argv.slice(2)], { alone: false });
} catch (error) {
  fail(error);
}
