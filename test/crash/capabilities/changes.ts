/** A change of documents: a run of the plane's own agent, that a gateway carries out document by document. */
import { type Capability, contract } from "../capability.ts";
import { until } from "../patience.ts";
import { RUN_ENDS, stored } from "../script.ts";
import { definition } from "../tools.ts";

const run = (serial: string) => `signalbox-registry_${serial}`;
const tool = (serial: string) => `c.n${serial}`;
const team = (serial: string) => `t${serial}`;

export const CHANGES: Capability = {
  name: "changes of documents",
  documents: () => [],
  journals: (serial) => ({
    change: { kind: "run", name: run(serial) },
    tool: { kind: "tool", name: tool(serial) },
    agent: { kind: "agent", name: `n${serial}` },
    budget: { kind: "budget", name: `team.${team(serial)}` },
  }),
  play: async (world, serial) => {
    const values = [
      definition(tool(serial), "read", 1_000, 0),
      contract(`n${serial}`, [{ name: tool(serial) }], { team: team(serial) }),
      { budget: { scope: "team", name: team(serial), max_cost_usd_per_day: 1 } },
    ];
    const documents: object[] = [];
    for (const value of values) {
      const { kind, name, digest } = await stored(world, value);
      documents.push({ kind, name, document: digest });
    }
    await until(
      () => world.people.operator.send("apply", run(serial), { id: "change", documents }),
      async () => (await world.events(run(serial))).find(({ body }) => RUN_ENDS.has(body.type)),
      `the change \`${run(serial)}\`; ${JSON.stringify(world.people.operator.rejections.slice(-2))}`,
    );
  },
  effects: {},
  events: [
    "run.started", "run.completed", "tool.applied", "agent.applied", "budget.applied",
    "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified",
  ],
  same: "ends",
};
