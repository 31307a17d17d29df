/** Steps of which the plays of capabilities are made. */
import type { Answer } from "../../schemas/answer.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { Documents } from "../../services/bus/documents.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { parseDocuments } from "../../services/registry/parse.ts";
import type { TestActor } from "../harness/plane.ts";
import { propose, stubborn, until } from "./patience.ts";
import { type Behaviour, outputOf } from "./tools.ts";
import type { World } from "./world.ts";

export const RUN_ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);

export const agentOf = ({ people }: World, run: string): TestActor => people.agents.get(run.slice(0, run.indexOf("_"))) as TestActor;

/** @returns the answer, which may be a refusal */
export const start = (world: World, run: string) => {
  const agent = agentOf(world, run);
  return propose(agent, run, { kind: "start", id: "start", agent: { name: agent.name }, goal: "to survive" }, ({ final }) => final);
};
export const finish = (world: World, run: string, output?: object) =>
  propose(agentOf(world, run), run, { kind: "finish", id: "finish", ...(output && { output }) }, ({ final }) => final);

export const toolBody = (tool: string, step: string, does?: readonly Behaviour[], more: object = {}) => ({
  kind: "tool",
  id: step,
  tool,
  input: { step, ...(does !== undefined && { does }), ...more },
});

/** Proposes, and waits until it stands like this. */
export const ask = (world: World, run: string, tool: string, step: string, status: Answer["status"], more: object = {}) =>
  propose(agentOf(world, run), run, toolBody(tool, step, undefined, more), (answer) => answer.status === status);

/** Proposes, and sees it through to success; what is in doubt is resolved by somebody who looks into the tool's ledger. */
export async function call(world: World, run: string, tool: string, step: string, does?: readonly Behaviour[], more: object = {}): Promise<Answer> {
  const agent = agentOf(world, run);
  const ended = ({ final, status }: Answer) => final || status === "in_doubt";
  const body = toolBody(tool, step, does, more);
  let answer = await propose(agent, run, body, ended);
  if (answer.status === "in_doubt") {
    await resolve(world, run, step, answer.action as string, () => agent.answers.find(({ run: of, id, final }) => of === run && id === step && final));
    answer = await propose(agent, run, body, ({ final }) => final);
  }
  if (answer.status !== "succeeded") throw new Error(`step \`${step}\` of \`${run}\` ended as ${JSON.stringify(answer)}`);
  return answer;
}

/** What was approved, and is proposed by nobody any more, takes its effect: somebody looks here as well if that is in doubt. */
export async function takesEffect(world: World, run: string, step: string): Promise<void> {
  const ends = async (type: string) => (await world.events(run)).find(({ body }) => body.type === type);
  const end = await until(() => Promise.resolve(), async () => (await ends("action.verified")) ?? (await ends("action.in_doubt")), `the effect of \`${step}\` of \`${run}\``);
  if (end.body.type === "action.in_doubt") await resolve(world, run, step, end.body.data["action"] as string, () => ends("action.verified"));
}

/** Somebody looks into the tool's ledger, does by hand what was not done, and says that it was. */
async function resolve(world: World, run: string, step: string, action: string, heard: () => unknown): Promise<void> {
  // what was called has ended by now: the plane waited longer than the gateway did
  if (world.ledger.effects(run, step) === 0) world.ledger.byHand(run, step);
  const send = () => world.people.operator.send("control", run, { verb: "resolve", id: `resolve-${step}`, action, outcome: "succeeded", output: outputOf(step) });
  await until(send, heard, `the resolution of ${step}`);
}

/** Waits for an event of a run; `send`: said again and again until it is there. */
export const recorded = (world: World, run: string, type: string, fits: (event: JournalEvent) => boolean = () => true, send: () => Promise<unknown> = () => Promise.resolve()) =>
  until(send, async () => (await world.events(run)).find((event) => event.body.type === type && fits(event)), `\`${type}\` of \`${run}\``);

export const control = (world: World, run: string, verb: string, type: string, id = `${verb}-1`) =>
  recorded(world, run, type, ({ body }) => body.cause.id === id, () => world.people.operator.send("control", run, { verb, id, reason: "as planned" }));

/** What an approver says of a request of the run: the first, or the one of this number. @returns the event that records it */
export async function decide(
  world: World,
  run: string,
  { by = world.people.approver, type = "approval.granted", nth = 1, ...more }: { by?: TestActor; type?: string; nth?: number; decision?: string; input?: object; standing?: object } = {},
): Promise<JournalEvent> {
  const requests = async () => (await world.events(run)).filter(({ body }) => body.type === "approval.requested");
  const asked = await until(() => Promise.resolve(), async () => (await requests())[nth - 1], `request ${nth} of \`${run}\``);
  const { request, digest } = asked.body.data as { request: string; digest: string };
  const id = `decide-${request}-${by.name}`;
  const body = { id, request, decision: "approve", digest, ...more };
  return recorded(world, run, type, ({ body: { cause } }) => cause.id === id, () => by.send("decide", run, body));
}

/** Stores a document and applies it, alone: as an operator does, to whom nobody answers. */
export async function applyOne(world: World, value: object, id: string): Promise<void> {
  const { kind, name, digest } = await stored(world, value);
  const aggregate = `${kind}:${name}`;
  await until(
    () => world.people.operator.send("apply", aggregate, { id, document: digest }),
    async () => (await world.journal(kind, name)).find(({ body }) => body.cause.id === id),
    `\`${aggregate}\` in force`,
  );
}

export async function stored(world: World, value: object) {
  const { documents, faults } = parseDocuments(JSON.stringify(value), "one.yaml");
  const [one] = documents;
  if (one === undefined || faults.length > 0) throw new Error(JSON.stringify(faults));
  const { nc } = world.people.operator;
  const store = new Documents(nc, new Publisher(nc), world.plane.ns);
  const digest = await stubborn(() => store.put(one.bytes, "application/json"));
  return { kind: one.kind, name: one.name, digest };
}
