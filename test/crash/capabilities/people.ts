/** Personal fields: sealed in every journal, opened for the tool alone, and for nobody once their subject was erased. */
import type { JournalEvent } from "../../../services/bus/commit.ts";
import { type Capability, contract } from "../capability.ts";
import { until } from "../patience.ts";
import { call, finish, start } from "../script.ts";
import { definition } from "../tools.ts";

const ERASURES = "erasure:subjects";
const text = { type: "string" };
const subject = (serial: string) => `customer-${serial}`;
const address = (serial: string) => `${serial}@planted.example`;

/** The request of this play, and what was done about the key that it names. */
function erasures(all: readonly JournalEvent[], serial: string): JournalEvent[] {
  const keys = new Set(all.filter(({ body }) => body.cause.id === `erase-${serial}`).map(({ body }) => body.data["key"]));
  return all.filter(({ body }) => keys.has(body.data["key"]));
}

export const PEOPLE: Capability = {
  name: "personal fields and erasure",
  documents: ({ timeoutMs, retries }) => [
    definition("c.mail", "write", timeoutMs, retries, {
      clearance: ["pii"],
      input: { type: "object", required: ["step", "to"], properties: { step: text, customer: text, to: text } },
      personal: [{ path: "to", subject: "customer" }],
    }),
    contract("postie", [{ name: "c.mail" }]),
  ],
  journals: (serial) => ({
    postie: { kind: "run", name: `postie_${serial}` },
    erasures: { kind: "erasure", name: "subjects", part: (all) => erasures(all, serial) },
  }),
  play: async (world, serial) => {
    const run = `postie_${serial}`;
    await start(world, run);
    await call(world, run, "c.mail", "sent", undefined, { customer: subject(serial), to: address(serial) });
    // where its gateway died before the call, a person did it by hand
    for (const { input } of world.ledger.callsOf(run)) if (input["to"] !== address(serial)) throw new Error(`the tool was given ${JSON.stringify(input)}`);
    await until(
      () => world.people.operator.send("control", ERASURES, { verb: "erase", id: `erase-${serial}`, subject: subject(serial), reason: "asked for" }),
      async () => erasures(await world.journal("erasure", "subjects"), serial).find(({ body }) => body.type === "erasure.completed"),
      `the erasure of \`${subject(serial)}\``,
    );
    await finish(world, run);
    for (const event of await world.events(run)) if (JSON.stringify(event.body).includes(address(serial))) throw new Error(`event ${event.body.seq} of \`${run}\` holds what is personal`);
  },
  effects: { postie: ["sent"] },
  events: [
    "run.started", "run.completed", "erasure.requested", "erasure.completed", "budget.reserved", "budget.settled",
    "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified",
  ],
};
