/**
 * No secret in a journal, a log, a trace or an index: secrets are planted wherever a sender can put one, a whole plane
 * runs with them, and then every byte that it has left behind is searched.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { STREAMS, streamName } from "../../schemas/subjects.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { headers } from "../../services/bus/connection.ts";
import type { RunningServices } from "../../services/main.ts";
import type { TestActor, TestPlane } from "../harness/plane.ts";
import type { Collector } from "../telemetry/collector.ts";
import { type LoudPlane, startLoudPlane } from "../telemetry/loud-plane.ts";

const API_KEY = "sk_live_4eC39HqLyjWDarjtT1zdp7dcXqLm";
const AWS_KEY = "AKIAIOSFODNN7EXAMPLQ";
const AGENT = "clerk";

let plane: TestPlane;
let services: RunningServices;
let collector: Collector;
let agent: TestActor;
let approver: TestActor;
let operator: TestActor;
let loud: LoudPlane;
/** What must be found nowhere, by what it is. */
const planted = new Map<string, string>();
const toolTokens: string[] = [];

before(async () => {
  loud = await startLoudPlane();
  ({ plane, services, collector } = loud);
  const { server } = plane;
  const object = { type: "object" };
  const tool = (name: string, effect: string) => ({ name, description: name, effect, adapter: { type: "nats" }, timeout_ms: 5000, input: object, output: object });
  await plane.applyValues(
    [
      tool("shop.read", "read"),
      tool("shop.pay", "write"),
      { agent: { name: AGENT, owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: "shop.read" }, { name: "shop.pay", requires_approval: true }] } },
    ],
    '@id("all") permit (principal, action, resource);',
  );
  agent = await plane.agent(AGENT);
  approver = await plane.approver("ann");
  operator = await plane.operator("op");
  for (const name of ["shop.read", "shop.pay"]) serve(await server.connect("tool", name.replace(".", "-"), "default", { tool: name }), name);
});
after(async () => {
  await loud?.stop();
});

/** A tool that tells what it should not. */
function serve(nc: NatsConnection, name: string): void {
  nc.subscribe(`signalbox.default.call.${name}`, {
    queue: "q",
    callback: (_error, message) => {
      const token = message.headers?.get(TOOL_HEADERS.token);
      if (token) toolTokens.push(token);
      const { how } = JSON.parse(message.string() || "{}") as { how?: string };
      const said = headers();
      if (how === "fail") {
        said.set(TOOL_HEADERS.errorCode, "tool.broken");
        said.set(TOOL_HEADERS.error, `cannot log in with ${AWS_KEY} and ${API_KEY}`);
        said.set(TOOL_HEADERS.effect, "none");
        return void message.respond("", { headers: said });
      }
      message.respond(JSON.stringify({ ok: true, note: `the key is ${API_KEY}`, nested: [{ token: planted.get("principal's token") }], [`k ${AWS_KEY}`]: 1 }), { headers: said });
    },
  });
}

test("ID-3 ID-4 GUARD-10: planted secrets are in no journal, document, answer, refusal, index, log or trace", async (t) => {
  const { server, issuer } = plane;
  const now = Math.floor(Date.now() / 1000);
  const token = (run: string, claims = {}) => issuer.token({ agent: AGENT, run, claims });
  const good = token(`${AGENT}_1`, { jti: randomUUID() });
  plant("principal's token", good);
  plant("an api key", API_KEY);
  plant("a cloud key", AWS_KEY);
  const creds = (await server.issue("agent", AGENT)).creds;
  plant("an agent's credential", creds);
  const seed = /SU[A-Z2-7]{56}/.exec(creds)?.[0] ?? "";
  plant("the seed of a credential", seed);
  plant("the plane's own seed", new TextDecoder().decode(server.keys.plane.getSeed()));
  const secrets = [good, API_KEY, AWS_KEY, creds, seed, new TextDecoder().decode(server.keys.plane.getSeed())];

  // starts: with a token that holds, and with ones that do not
  const start = (run: string, jwt: string, more = {}) =>
    agent.hear("propose", run, { kind: "start", id: "s", agent: { name: AGENT }, goal: "g", ...more }, { headers: { "signalbox-principal": jwt } }, ({ final }) => final);
  assert.deepEqual((await start(`${AGENT}_1`, good)).codes, []);
  const bad: Record<string, string> = {
    "an expired token": token(`${AGENT}_2`, { exp: now - 5, iat: now - 60 }),
    "a token for another audience": token(`${AGENT}_2`, { aud: "else" }),
    "a token for another run": token(`${AGENT}_3`),
    "an unsigned token": issuer.token({ agent: AGENT, run: `${AGENT}_2`, sign: "none" }),
    "a token with its scheme": `Bearer ${token(`${AGENT}_2`, { jti: randomUUID() })}`,
  };
  let run = 20;
  for (const [what, jwt] of Object.entries(bad)) {
    plant(what, jwt);
    const heard = await start(`${AGENT}_${run++}`, jwt);
    assert.match(heard.codes.join(), /^principal\./, `${what}: ${JSON.stringify(heard)}`);
  }
  const asName = await start(`${AGENT}_${run++}`, seed);
  assert.match(asName.codes.join(), /^principal\./);

  // whatever a sender can say, with each secret in it
  const turnedAway = async (heard: ReturnType<TestActor["hear"]>, what: string) => {
    const { status, codes } = await heard;
    assert.ok(["turned away", "refused", "rejected"].includes(status), `${what}: ${status} ${codes.join()}`);
  };
  let n = 0;
  for (const secret of secrets) {
    const id = () => `i${++n}`;
    const home = `${AGENT}_1`;
    await turnedAway(start(`${AGENT}_${run++}`, token(`${AGENT}_${run - 1}`), { goal: `use ${secret}` }), "a goal");
    await turnedAway(agent.hear("propose", home, { kind: "tool", id: id(), tool: "shop.read", input: { note: secret } }), "an input");
    await turnedAway(agent.hear("propose", home, { kind: "tool", id: id(), tool: "shop.read", input: { deep: [{ [`x ${secret}`]: 1 }] } }), "a key of an input");
    await turnedAway(agent.hear("propose", home, { kind: "tool", id: id(), tool: "shop.read", input: {}, why: `because ${secret}` }), "a why");
    await turnedAway(agent.hear("propose", home, { kind: "note", id: id(), text: secret }), "a note");
    await turnedAway(agent.hear("propose", home, { kind: "finish", id: id(), output: { secret } }), "an output of a run");
    await turnedAway(operator.hear("control", home, { verb: "pause", id: id(), reason: secret }), "a reason to pause");
    await turnedAway(operator.hear("control", "guard:stops", { verb: "stop", scope: "tool:other", id: id(), reason: secret }), "a reason to stop");
    await turnedAway(agent.hear("propose", `${AGENT}_1`, JSON.parse(`{"id":"i${++n}","kind":"${secret.replaceAll("\n", " ").slice(0, 300)}"}`) as { id: string }), "no kind at all");
  }
  for (const id of [seed, API_KEY]) await turnedAway(agent.hear("propose", `${AGENT}_1`, { kind: "note", id, text: "x" }), "an id");

  // what a tool answers, and what a person says when asked
  const read = await agent.propose(`${AGENT}_1`, { kind: "tool", id: "read", tool: "shop.read", input: {} });
  assert.equal(read.status, "succeeded", JSON.stringify(read));
  // the same by way of the service that asks and waits, with a token as fresh
  const fresh = token(`${AGENT}_1`, { jti: randomUUID() });
  plant("a fresh token", fresh);
  const asked = headers();
  asked.set("signalbox-principal", fresh);
  asked.set("signalbox-wait", "result");
  const answer = await agent.nc.request(`signalbox.default.ask.${AGENT}.${AGENT}_1`, JSON.stringify({ kind: "tool", id: "asked", tool: "shop.read", input: {} }), { headers: asked, timeout: 10_000 });
  assert.match(answer.string(), /"status":"succeeded"/);
  const failed = await agent.propose(`${AGENT}_1`, { kind: "tool", id: "fail", tool: "shop.read", input: { how: "fail" } }, ({ final, status }) => final || status === "failed");
  assert.equal(failed.status, "failed");
  const heard = await agent.hear("propose", `${AGENT}_1`, { kind: "tool", id: "pay", tool: "shop.pay", input: { amount: 1 } });
  assert.equal(heard.status, "pending", JSON.stringify(heard));
  const { data } = (await plane.event(`${AGENT}_1`, "approval.requested")).body;
  const { request, digest } = data as { request: string; digest: string };
  for (const secret of secrets) {
    await turnedAway(approver.hear("decide", `${AGENT}_1`, { id: `d${++n}`, request, decision: "approve", digest, reason: `says ${secret}` }), "a reason to approve");
  }
  const paid = agent.answer(`${AGENT}_1`, ({ id, status }) => id === "pay" && status === "succeeded");
  await approver.send("decide", `${AGENT}_1`, { id: "yes", request, decision: "approve", digest });
  await paid;
  await agent.propose(`${AGENT}_1`, { kind: "finish", id: "end", output: { done: true } });
  await plane.event(`${AGENT}_1`, "run.completed");
  const reader = services.readers.get(plane.ns);
  assert.ok(await reader?.follower.current(5_000));
  assert.ok(toolTokens.length >= 3, "tools were called with tokens");
  for (const [i, toolToken] of toolTokens.entries()) plant(`a tool's token, ${i}`, toolToken);
  await services.stop();
  await server.restart();

  // an input is in the work queue until it is decided: nothing waits there, and nothing is in what stays
  const coordinator = await server.connect("coordinator", "count");
  for (const kind of STREAMS) {
    const info = await coordinator.request(`$JS.API.STREAM.INFO.${streamName(kind, plane.ns)}`);
    const { messages } = info.json<{ state: { messages: number } }>().state;
    if (kind === "INBOX" || kind === "CONTROL") assert.equal(messages, 0, `${kind} is empty`);
    else if (kind === "JOURNAL" || kind === "OUT" || kind === "REJECTED") assert.ok(messages > 0, `${kind} is not`);
  }
  const left = await everything(server.dataDir);
  left.set("log", Buffer.from(loud.log()));
  left.set("traces", Buffer.from(collector.requests.map(({ body }) => body).join("\n")));
  assert.ok(loud.log().length > 1000 && collector.requests.length > 0);
  // a search that finds nothing proves something only where it would find what is there
  const marked: Record<string, string> = { JOURNAL_: `${AGENT}_1`, OUT_: `${AGENT}_1`, REJECTED_: AGENT, DOCUMENTS_: "shop.pay", ".sqlite": `${AGENT}_1`, log: "level", traces: "shop.pay" };
  const blind = Object.entries(marked).filter(([part, mark]) => ![...left].some(([name, bytes]) => name.includes(part) && bytes.includes(mark)));
  assert.deepEqual(blind, []);
  const found = [...left].flatMap(([name, bytes]) => [...planted].filter(([, secret]) => bytes.includes(secret)).map(([what]) => `${what} in ${name}`));
  const [queues, kept] = [found.filter((line) => / in jetstream\/.*\/(INBOX|CONTROL)_/.test(line)), found.filter((line) => !/ in jetstream\/.*\/(INBOX|CONTROL)_/.test(line))];
  t.diagnostic(`searched ${left.size} files for ${planted.size} secrets; in files of the work queues, after they were emptied: ${queues.length}`);
  assert.deepEqual(kept, []);
});

/** A token or credential is also looked for in its parts: each alone would be enough to recognise it. */
function plant(what: string, secret: string): void {
  planted.set(what, secret);
  if (secret.startsWith("-----")) {
    for (const [i, line] of secret.split("\n").filter((one) => /^[A-Za-z0-9._-]{50,}$/.test(one) && !one.startsWith("---")).entries()) planted.set(`${what}, line ${i}`, line);
  } else if (secret.split(".").length === 3) {
    const [, body = "", signature = ""] = secret.split(".");
    planted.set(`${what}, claims`, body);
    if (signature.length > 0) planted.set(`${what}, signature`, signature);
  }
}

/** All files of a data folder but those that are there to hold secrets. */
async function everything(dataDir: string): Promise<Map<string, Buffer>> {
  const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
  const found = new Map<string, Buffer>();
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    const name = relative(dataDir, path);
    if (file.isFile() && !/^(keys|creds)\//.test(name)) found.set(name, await readFile(path));
  }
  return found;
}
