/** A refusal is fenced by no journal: who does not own an input for certain says nothing about it (law 6, EXEC-8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, pino } from "pino";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { Admissions } from "../../services/coordinator/admission.ts";
import type { Origin } from "../../services/coordinator/arrival.ts";
import { Desk } from "../../services/coordinator/desk.ts";
import { Lanes } from "../../services/coordinator/lanes.ts";
import type { Outbox } from "../../services/coordinator/outbox.ts";

interface Said {
  readonly desk: Desk;
  readonly recorded: string[];
  readonly acknowledged: string[];
  readonly origin: Origin;
  inHand: boolean;
}

function desk(sure: () => Promise<boolean>): Said {
  const said = { recorded: [] as string[], acknowledged: [] as string[], inHand: true };
  const message: IntakeMessage = {
    subject: "signalbox.default.part.1.propose.clerk.clerk_1",
    data: new Uint8Array(),
    headers: new Map(),
    seq: 1,
    time: 0,
    redelivered: false,
    deliveries: 1,
    generation: 1,
    reply: "",
    get inHand() {
      return said.inHand;
    },
    ack: () => void said.acknowledged.push("it"),
    setAside: () => undefined,
  };
  const outbox = { reject: (_: Origin, [why]: readonly { code: string }[]) => Promise.resolve(void said.recorded.push(why?.code ?? "")) } as unknown as Outbox;
  return Object.assign(said, {
    desk: new Desk({ admissions: new Admissions(), lanes: new Lanes(), outbox, sure, log: pino({ level: "silent" }) }),
    origin: { message, kind: "propose", actor: "clerk", token: "clerk_1" } as const,
  });
}
const WHY = [reason("test.refused", "no")];

test("law 6: what is owned for certain is refused, recorded and acknowledged", async () => {
  const said = desk(() => Promise.resolve(true));
  await said.desk.refuse(said.origin, WHY, "i");
  assert.deepEqual([said.recorded, said.acknowledged], [["test.refused"], ["it"]]);
});

test("law 6 EXEC-8: what is another owner's by now is neither refused nor acknowledged", async () => {
  const said = desk(() => Promise.resolve(true));
  said.inHand = false;
  await said.desk.refuse(said.origin, WHY, "i");
  assert.deepEqual([said.recorded, said.acknowledged], [[], []]);
});

test("law 6 EXEC-8: while it is not certain who owns it nothing is said, and afterwards what is true then", async () => {
  for (const stillOwned of [true, false]) {
    const certain = Promise.withResolvers<boolean>();
    const said = desk(() => certain.promise);
    const refusing = said.desk.refuse(said.origin, WHY, "i");
    assert.deepEqual(said.recorded, []);
    said.inHand = stillOwned;
    certain.resolve(true);
    await refusing;
    assert.deepEqual([said.recorded, said.acknowledged], stillOwned ? [["test.refused"], ["it"]] : [[], []]);
  }
});

test("law 6: a coordinator that is stopped leaves what it would have refused to the next one", async () => {
  const said = desk(() => Promise.resolve(false));
  await said.desk.refuse(said.origin, WHY, "i");
  assert.deepEqual([said.recorded, said.acknowledged], [[], []]);
});

/** A desk with its lanes, and all that left it otherwise. */
function office(more: { broken?: boolean; careful?: (message: IntakeMessage) => IntakeMessage } = {}) {
  const records: { origin: Pick<Origin, "kind" | "actor" | "token">; codes: readonly unknown[]; id: string | undefined; count: number | undefined }[] = [];
  const logged: unknown[] = [];
  const lanes = new Lanes();
  const reject = ({ kind, actor, token }: Origin, reasons: readonly Reason[], id?: string, count?: number) => {
    if (more.broken) return Promise.reject(new Error("no answer"));
    records.push({ origin: { kind, actor, token }, codes: reasons, id, count });
    return Promise.resolve();
  };
  const log = { warn: (fields: unknown) => logged.push(fields), debug: (fields: unknown) => logged.push(fields) } as unknown as Logger;
  const made = new Desk({ admissions: new Admissions({ perSecond: 1, burst: 1 }), lanes, outbox: { reject } as unknown as Outbox, sure: () => Promise.resolve(true), log, ...(more.careful && { careful: more.careful }) });
  return { desk: made, lanes, records, logged };
}
/** At a time in ms: what was said of it afterwards. */
function sent(subject: string, body: unknown, time = 1_000_000) {
  const message = { subject, data: Buffer.from(JSON.stringify(body)), headers: new Map([["content-type", "application/json"]]), time, inHand: true, acknowledged: 0, ack: () => void message.acknowledged++ };
  return message as unknown as IntakeMessage & { readonly acknowledged: number };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));
const IN = "signalbox.default.part.2";
const FINISH = { id: "f1", kind: "finish", output: null };
const proposal = (time?: number) => sent(`${IN}.propose.clerk.clerk_1`, FINISH, time);
const OVER = { code: "quota.exceeded", help: "send more slowly, and repeat what was not answered" };

test("law 6: beyond its quota nothing of a sender is judged; one counted record says so, and the rest is counted in the next", async () => {
  const { desk: made, lanes, records } = office();
  const messages = [1, 2, 3, 4].map(() => proposal());
  made.take(messages);
  await settled();
  assert.deepEqual([lanes.lane("clerk_1").inbox.length, messages.map(({ acknowledged }) => acknowledged)], [1, [0, 1, 1, 1]]);
  const counted = (count: number) => ({ origin: { kind: "propose", actor: "clerk", token: "clerk_1" }, codes: [{ ...OVER, message: `\`clerk\` sent more than is admitted: ${count} input(s) were not judged` }], id: undefined, count });
  assert.deepEqual(records.splice(0), [counted(1)]);
  await made.recordRest();
  assert.deepEqual(records.splice(0), [counted(2)]);
  await made.recordRest();
  assert.deepEqual(records, []);
});

test("law 6: each kind of input of each sender has its own quota, wherever in its subject they stand", async () => {
  const { desk: made, records } = office();
  const other = (subject: string) => sent(subject, {});
  made.take([proposal(), other(`${IN}.decide.clerk.clerk_1`), other(`${IN}.propose.hasty.hasty_1`)]);
  await settled();
  assert.ok(records.every(({ count }) => count === undefined));
  made.take([other("signalbox.default.in.propose.clerk.clerk_2"), other("signalbox"), other("signalbox")]);
  await settled();
  const over = records.filter(({ count }) => count !== undefined).map(({ origin }) => origin);
  assert.deepEqual(over.slice(0, 1), [{ kind: "propose", actor: "clerk", token: "clerk_2" }]);
  assert.deepEqual(over.at(-1), { kind: "", actor: "", token: "" });
});

test("law 6 EXEC-8: reports and signals have no quota: what is counted and not recorded would be repeated", async () => {
  const { desk: made, records } = office();
  const messages = ["report.gateway.clerk_1", "signal.clerk_1.ledger:team.lease"].flatMap((what) => [1, 2, 3].map(() => sent(`${IN}.${what}`, {})));
  made.take(messages);
  await settled();
  assert.equal(records.length, messages.length, "they are read, and found to be none");
  assert.ok(records.every(({ count }) => count === undefined));
});

test("law 6: what is no input is refused under its id, with its reasons, and taken out of the stream", async () => {
  const { desk: made, lanes, records } = office();
  const wrong = sent(`${IN}.propose.clerk.clerk_1`, { ...FINISH, kind: "wish" });
  made.take([wrong]);
  await settled();
  assert.deepEqual([records.length, records[0]?.id, records[0]?.origin.token, wrong.acknowledged, lanes.size], [1, "f1", "clerk_1", 1, 0]);
  const [right] = [proposal(2_000_000)];
  made.take([right]);
  const arrival = lanes.lane("clerk_1").inbox[0];
  assert.ok(arrival);
  await made.refuseArrival(arrival, WHY);
  assert.deepEqual([records[1]?.id, records[1]?.codes, right.acknowledged], ["f1", WHY, 1]);
});

test("EXEC-8: what is admitted is acknowledged as its coordinator says", () => {
  const { desk: made, lanes } = office({ careful: (message) => ({ ...message, seq: 77 }) });
  made.take([proposal()]);
  assert.equal(lanes.lane("clerk_1").inbox[0]?.message.seq, 77);
});

test("law 6: a refusal that was not recorded stays in the stream; a count that was not is told to the operator", async () => {
  const { desk: made, logged } = office({ broken: true });
  const wrong = sent(`${IN}.propose.clerk.clerk_1`, {});
  made.take([wrong]);
  await settled();
  assert.deepEqual([wrong.acknowledged, logged.splice(0)], [0, [{ error: "Error: no answer" }]]);
  made.take([proposal()]);
  await settled();
  assert.deepEqual(logged, [{ error: "Error: no answer", actor: "clerk", count: 1 }]);
});
