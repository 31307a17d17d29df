import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ContextError, configHome, contextPath, identityOf, readContext } from "../../services/bus/context.ts";

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), "signalbox-context-"));
  await mkdir(join(home, "nats", "context"), { recursive: true });
});
after(() => rm(home, { recursive: true, force: true }));

async function put(name: string, contents: string): Promise<void> {
  await writeFile(contextPath(name, home), contents);
}

test("OPS-3: a context of the `nats` tool is read as the tool reads it", async () => {
  await put("full", JSON.stringify({ description: "d", url: "nats://h:1", creds: "/a/b.creds", inbox_prefix: "_INBOX_agent_x", token: "", user: "" }));
  const { path, ...context } = await readContext("full", home);
  assert.deepEqual(context, { name: "full", description: "d", url: "nats://h:1", creds: "/a/b.creds", inboxPrefix: "_INBOX_agent_x" });
  assert.equal(path, join(home, "nats", "context", "full.json"));
});

test("what a context leaves empty is absent, and its paths are whole", async () => {
  await put("home", JSON.stringify({ url: "", creds: "~/x.creds" }));
  const context = await readContext("home", home);
  assert.equal(context.url, undefined);
  assert.equal(context.creds, join(homedir(), "x.creds"));
});

test("a context that is not there, not JSON, or no name at all is one error that says which", async () => {
  await put("broken", "{");
  await assert.rejects(readContext("nowhere", home), (error) => error instanceof ContextError && error.message.includes("no context `nowhere`"));
  await assert.rejects(readContext("broken", home), (error) => error instanceof ContextError && error.message.includes("cannot be read"));
  await assert.rejects(readContext("../../etc/passwd", home), (error) => error instanceof ContextError && error.message.includes("no name"));
});

test("contexts are looked for in XDG_CONFIG_HOME, else below the home folder", () => {
  assert.equal(configHome({ XDG_CONFIG_HOME: "/x" }), "/x");
  assert.equal(configHome({ XDG_CONFIG_HOME: "" }), join(homedir(), ".config"));
});

test("a credential says whose it is; text that is none is refused without being quoted", () => {
  const claims = { nats: { tags: ["role:agent", "name:clerk", "ns:finance"], sub: { allow: ["_INBOX_agent_clerk.>"] } } };
  const token = ["{}", JSON.stringify(claims), "s"].map((part) => Buffer.from(part).toString("base64url")).join(".");
  const creds = `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n`;
  assert.deepEqual(identityOf(creds), { name: "clerk", role: "agent", namespace: "finance", inboxPrefix: "_INBOX_agent_clerk" });
  assert.throws(() => identityOf("SUSECRET"), (error) => error instanceof ContextError && !error.message.includes("SUSECRET"));
});
