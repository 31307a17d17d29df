/** A copy of the journal, message by message: what was done to it shows (AUD-1, CORE-6). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { CURRENT_VERSION, type MachineVersion, machineVersion } from "../../machines/versions.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { checkMessages, Checks } from "../../services/replay/journal.ts";
import { Replayer } from "../../services/replay/replay.ts";
import { NS, OTHER_RUN, office, recorded, RUN } from "./recorded.ts";

const recorder = recorded();
const copy = recorder.of(RUN);

/** Sequences at which the chain breaks and at which the machine parts from the record. */
async function check(messages: readonly StoredMessage[]): Promise<{ readonly broken: number | undefined; readonly differs: number | undefined; readonly head: string }> {
  const checks = await checkMessages(NS, messages);
  const [checked] = checks.filter(({ verify }) => verify.name === RUN);
  assert.ok(checked);
  return { broken: checked.verify.fault?.seq, differs: checked.replay.difference?.seq, head: checked.verify.head };
}

test("AUD-1 CORE-6 a copy that nobody touched is intact and identical", async () => {
  const { broken, differs } = await check(copy);
  assert.deepEqual([broken, differs], [undefined, undefined]);
});

test("AUD-1 one flipped byte, anywhere in any event, is found; in the last event by whoever kept the head", async () => {
  const clean = await check(copy);
  for (const [index, message] of copy.entries()) {
    for (const part of [0.1, 0.5, 0.9]) {
      const data = Buffer.from(message.data);
      const at = Math.floor(data.length * part);
      data[at] = (data[at] ?? 0) ^ 1;
      const { broken, differs, head } = await check(copy.with(index, { ...message, data }));
      assert.notEqual(head, clean.head);
      if (index === copy.length - 1) continue;
      assert.notEqual(broken, undefined, `event ${index + 1}, byte ${at}`);
      assert.notEqual(differs, undefined, `event ${index + 1}, byte ${at}`);
    }
  }
});

test("AUD-1 a dropped, a doubled and an exchanged event are found where they stood", async () => {
  for (let index = 0; index < copy.length - 1; index++) {
    const message = copy[index] as StoredMessage;
    const next = copy[index + 1] as StoredMessage;
    const dropped = await check(copy.toSpliced(index, 1));
    assert.equal(dropped.broken, index + 2);
    assert.notEqual(dropped.differs, undefined);
    assert.equal((await check(copy.toSpliced(index, 0, message))).broken, index + 1);
    assert.equal((await check(copy.with(index, next).with(index + 1, message))).broken, index + 2);
  }
});

test("AUD-1 a tail that was cut off within a commit is found; one cut off between commits by whoever kept the head", async () => {
  const { head } = await check(copy);
  for (let length = 1; length < copy.length; length++) {
    const cut = await check(copy.slice(0, length));
    assert.notEqual(cut.head, head);
    const [index, count] = partOf(copy[length - 1] as StoredMessage);
    assert.equal(cut.differs !== undefined, index < count, `after event ${length}`);
  }
});

test("AUD-1 events of another run, and of the same run in another journal, do not fit in", async () => {
  const [stranger] = recorder.of(OTHER_RUN);
  assert.ok(stranger);
  const elsewhere = office();
  elsewhere.start(RUN);
  elsewhere.propose(RUN, "t1", "t.write", { amount: 1 });
  for (let index = 1; index < copy.length; index++) {
    const { subject } = copy[index] as StoredMessage;
    assert.equal((await check(copy.toSpliced(index, 0, { ...stranger, subject }))).broken, 1, "it names another run");
    const twin = elsewhere.of(RUN)[index];
    if (twin !== undefined) assert.notEqual((await check(copy.with(index, twin))).broken, undefined);
  }
});

test("AUD-1 a header that does not say what the body says is found", async () => {
  for (const [index, message] of copy.entries()) {
    for (const name of message.headers.keys()) {
      const { broken, differs } = await check(copy.with(index, { ...message, headers: new Map([...message.headers, [name, "x"]]) }));
      assert.deepEqual([broken, differs], [index + 1, index + 1], name);
    }
  }
});

test("CORE-6 checked as it comes, a commit that is not whole yet is no difference, and a run that differs is told once", async () => {
  const changed = recorder.messages.map((message) => {
    const data = Buffer.from(message.data);
    const at = message.subject.endsWith(RUN) ? data.indexOf("t.write") : -1;
    if (at >= 0) data.write("t.wrote", at);
    return { ...message, data };
  });
  for (const [messages, expected] of [[recorder.messages, []], [changed, [RUN]]] as const) {
    const checks = new Checks(NS);
    const told: string[] = [];
    for (const message of messages) {
      await checks.take(message);
      const found = checks.fresh(message);
      if (found !== undefined) told.push(found.name);
    }
    assert.deepEqual(told, expected);
  }
});

function partOf({ data }: StoredMessage): [number, number] {
  const at = Buffer.from(data).indexOf("part") + "part".length;
  return [data[at + 1] as number, data[at + 2] as number];
}

test("CORE-6 of a commit that the machine refuses, or fails at, its first event is named, with the type that was recorded there", () => {
  const events = copy.map(decodeEvent);
  const first = events.find(({ body }) => body.seq > 1 && body.part[0] === 1 && body.part[1] > 1) ?? assert.fail();
  const last = events.find(({ body }) => body.seq === first.body.seq + first.body.part[1] - 1) ?? assert.fail();
  assert.notEqual(first.body.type, last.body.type);
  const current = machineVersion(CURRENT_VERSION) as MachineVersion;
  const fails = () => {
    throw new Error("it failed");
  };
  for (const [decide, computed] of [[() => ({ kind: "refuse", reasons: [] }) as const, /the machine answers `refuse`/], [fails, /it failed/]] as const) {
    const machine: MachineVersion = { ...current, decide: (state, input, facts) => (state.seq === first.body.seq - 1 ? decide() : current.decide(state, input, facts)) };
    const replayer = new Replayer(NS, "run", RUN, { machine });
    for (const event of events) replayer.push(event);
    const { seq, field, recorded, computed: told } = replayer.report.difference ?? assert.fail();
    assert.deepEqual([seq, field, recorded], [first.body.seq, "event", first.body.type]);
    assert.match(String(told), computed);
  }
});
