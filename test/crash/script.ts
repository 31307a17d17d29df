/**
 * The scenario that is disturbed: every step waits for its end, so that an undisturbed run always leaves the same
 * journal. Whoever speaks repeats the same words under the same id until there is an answer, as the plane asks of them.
 */
import type { Answer } from "../../schemas/answer.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import type { TestActor } from "../harness/plane.ts";
import type { Behaviour } from "./tools.ts";
import { outputOf } from "./tools.ts";
import { type World, propose, until } from "./world.ts";

/** Runs of the scenario with this number. */
export const runsOf = (serial: string) => ({ clerk: `clerk_${serial}`, asker: `asker_${serial}`, cancelled: `asker_${serial}-c` });

/** Steps that do something to the world, by run: each exactly once. */
export const EFFECTS = { clerk: ["write", "flaky", "held"], asker: ["asked"] } as const;

export async function play(world: World, serial: string): Promise<void> {
  const { agents } = world.people;
  const clerk = agents.get("clerk") as TestActor;
  const asker = agents.get("asker") as TestActor;
  const runs = runsOf(serial);

  await start(clerk, runs.clerk);
  await call(world, clerk, runs.clerk, "c.read", "read");
  await call(world, clerk, runs.clerk, "c.write", "write");
  await propose(clerk, runs.clerk, { kind: "tool", id: "secret", tool: "c.secret", input: {} }, ({ status }) => status === "denied");
  await propose(clerk, runs.clerk, { kind: "tool", id: "unknown", tool: "c.nothing", input: {} }, ({ status }) => status === "rejected");
  await call(world, clerk, runs.clerk, "c.same", "flaky", ["fail", "ok"]);
  await control(world, runs.clerk, "pause", "run.paused");
  await propose(clerk, runs.clerk, toolBody("c.write", "held"), ({ status }) => status === "approved");
  await control(world, runs.clerk, "resume", "run.resumed");
  await call(world, clerk, runs.clerk, "c.write", "held");

  await start(asker, runs.asker);
  const asked = await propose(asker, runs.asker, toolBody("c.write", "asked"), ({ status }) => status === "pending");
  await decide(world, runs.asker, asked);
  await call(world, asker, runs.asker, "c.write", "asked");
  // nobody answers
  await propose(asker, runs.asker, toolBody("c.same", "lapsed"), ({ status }) => status === "denied");

  await start(asker, runs.cancelled);
  await propose(asker, runs.cancelled, toolBody("c.write", "never"), ({ status }) => status === "pending");
  await control(world, runs.cancelled, "cancel", "run.cancelled");
  // no journal takes this: it leaves a record
  await until(
    () => clerk.send("propose", `clerk_${serial}-x`, { kind: "note", id: "lost", text: "nobody started this" }),
    () => clerk.rejections.find(({ run }) => run === `clerk_${serial}-x`),
    "a note to no run",
  );
  await propose(clerk, runs.clerk, { kind: "note", id: "note", text: "all done" }, ({ final }) => final);
  await propose(clerk, runs.clerk, { kind: "finish", id: "finish", output: { ok: true } }, ({ final }) => final);
  await propose(asker, runs.asker, { kind: "finish", id: "finish" }, ({ final }) => final);
}

const start = (agent: TestActor, run: string) =>
  propose(agent, run, { kind: "start", id: "start", agent: { name: agent.name }, goal: "to survive" }, ({ final }) => final);

const toolBody = (tool: string, step: string, does?: readonly Behaviour[]) => ({
  kind: "tool",
  id: step,
  tool,
  input: { step, ...(does !== undefined && { does }) },
});

/** Proposes, and sees it through to success; what is in doubt is resolved by somebody who looks into the tool's ledger. */
async function call(world: World, agent: TestActor, run: string, tool: string, step: string, does?: readonly Behaviour[]): Promise<void> {
  const ended = ({ final, status }: Answer) => final || status === "in_doubt";
  const body = toolBody(tool, step, does);
  let answer = await propose(agent, run, body, ended);
  if (answer.status === "in_doubt") {
    const { action } = answer;
    // what was called has ended by now: the plane waited longer than the gateway did
    if (world.ledger.effects(run, step) === 0) world.ledger.byHand(run, step);
    await until(
      () => world.people.operator.send("control", run, { verb: "resolve", id: `resolve-${step}`, action, outcome: "succeeded", output: outputOf(step) }),
      () => agent.answers.find(({ run: of, id, final }) => of === run && id === step && final),
      `the resolution of ${step}`,
    );
    answer = await propose(agent, run, body, ({ final }) => final);
  }
  if (answer.status !== "succeeded") throw new Error(`step \`${step}\` of \`${run}\` ended as ${JSON.stringify(answer)}`);
}

async function control({ people, events }: World, run: string, verb: string, type: string): Promise<void> {
  await until(
    () => people.operator.send("control", run, { verb, id: `${verb}-1`, reason: "as planned" }),
    async () => (await events(run)).find(({ body }) => body.type === type),
    `${verb} of \`${run}\``,
  );
}

async function decide({ people, events }: World, run: string, { request }: Answer): Promise<void> {
  const asked = (await events(run)).find(({ body }) => body.type === "approval.requested" && body.data["request"] === request) as JournalEvent;
  await until(
    () => people.approver.send("decide", run, { id: `decide-${request}`, request, decision: "approve", digest: asked.body.data["digest"] }),
    async () => (await events(run)).find(({ body }) => body.type === "approval.granted"),
    `the approval of \`${run}\``,
  );
}
