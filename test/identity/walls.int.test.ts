/**
 * Law 8: what an account holds, even against somebody who names a reply subject of his choice. An answer is
 * delivered with the server's rights, so permissions do not help; these tests show that the accounts do.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { encodeAccount, encodeUser, createAccount, createUser, fmtCreds } from "@nats-io/jwt";
import { namespace } from "../../schemas/ids.ts";
import { STREAMS, type StreamKind, streamName } from "../../schemas/subjects.ts";
import { connectBus, CredentialRefused, headers, type NatsConnection } from "../../services/bus/connection.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { SUBJECTS } from "./subjects.ts";

const NS = namespace("default");
const stranger = createAccount();
const at = (rest: string) => `signalbox.default.${rest}`;
const DOCUMENT = at(`doc.${"a".repeat(64)}`);
const GET_DOCUMENTS = "$JS.API.DIRECT.GET.DOCUMENTS_default";
/** What an operator would have an approver say. */
const FORGED = JSON.stringify({ id: "x", request: "q5", decision: "approve", digest: `sha256:${"0".repeat(64)}` });

let server: TestServer;
let coordinator: NatsConnection;
let agent: NatsConnection;
let approver: NatsConnection;
let operator: NatsConnection;
let auditor: NatsConnection;
/** What anybody heard who could be lied to. */
const heard: string[] = [];
let listeners: NatsConnection[];

before(async () => {
  server = await startTestServer({
    namespaces: ["default", "finance"],
    // Somebody else's account on the same server, signed by the same operator, that helps itself to imports.
    identity: async (identity, keys) => ({
      ...identity,
      accounts: [
        ...identity.accounts,
        {
          name: "STRANGER",
          publicKey: stranger.getPublicKey(),
          jwt: await encodeAccount(
            "STRANGER",
            stranger,
            {
              limits: { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: 0 },
              imports: [
                { name: "a", subject: at("in.propose.*.*"), type: "service", account: keys.agentsDoor.getPublicKey() },
                { name: "b", subject: at("live.>"), type: "stream", account: keys.plane.getPublicKey() },
              ],
            },
            { signer: keys.operator },
          ),
        },
      ],
    }),
  });
  coordinator = await server.connect("coordinator", "c1");
  agent = await server.connect("agent", "alice");
  approver = await server.connect("approver", "ann");
  operator = await server.connect("operator", "olga");
  auditor = await server.connect("auditor", "otto");
  const bob = await server.connect("agent", "bob");
  const gateway = await server.connect("gateway", "g1");
  const tool = await server.connect("tool", "t1", "default", { tool: "stripe.refund" });
  const subscriber = await server.connect("subscriber", "sue");
  const developer = await server.connect("developer", "dora", "default", { team: "payments" });
  listen(bob, "bob", at("out.bob.>"));
  listen(bob, "bob", at("rejected.bob"));
  listen(approver, "ann", at("rejected.ann"));
  listen(approver, "ann", at("event.approval.>"));
  listen(auditor, "otto", at("live.>"));
  listen(auditor, "otto", at("event.>"));
  listen(subscriber, "sue", at("event.>"));
  listen(developer, "dora", at("team.payments.>"));
  listen(gateway, "g1", at("grant.g1"));
  listen(tool, "t1", at("call.stripe.refund"), "q");
  listeners = [bob, approver, auditor, subscriber, developer, gateway, tool];
  await Promise.all(listeners.map((nc) => nc.flush()));
  await operator.request(DOCUMENT, FORGED);
  await coordinator.request(at("out.alice.alice_1"), FORGED);
  await coordinator.request(at("rejected.alice"), FORGED);
});
after(() => server.stop());
beforeEach(async () => {
  await fence();
  heard.length = 0;
});

/** Subjects at which something could be forged, started or read, by a reply that is named so. */
const REPLIES = [
  ...SUBJECTS.filter((subject) => !/[*>]/.test(subject) && !subject.startsWith("$JS.ACK") && !subject.startsWith("_")),
  at("in.decide.ann.alice_1"),
  at("event.approval.requested.alice_1"),
  at(`doc.${"b".repeat(64)}`),
];

test("CORE-1: an agent that names any plane subject as reply has nothing stored but its own proposals", async () => {
  const before = await fence();
  for (const reply of REPLIES) {
    agent.publish(at("in.propose.alice.alice_1"), FORGED, { reply });
    agent.publish(at("ask.alice.alice_1"), FORGED, { reply });
    agent.publish(`$JS.API.DIRECT.GET.OUT_default.${at("out.alice.alice_1")}`, "", { reply });
    agent.publish(`$JS.API.DIRECT.GET.REJECTED_default.${at("rejected.alice")}`, "", { reply });
  }
  await answered(agent, `$JS.API.DIRECT.GET.OUT_default.${at("out.alice.alice_1")}`);
  await answered(agent, `$JS.API.DIRECT.GET.REJECTED_default.${at("rejected.alice")}`);
  const after = await fence();
  assert.equal(after.INBOX - before.INBOX, REPLIES.length + 1, "its own proposals, and the fence");
  assertNothing(before, after, ["INBOX"]);
});

test("CORE-1: reply subjects that the server keeps for itself end the message, not the plane", async () => {
  const before = await fence();
  const reserved = ["$JS.ACK.INBOX_default.c.1.1.1.1.1", "_R_.abc.def", "_GR_.abc.def"];
  for (const reply of reserved) agent.publish(at("in.propose.alice.alice_1"), "{}", { reply });
  await agent.flush();
  assertNothing(before, await fence(), []);
});

test("no credential both proposes and decides: a fetched document does not become another's input", async () => {
  const before = await fence();
  for (const reply of REPLIES) {
    for (const nc of [operator, auditor]) {
      nc.publish(GET_DOCUMENTS, JSON.stringify({ seq: 1 }), { reply });
      nc.publish(GET_DOCUMENTS, JSON.stringify({ batch: 10, seq: 1 }), { reply });
      nc.publish(`${GET_DOCUMENTS}.${DOCUMENT}`, "", { reply });
      nc.publish(at("query.approvals"), "{}", { reply });
    }
  }
  for (const nc of [operator, auditor]) await answered(nc, `${GET_DOCUMENTS}.${DOCUMENT}`);
  assertNothing(before, await fence(), []);
});

test("an approver's acknowledgement does not become another approver's decision", async () => {
  const before = await fence();
  for (const reply of REPLIES) approver.publish(at("in.decide.ann.alice_1"), FORGED, { reply });
  const after = await fence();
  assert.equal(after.CONTROL - before.CONTROL, REPLIES.length + 1);
  assertNothing(before, after, ["CONTROL"]);
});

test("GUARD-7 GUARD-9: nobody but a coordinator speaks for a ledger or a run, and nobody but gateways for the plane's own actors", async () => {
  const before = await fence();
  const signals = [at("in.signal.ledger:team%2Ex%2E2026-11-21.alice_1.leased"), at("in.signal.alice_1.ledger:team%2Ex%2E2026-11-21.return"), at("in.signal.guard:stops.alice_1.x")];
  const own = [at("in.apply.signalbox-gateway.policy:default"), at("in.control.signalbox-registry.guard:stops"), at("in.decide.signalbox-gateway.alice_1")];
  const refused: string[] = [];
  const actors = { agent, approver, operator, auditor };
  for (const [who, nc] of Object.entries(actors)) {
    const status = nc.status();
    void (async () => {
      for await (const event of status) if (event.permissionContext?.operation === "publish") refused.push(who);
    })();
    for (const subject of [...signals, ...own]) nc.publish(subject, FORGED);
    await nc.flush();
    await new Promise((resolve) => setImmediate(resolve));
    (status as unknown as { stop(): void }).stop();
  }
  assert.deepEqual(refused, Object.keys(actors).flatMap((who) => [...signals, ...own].map(() => who)));
  assertNothing(before, await fence(), []);
  await coordinator.request(signals[0] as string, "{}");
  assert.equal((await fence()).CONTROL - before.CONTROL, 3, "the coordinator's own, and two fences");
});

test("CORE-1: message tracing reports to no subject that the sender may not publish to", async () => {
  const before = await fence();
  for (const dest of REPLIES) {
    const traced = headers();
    traced.set("Nats-Trace-Dest", dest);
    agent.publish(at("in.propose.alice.alice_1"), "{}", { headers: traced });
  }
  await agent.flush();
  const after = await fence();
  assert.ok(after.INBOX > before.INBOX);
  assertNothing(before, after, ["INBOX"]);
});

test("law 8: without any permission of its own, an account still reaches nothing but its imports", async () => {
  const unlimited = async (kind: "agents" | "tools") => {
    const user = createUser();
    const jwt = await encodeUser("mallory", user, server.keys.namespaces.get(NS)![kind], {});
    return connectBus({ url: server.url, name: "mallory", creds: fmtCreds(jwt, user), inboxPrefix: "_INBOX_mallory" });
  };
  const before = await fence();
  for (const kind of ["agents", "tools"] as const) {
    const mallory = await unlimited(kind);
    for (const subject of SUBJECTS) {
      if (/[*>]/.test(subject) || /\.(in\.propose|ask)\./.test(subject)) continue;
      if (kind === "tools" && subject.includes(".call.")) continue; // there, a tool may be any tool
      mallory.publish(subject, FORGED);
    }
    await mallory.flush();
    for (const verb of ["INFO", "STREAM.NAMES", "STREAM.INFO.JOURNAL_default", "STREAM.PURGE.JOURNAL_default"]) {
      await assert.rejects(async () => {
        const answer = await mallory.request(`$JS.API.${verb}`, "", { timeout: 300 });
        if (answer.json<{ error?: unknown }>().error) throw new Error("jetstream is not enabled for the account");
      }, `${verb} in ${kind}`);
    }
    await mallory.close();
  }
  assertNothing(before, await fence(), []);
});

test("CORE-9: nobody hears another's inbox, answers or feeds, whatever pattern they try", async () => {
  const tries = ["_INBOX.>", "_INBOX_approver_ann.>", "_INBOX_*.>", ">", "signalbox.>", at(">"), at("out.>"), at("out.bob.>"), at("live.>"), at("event.>"), at("log.>"), at("in.>"), at("ask.>"), at("call.>"), "$JS.>", "$KV.>", "$SRV.>", "$SYS.>", "_R_.>"];
  const refused: string[] = [];
  for (const subject of tries) {
    agent.subscribe(subject, { callback: (error) => void (error && refused.push(subject)) });
  }
  await agent.flush();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(refused.toSorted(), tries.toSorted());
});

test("a stranger's account on the same server, without activation, imports nothing", async () => {
  const user = createUser();
  const jwt = await encodeUser("stranger", user, stranger, {});
  const before = await fence();
  let nc: NatsConnection | undefined;
  try {
    nc = await connectBus({ url: server.url, name: "stranger", creds: fmtCreds(jwt, user), reconnect: false });
    listen(nc, "stranger", at("live.>"));
    nc.publish(at("in.propose.alice.alice_1"), FORGED);
    await nc.flush();
    await coordinator.request(at("log.run.5.alice_1"), "an event");
    await nc.flush();
    const after = await fence();
    assert.equal(after.INBOX - before.INBOX, 1, "the fence alone");
    assert.deepEqual(heard.filter((line) => line.startsWith("stranger")), []);
  } catch (error) {
    assert.ok(error instanceof CredentialRefused, "or the server does not take the account at all");
  } finally {
    await nc?.close();
  }
});

test("a credential that somebody else signed, or that has expired, is refused", async () => {
  const user = createUser();
  const jwt = await encodeUser("alice", user, createAccount(), {});
  await assert.rejects(connectBus({ url: server.url, name: "x", creds: fmtCreds(jwt, user) }), CredentialRefused);
  const late = await issueCreds(server.keys, { role: "agent", name: "alice", ns: NS, ttlSeconds: -60 });
  await assert.rejects(connectBus({ url: server.url, name: "x", creds: late.creds }), CredentialRefused);
  await assert.rejects(connectBus({ url: server.url, name: "x" }), CredentialRefused);
});

type Counts = Record<StreamKind, number>;

/** One legitimate message into every stream, and its last sequence after it: whatever was on its way has arrived. */
async function fence(): Promise<Counts> {
  await agent.request(at("in.propose.alice.fence"), "{}");
  await approver.request(at("in.decide.ann.fence"), "{}");
  for (const rest of ["log.run.1.fence", "out.fence.fence", "rejected.fence", "timer.1.fence.t", "dispatch.fence", "key.fence", "lease.share.fence"]) {
    await coordinator.request(at(rest), "{}");
  }
  fences += 1;
  await coordinator.request(at(`doc.fence${fences}`), "{}");
  const counts = {} as Counts;
  for (const kind of STREAMS) {
    const info = await coordinator.request(`$JS.API.STREAM.INFO.${streamName(kind, NS)}`);
    counts[kind] = info.json<{ state: { last_seq: number } }>().state.last_seq;
  }
  await Promise.all(listeners.map((nc) => nc.flush()));
  return counts;
}
let fences = 0;

function assertNothing(before: Counts, after: Counts, except: readonly StreamKind[]): void {
  for (const kind of STREAMS) {
    if (!except.includes(kind)) assert.equal(after[kind] - before[kind], 1, `${kind} holds more than the fence`);
  }
  assert.deepEqual(
    heard.filter((line) => !line.includes("fence")),
    [],
    "nobody heard anything forged",
  );
}

function listen(nc: NatsConnection, who: string, subject: string, queue?: string): void {
  nc.subscribe(subject, {
    ...(queue !== undefined && { queue }),
    callback: (error, message) => {
      // That nobody answers, the server tells the asker alone.
      if (!error && message.headers?.code === 503) return;
      heard.push(`${who} ${error?.message ?? message.subject}`);
    },
  });
}

/** An answer to a later request: the ones before it were given. */
async function answered(nc: NatsConnection, subject: string): Promise<void> {
  const answer = await nc.request(subject);
  assert.equal(answer.string(), FORGED);
}
