import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, test } from "node:test";
import type { NatsConnection } from "nats";
import { namespace, runId } from "../../schemas/ids.ts";
import { patterns, subjects } from "../../schemas/subjects.ts";
import { Intake } from "../../services/bus/intake.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { Timers, readTimerPayload } from "../../services/bus/timers.ts";
import { PlainServer, addStream } from "./plain-server.ts";

const ns = namespace("default");
const run = runId("agent_1");
let server: PlainServer;
let nc: NatsConnection;
let timers: Timers;
const fired: { timer: string; armed: number; time: number; subject: string }[] = [];
const events = new EventEmitter();

before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  await addStream(nc, streamConfig("TIMERS", ns) as never);
  timers = new Timers(new Publisher(nc), ns);
  const intake = new Intake(nc, { stream: "TIMERS_default", consumer: "due", filter: patterns.dues(ns) });
  await intake.start((messages: IntakeMessage[]) => {
    for (const message of messages) {
      const payload = readTimerPayload(message.data);
      if (payload !== undefined) fired.push({ ...payload, time: message.time, subject: message.subject });
      message.ack();
    }
    events.emit("fired");
  });
});
after(() => server.stop());

async function firing(timer: string): Promise<(typeof fired)[number]> {
  for (;;) {
    const found = fired.find((one) => one.timer === timer);
    if (found !== undefined) return found;
    await once(events, "fired");
  }
}

test("EXEC-9: a timer fires on its run's due subject, not early and at most half a second late", async () => {
  const due = Date.now() + 400;
  await timers.arm(run, "step.1", due, { timer: "step.1", armed: 3 });
  const { time, armed, subject } = await firing("step.1");
  assert.deepEqual([armed, subject], [3, subjects.due(ns, run)]);
  assert.ok(time >= due - 1 && time <= due + 500, `${time - due} ms late`);
});

test("EXEC-9: a timer whose time has passed fires at once", async () => {
  const now = Date.now();
  await timers.arm(run, "past", now - 3_600_000, { timer: "past", armed: 1 });
  const { time } = await firing("past");
  assert.ok(time - now < 500, `${time - now} ms`);
});

test("EXEC-9: arming again moves the timer", async () => {
  await timers.arm(run, "moved", Date.now() + 300, { timer: "moved", armed: 1 });
  await timers.arm(run, "moved", Date.now() + 700, { timer: "moved", armed: 2 });
  const { armed } = await firing("moved");
  await timers.arm(run, "fence", Date.now(), { timer: "fence", armed: 1 });
  await firing("fence");
  assert.equal(armed, 2);
  assert.equal(fired.filter((one) => one.timer === "moved").length, 1);
});

test("EXEC-9: a timer fires after the server was killed in between", async () => {
  const due = Date.now() + 600;
  await timers.arm(run, "durable", due, { timer: "durable", armed: 7 });
  await server.kill();
  await server.run();
  const { time } = await firing("durable");
  assert.ok(time >= due - 1);
});

test("what is not a timer's payload is none", () => {
  for (const text of ["", "null", "[]", "{}", '{"timer":1,"armed":1}', '{"timer":"a","armed":1.5}', "\xff"]) {
    assert.equal(readTimerPayload(Buffer.from(text, "latin1")), undefined);
  }
});
