/** A refusal is fenced by no journal: who does not own an input for certain says nothing about it (law 6, EXEC-8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { reason } from "../../schemas/reason.ts";
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
