/** The streams of a namespace on a real server, and what of them reaches across the accounts. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { namespace } from "../../schemas/ids.ts";
import { STREAMS, streamName } from "../../schemas/subjects.ts";
import { headers, type NatsConnection } from "../../services/bus/connection.ts";
import { differences, provision, ProvisioningFailed, streamConfig } from "../../services/bus/streams.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const at = (rest: string) => `signalbox.default.${rest}`;

let server: TestServer;
let coordinator: NatsConnection;
before(async () => {
  server = await startTestServer();
  coordinator = await server.connect("coordinator", "c1");
});
after(() => server.stop());

test("provisioning again changes nothing, and the server keeps every field", async () => {
  const nc = await server.connect("provision", "p2");
  const created = async () =>
    Promise.all(
      STREAMS.map(async (kind) => {
        const info = await nc.request(`$JS.API.STREAM.INFO.${streamName(kind, NS)}`);
        const { config, created } = info.json<{ config: Record<string, unknown>; created: string }>();
        assert.deepEqual(differences(streamConfig(kind, NS), config), [], kind);
        return { config, created };
      }),
    );
  const first = await created();
  await provision(nc, NS);
  assert.deepEqual(await created(), first);
});

test("a field that the server left out or changed is found by comparison", () => {
  const wanted = streamConfig("JOURNAL", NS);
  const { allow_atomic: _, ...kept } = wanted;
  assert.deepEqual(differences(wanted, kept), ["allow_atomic"]);
  assert.deepEqual(differences(wanted, { ...wanted, deny_purge: false }), ["deny_purge"]);
  assert.deepEqual(differences(wanted, { ...wanted, subjects: [], sealed: false }), ["subjects"]);
});

test("a namespace whose account has no rights cannot be provisioned, and the error says which stream", async () => {
  const nc = await server.connect("provision", "p3");
  const taken = { ...streamConfig("JOURNAL", NS), name: streamName("INBOX", NS) };
  const answer = await nc.request(`$JS.API.STREAM.UPDATE.${streamName("INBOX", NS)}`, JSON.stringify(taken));
  assert.ok(answer.json<{ error?: object }>().error);
  await assert.rejects(provision(nc, NS, { replicas: 3 }), (error: unknown) => {
    assert.ok(error instanceof ProvisioningFailed);
    assert.match(error.message, /`INBOX_default`/);
    return true;
  });
});

test("CORE-5: the journal takes one event at an expected sequence, and refuses the next", async () => {
  const first = headers();
  first.set("Nats-Expected-Last-Subject-Sequence", "0");
  const publish = () => coordinator.request(at("log.run.7.alice_7"), "event", { headers: first, timeout: 2_000 });
  assert.equal((await publish()).json<{ error?: object }>().error, undefined);
  assert.equal((await publish()).json<{ error?: { err_code: number } }>().error?.err_code, 10071);
});

test("a full subject of the inbox refuses, and leaves other runs alone", async () => {
  const agent = await server.connect("agent", "flood");
  const limit = streamConfig("INBOX", NS)["max_msgs_per_subject"] as number;
  for (let i = 0; i < limit; i++) agent.publish(at("in.propose.flood.flood_1"), "{}");
  await agent.flush();
  const refused = await agent.request(at("in.propose.flood.flood_1"), "{}");
  assert.equal(refused.json<{ error?: { err_code: number } }>().error?.err_code, 10077);
  const other = await agent.request(at("in.propose.flood.flood_2"), "{}");
  assert.equal(other.json<{ error?: object }>().error, undefined);
});

test("a document stays as it was first stored", async () => {
  const hash = "c".repeat(64);
  await coordinator.request(at(`doc.${hash}`), "first");
  const again = await coordinator.request(at(`doc.${hash}`), "second");
  assert.equal(again.json<{ error?: { err_code: number } }>().error?.err_code, 10077);
  const kept = await coordinator.request(`$JS.API.DIRECT.GET.DOCUMENTS_default.${at(`doc.${hash}`)}`);
  assert.equal(kept.string(), "first");
});

test("EXEC-9: a timer fires once into its stream after a restart, and is gone when acknowledged", async () => {
  const timed = headers();
  timed.set("Nats-Schedule", `@at ${new Date(Date.now() + 1_500).toISOString()}`);
  timed.set("Nats-Schedule-Target", at("due.5.alice_1"));
  await coordinator.request(at("timer.5.alice_1.t"), "wake", { headers: timed, timeout: 2_000 });
  const consumer = { stream_name: "TIMERS_default", config: { durable_name: "due", ack_policy: "explicit", filter_subject: at("due.>") } };
  await coordinator.request("$JS.API.CONSUMER.CREATE.TIMERS_default.due." + at("due.>"), JSON.stringify(consumer));
  await server.restart();
  coordinator = await server.connect("coordinator", "c2");
  const due = await coordinator.request(
    "$JS.API.CONSUMER.MSG.NEXT.TIMERS_default.due",
    JSON.stringify({ batch: 1, expires: 5e9 }),
    // What a consumer delivers bears its own subject, by which a shared inbox would not know it.
    { timeout: 6_000, noMux: true },
  );
  assert.equal(due.string(), "wake");
  await coordinator.request(due.reply!, "+ACK");
  const info = await coordinator.request("$JS.API.STREAM.INFO.TIMERS_default");
  assert.equal(info.json<{ state: { messages: number } }>().state.messages, 0);
});

test("CORE-9: an agent hears what was stored for it, as it is stored, across the accounts", async () => {
  const agent = await server.connect("agent", "alice");
  const heard: string[] = [];
  const three = new Promise<void>((resolve) => {
    for (const subject of [at("out.alice.>"), at("rejected.alice")]) {
      agent.subscribe(subject, {
        callback: (_error, message) => {
          heard.push(`${message.subject} ${message.string()} ${message.headers?.get("Nats-Stream")}`);
          if (heard.length === 3) resolve();
        },
      });
    }
  });
  await agent.flush();
  await coordinator.request(at("out.bob.bob_1"), "not yours");
  await coordinator.request(at("out.alice.alice_1"), "one");
  await coordinator.request(at("rejected.alice"), "no");
  await coordinator.request(at("out.alice.bob_1"), "two");
  await three;
  assert.deepEqual(heard.toSorted(), [
    `${at("out.alice.alice_1")} one OUT_default`,
    `${at("out.alice.bob_1")} two OUT_default`,
    `${at("rejected.alice")} no REJECTED_default`,
  ]);
  const last = await agent.request(`$JS.API.DIRECT.GET.OUT_default.${at("out.alice.alice_1")}`);
  assert.equal(last.string(), "one");
});

test("CORE-6 CORE-9: an auditor reads two thousand events in one paged answer, and hears them live", async () => {
  const auditor = await server.connect("auditor", "otto");
  let live = 0;
  const all = new Promise<void>((resolve) => {
    auditor.subscribe(at("live.run.9.>"), {
      callback: () => {
        live += 1;
        if (live === 2_000) resolve();
      },
    });
  });
  const inbox = "_INBOX_auditor_otto.page";
  const page: string[] = [];
  const end = new Promise<string | undefined>((resolve) => {
    auditor.subscribe(inbox, {
      callback: (_error, message) => {
        if (message.headers?.code === 204) resolve(message.headers.get("Nats-Num-Pending"));
        else page.push(message.string());
      },
    });
  });
  await auditor.flush();
  for (let i = 0; i < 2_000; i++) coordinator.publish(at("log.run.9.alice_9"), String(i));
  await all;
  const request = { batch: 2_000, seq: 1, next_by_subj: at("log.run.9.>") };
  auditor.publish("$JS.API.DIRECT.GET.JOURNAL_default", JSON.stringify(request), { reply: inbox });
  assert.equal(await end, "0");
  assert.deepEqual(page, Array.from({ length: 2_000 }, (_, i) => String(i)));
});

test("CORE-4: a call reaches one instance of its tool, whose answer comes back across the accounts", async () => {
  const gateway = await server.connect("gateway", "g1");
  let calls = 0;
  for (const name of ["t1", "t2"]) {
    const tool = await server.connect("tool", name, "default", { tool: "stripe.refund" });
    tool.subscribe(at("call.stripe.refund"), {
      queue: "q",
      callback: (_error, message) => {
        calls += 1;
        message.respond("done");
      },
    });
    await tool.flush();
  }
  assert.equal((await gateway.request(at("call.stripe.refund"), "{}")).string(), "done");
  assert.equal(calls, 1);
  await assert.rejects(gateway.request(at("call.stripe.charge"), "{}"), /503/);
});
