/** Budgets: of a run, whose half pauses it, and of a team, in an account of the ledger that a run leases from by signals. */
import type { JournalEvent } from "../../../services/bus/commit.ts";
import { type Capability, contract } from "../capability.ts";
import { until } from "../patience.ts";
import { ask, call, control, finish, recorded, start } from "../script.ts";
import type { World } from "../world.ts";
import { FREELY } from "./calls.ts";

const CALLED = ["budget.reserved", "budget.settled", "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified"] as const;
const MAX_STEPS = 8;
const MAX_COST_MICRO_USD = 60_000;

/** Of one run: steps and money; at the half of its steps it waits for a person. */
export const RUN_BUDGETS: Capability = {
  name: "budgets of a run",
  documents: () => [
    contract("miser", FREELY, { budgets: { max_steps: MAX_STEPS, max_cost_usd_per_run: MAX_COST_MICRO_USD / 1e6 } }),
    contract("halved", FREELY, { budgets: { max_steps: 3, pause_at_half: true } }),
  ],
  journals: (serial) => ({ halved: { kind: "run", name: `halved_${serial}` } }),
  play: async (world, serial) => {
    const run = `halved_${serial}`;
    await start(world, run);
    await call(world, run, "c.write", "first");
    await ask(world, run, "c.write", "second", "approved");
    await recorded(world, run, "run.paused");
    await control(world, run, "resume", "run.resumed");
    await call(world, run, "c.write", "second");
    await call(world, run, "c.read", "third");
    await ask(world, run, "c.write", "fourth", "denied");
    await finish(world, run);
  },
  effects: { halved: ["first", "second"] },
  events: ["run.started", "run.paused", "run.resumed", "run.completed", ...CALLED, "action.denied", "budget.warned", "budget.exhausted"],
  agents: ["miser"],
  holds: (events, agent, say) => {
    if (agent === "miser") miserly(events, say);
  },
};

/** GUARD-6. */
function miserly(events: readonly JournalEvent[], say: (fault: string) => void): void {
  let [steps, settled, reserved] = [0, 0, 0];
  const exhausted = new Set(events.filter(({ body }) => body.type === "budget.exhausted" && body.data["budget"] === "steps").map(({ body }) => body.data["action"]));
  for (const { body } of events) {
    const money = (name: string) => body.data[name] as number;
    if (body.type === "action.proposed" && !exhausted.has(body.data["action"])) steps += 1;
    if (body.type === "budget.reserved") reserved += money("cost_micro_usd");
    if (body.type === "budget.settled") {
      reserved -= money("reserved_micro_usd");
      settled += money("cost_micro_usd");
    }
    if (settled + reserved > MAX_COST_MICRO_USD) say(`${settled + reserved} micro-USD at event ${body.seq}`);
  }
  if (steps > MAX_STEPS) say(`${steps} steps`);
}

/** An account is of a day: of the one on which its play began, also when that is over before anybody looks. */
const days = new Map<string, string>();
const today = () => new Date().toISOString().slice(0, 10);
const leased = (team: string, run: string, serial: string) => ({
  kind: "ledger" as const,
  name: `team.${team}.${days.get(serial) ?? today()}`,
  part: (all: readonly JournalEvent[]) => all.filter(({ body }) => body.cause.actor === run),
});

/** Of a team: one has enough, and leases; the other has less than any call may cost, and is refused. */
export const TEAM_BUDGETS: Capability = {
  name: "budgets of a team",
  documents: () => [
    { budget: { scope: "team", name: "funded", max_cost_usd_per_day: 1_000_000 } },
    { budget: { scope: "team", name: "broke", max_cost_usd_per_day: 0.005 } },
    contract("leaser", FREELY, { team: "funded" }),
    contract("pauper", FREELY, { team: "broke" }),
  ],
  journals: (serial) => ({
    leaser: { kind: "run", name: `leaser_${serial}` },
    pauper: { kind: "run", name: `pauper_${serial}` },
    funded: leased("funded", `leaser_${serial}`, serial),
    broke: leased("broke", `pauper_${serial}`, serial),
  }),
  play: async (world, serial) => {
    const [leaser, pauper] = [`leaser_${serial}`, `pauper_${serial}`];
    days.set(serial, today());
    await start(world, leaser);
    await call(world, leaser, "c.write", "paid");
    await call(world, leaser, "c.write", "paid-again");
    await finish(world, leaser);
    await returned(world, leaser);
    await start(world, pauper);
    await ask(world, pauper, "c.write", "unpaid", "denied");
    await finish(world, pauper);
    await returned(world, pauper);
  },
  effects: { leaser: ["paid", "paid-again"] },
  events: ["run.started", "run.completed", ...CALLED, "action.denied", "budget.requested", "budget.leased", "budget.exhausted", "budget.returned", "ledger.leased", "ledger.refused", "ledger.returned"],
  agents: ["leaser", "pauper"],
  holds: (events, agent, say) => {
    if (agent === "pauper" && events.some(({ body }) => body.type === "action.dispatched")) say("somebody without money was served");
    if (agent !== "leaser") return;
    const sum = (type: string, field: string) => events.filter(({ body }) => body.type === type).reduce((all, { body }) => all + (body.data[field] as number), 0);
    const [granted, spent, unused] = [sum("budget.leased", "granted"), sum("budget.settled", "cost_micro_usd"), sum("budget.returned", "unused")];
    if (spent + unused > granted) say(`${granted} were leased, ${spent} spent, and ${unused} given back`);
  },
};

/** A run that has ended gives back what it has left of every account that it leased from. */
async function returned(world: World, run: string): Promise<void> {
  await until(
    () => Promise.resolve(),
    async () => {
      const events = await world.events(run);
      const accounts = (type: string) => new Set(events.filter(({ body }) => body.type === type).map(({ body }) => body.data["ledger"]));
      const given = new Set(events.filter(({ body }) => body.type === "budget.returned" && body.data["last"] === true).map(({ body }) => body.data["ledger"]));
      return [...accounts("budget.leased")].every((one) => given.has(one)) ? true : undefined;
    },
    `what \`${run}\` gives back`,
  );
}
