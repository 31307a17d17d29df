/** What the README states in tables and lists is so. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { CONTEXTS } from "../../infra/plane.ts";
import { USAGE } from "../../infra/settings.ts";
import { EXIT } from "../../services/cli/exit.ts";
import { runCli } from "../../services/cli/main.ts";
import { SERVICES } from "../../services/main.ts";
import { Readable } from "node:stream";
import { quoted, table, text } from "./readme.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NAMES = /--[a-z-]+|\b(?:NATS|SIGNALBOX|OTEL|NO)_[A-Z_]+\b/g;

describe("the README's facts (OPS-1)", () => {
  it("lists the settings that `npm start` and the CLI take, all of them", async () => {
    const rows = table("option");
    const stated = new Set(rows.flatMap(([option = "", variable = ""]) => [...quoted(option), ...quoted(variable)].flatMap((word) => word.match(NAMES) ?? [])));
    const help = await helpOf([]);
    const known = new Set([...(USAGE.match(NAMES) ?? []), ...((/Environment:[\s\S]*?\n\n/.exec(help)?.[0] ?? "").match(NAMES) ?? [])]);
    for (const name of known) assert.ok(stated.has(name), `\`${name}\` is missing`);
    // read by the program, and not worth a line in its help
    const sources = ["infra/settings.ts", "infra/nats/cache.ts"].map((file) => readFileSync(join(ROOT, file), "utf8")).join();
    for (const name of stated) assert.ok(known.has(name) || sources.includes(`"${name}"`), `\`${name}\` does not exist`);
    for (const role of SERVICES) assert.ok(rows.find(([option]) => option?.includes("--roles"))?.[2]?.includes(`\`${role}\``), role);
  });

  it("lists the exit codes", async () => {
    const help = await helpOf([]);
    const rows = table("code");
    assert.deepEqual(rows.map(([code]) => Number(code)), Object.values(EXIT));
    for (const [code, meaning] of rows) assert.ok(help.includes(`${code} ${meaning}`), `${code} ${meaning}`);
  });

  it("lists the contexts that are written", () => {
    assert.deepEqual(
      table("context").map(([context = "", role]) => [quoted(context)[0], role]),
      CONTEXTS.map(({ context, role }) => [context, role]),
    );
  });

  it("names a test for each guarantee, and each exists", () => {
    for (const [guarantee, tests = ""] of table("guarantee")) {
      assert.ok(quoted(tests).length > 0, guarantee);
      for (const path of quoted(tests)) assert.ok(existsSync(join(ROOT, path)), path);
    }
  });

  it("links and mentions only files that are there", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)].map(([, path = ""]) => path);
    const mentions = [...text.matchAll(/`((?:infra|services|schemas|machines|test)\/[A-Za-z0-9_./-]+)`/g)].map(([, path = ""]) => path);
    for (const path of [...links, ...mentions]) assert.ok(existsSync(join(ROOT, path)), path);
  });

  it("has a place for the figures of the benchmark", () => {
    assert.match(text, /<!-- bench -->[\s\S]*<!-- \/bench -->/);
  });
});

async function helpOf(command: readonly string[]): Promise<string> {
  let out = "";
  const write = (piece: string) => (out += piece);
  await runCli([...command, "--help"], { env: {}, stdout: { write }, stderr: { write }, stdin: Readable.from([]), signal: new AbortController().signal });
  return out;
}
