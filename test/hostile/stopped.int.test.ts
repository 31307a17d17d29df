/** Acting while stopped, after being revoked, and with a tool's token a second time (GUARD-9, ID-2, ID-4). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { actor } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus, headers } from "../../services/bus/connection.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { connect } from "../../services/client/index.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { revoke, whoOf } from "../../services/identity/revoke.ts";
import { openToolKey, toolJwks } from "../../services/identity/tool-keys.ts";
import { ToolTokens } from "../../services/identity/tool-token.ts";
import type { TestActor } from "../harness/plane.ts";
import { ALICE, MALLORY, type Town, asked, said, start, startTown } from "./town.ts";

let town: Town;
let operator: TestActor;
let second: TestActor;
before(async () => {
  town = await startTown();
  [operator, second] = [await town.operator("olga"), await town.operator("omar")];
});
after(() => town?.stop());

let ids = 0;
const GUARD = "guard:stops";
/** Stops or revokes, and resolves when it is acknowledged: stored in the guard's journal. */
async function stop(scope: string, verb: "stop" | "revoke" = "stop"): Promise<string> {
  const id = `g-${++ids}`;
  const heard = await guarded(operator, { verb, id, scope, reason: "because" });
  assert.match(heard, /^s\d+$/);
  return heard;
}
const lift = (stopped: string, by: TestActor = second) => guarded(by, { verb: "lift", id: `g-${++ids}`, stop: stopped, reason: "it is over" });

/** The stop's name once it is in the journal, or the codes by which it was refused. */
async function guarded(by: TestActor, body: { id: string; [field: string]: unknown }): Promise<string> {
  const live = operator.nc.subscribe(subjects.live(town.ns, "guard", "stops"));
  await operator.nc.flush();
  const known = by.rejections.length;
  const stored = (async () => {
    for await (const event of town.guard(live)) if (event.cause.id === body.id) return String(event.data["stop"]);
    return "";
  })();
  const refused = by.rejection((one) => one.id === body.id && by.rejections.indexOf(one) >= known).then(({ reasons }) => reasons.map(({ code }) => code).join(" "));
  await by.send("control", GUARD, body);
  const heard = await Promise.race([stored, refused]);
  live.unsubscribe();
  return heard;
}

for (const [what, scope] of [
  ["its name", `agent:${MALLORY}`],
  ["its version", `version:${MALLORY}@1.0.0`],
  ["its team", "team:town"],
  ["the tool", "tool:note.write"],
  ["its principal", "principal:https://issuer.test|kim"],
  ["everything", "all"],
] as const) {
  test(`GUARD-9 while stopped by ${what}, an agent's proposal is denied, and what waited for a gateway is not begun`, async () => {
    await town.gateway.stop(0);
    const run = await town.run();
    const heard = await town.mallory.hear("propose", run, { kind: "tool", id: "queued", tool: "note.write", input: { text: "queued" } }, {}, ({ status }) => status === "approved");
    assert.equal(heard.status, "approved");
    const stopped = await stop(scope);
    const before = town.effects.length;
    await town.startGateway();
    const failed = await town.mallory.answer(run, ({ id, final }) => id === "queued" && final);
    assert.equal(failed.status, "failed");
    assert.equal((failed.error as { effect: string }).effect, "none");
    assert.match(said(await town.call(run, "note.write", { text: "now" })), /^denied guard\.stopped/);
    assert.equal(town.effects.length, before);
    assert.equal(await lift(stopped), stopped);
    assert.equal((await town.call(run, "note.write", { text: "afterwards" })).status, "succeeded");
  });
}

test("GUARD-9 while stopped, no run is started, and no yes of a person helps", async () => {
  const run = await town.run();
  const waiting = await town.call(run, "pay.send", { to: "me", amount: 5000, currency: "USD" });
  const request = await asked(town, run, waiting.answer);
  const stopped = await stop(`agent:${MALLORY}`);
  const before = town.effects.length;
  const started = await town.mallory.hear("propose", `${MALLORY}_another`, start(MALLORY));
  assert.match(said(started), /^refused guard\.stopped/);
  const ann = await town.approver("ann");
  const known = ann.rejections.length;
  await ann.send("decide", run, { id: "yes", ...request, decision: "approve" });
  const refused = await ann.rejection((one) => ann.rejections.indexOf(one) >= known);
  assert.equal(refused.reasons[0]?.code, "guard.stopped");
  assert.equal(await lift(stopped), stopped);
  assert.equal(town.effects.length, before);
});

test("GUARD-9 a stop is lifted by another person than who made it, under whatever name", async () => {
  await town.approver("olga", { subject: "olga" });
  await town.approver("olga-two", { subject: "olga" });
  const stopped = await stop("tool:dear.call");
  assert.equal(await lift(stopped, operator), "guard.same_person");
  assert.equal(await lift(stopped, await town.operator("olga-two")), "guard.same_person");
  assert.equal(await lift(stopped), stopped);
});

test("ID-4 a tool's token is good once, for one input, at one tool: replayed, moved or made up it is refused", async () => {
  const key = await openToolKey(town.server.dataDir);
  const served: unknown[] = [];
  const { creds } = await town.server.issue("tool", "pays", town.ns, { tool: "served.pay" });
  const box = await connect({ url: town.server.url, creds, env: {} });
  await box.tool("served.pay", (input, { token }) => {
    served.push([input, token?.sub]);
    return { ok: true };
  }, { verifyTokens: toolJwks(key) });
  await town.applyValues([
    { name: "served.pay", description: "served", effect: "write", adapter: "nats", trusted: true, input: { type: "object" }, output: {}, timeout_ms: 5000 },
    { agent: { name: ALICE, owner: "owner", team: "town", purpose: "to be tried" }, tools: { allowlist: [{ name: "served.pay" }] } },
  ]);
  const nc = await town.server.connect("gateway", "g-tokens");
  const captured: { token: string; data: Uint8Array; all: Map<string, string> }[] = [];
  // somebody who listens in on the way: it is what one could steal at best
  const tapped = new Proxy(nc, {
    get(target, name) {
      if (name !== "request") {
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      }
      return (subject: string, data: Uint8Array, options: Parameters<typeof nc.request>[2]) => {
        const all = new Map<string, string>();
        for (const header of options?.headers?.keys() ?? []) all.set(header, options?.headers?.get(header) ?? "");
        if (subject === subjects.call(town.ns, "served.pay")) captured.push({ token: all.get(TOOL_HEADERS.token) ?? "", data, all });
        return target.request(subject, data, options);
      };
    },
  });
  const gateway = new Gateway({ nc: tapped, ns: town.ns, name: actor("g-tokens"), tokens: new ToolTokens(key, town.ns) });
  await town.gateway.stop(0);
  await gateway.start();
  const alice = await town.agent(ALICE);
  await alice.propose(`${ALICE}_1`, start(ALICE) as never);
  const done = await alice.propose(`${ALICE}_1`, { kind: "tool", id: "t", tool: "served.pay", input: { amount: 1 } });
  assert.equal(done.status, "succeeded", JSON.stringify(done));
  assert.deepEqual(served, [[{ amount: 1 }, "https://issuer.test|kim"]]);
  assert.equal(captured.length, 1);
  const [{ data, all }] = captured as [(typeof captured)[0]];
  const replay = async (change: Record<string, string | undefined> = {}, body: Uint8Array = data): Promise<string> => {
    const hdrs = headers();
    for (const [name, value] of Object.entries({ ...Object.fromEntries(all), ...change })) if (value !== undefined) hdrs.set(name, value);
    const reply = await nc.request(subjects.call(town.ns, "served.pay"), body, { headers: hdrs, timeout: 5000 });
    return reply.headers?.get("Nats-Service-Error-Code") ?? "done";
  };
  const fresh = (more: object = {}) =>
    new ToolTokens(key, town.ns).mint({ run: `${ALICE}_1` as never, action: "a2" as never, attempt: 1, tool: "served.pay" as never, body: data, digest: done.digest as never, principal: null, ttlMs: 5000, ...more });
  assert.equal(await replay(), "token.used");
  assert.equal(await replay({}, Buffer.from('{"amount":1000000}')), "token.input");
  assert.equal(await replay({ [TOOL_HEADERS.token]: undefined }), "token.missing");
  assert.equal(await replay({ [TOOL_HEADERS.token]: fresh({ tool: "pay.send" }) }), "token.tool");
  assert.equal(await replay({ [TOOL_HEADERS.token]: fresh({ ttlMs: -60_000 }) }), "token.expired");
  const stranger = await openToolKey(`${town.server.dataDir}/elsewhere`);
  assert.match(await replay({ [TOOL_HEADERS.token]: new ToolTokens(stranger, town.ns).mint({ run: `${ALICE}_1` as never, action: "a2" as never, attempt: 1, tool: "served.pay" as never, body: data, digest: done.digest as never, principal: null, ttlMs: 5000 }) }), /^token\.(key|signature)$/);
  assert.equal(served.length, 1);
  await gateway.stop(0);
  await box.close();
  await town.startGateway();
});

test("ID-2 revoked: the connection that is open is closed, the credential logs in no more, and what was sent before is refused", async () => {
  const run = await town.run();
  const { creds, inboxPrefix } = await town.server.issue("agent", MALLORY);
  const open = await connectBus({ url: town.server.url, name: "mallory", creds, inboxPrefix, reconnect: false });
  await open.flush();
  const closed = open.closed();
  await stop(`agent:${MALLORY}`, "revoke");
  const turned = await town.call(run, "web.read", { page: "x" });
  assert.match(said(turned), /^(turned away actor\.revoked|denied guard\.stopped)/);
  const who = whoOf(`agent:${MALLORY}` as never, town.ns);
  assert.ok(who);
  const result = await revoke(town.server.dataDir, who, { url: town.server.url, reason: "stolen" });
  assert.equal(result.pushed, true, result.problem);
  await closed;
  await assert.rejects(connectBus({ url: town.server.url, name: "mallory", creds, inboxPrefix, reconnect: false }));
  await assert.rejects(town.server.issue("agent", MALLORY), /revoked/);
});
