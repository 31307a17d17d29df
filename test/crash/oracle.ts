/** What must hold of anything that was played, whoever was killed. Returns what does not. */
import type { Answer } from "../../schemas/answer.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Played, Sent } from "./programs.ts";
import { type Call, DOES, READS } from "./tools.ts";
import type { World } from "./world.ts";

/** The server's stamps are cut to whole milliseconds. */
const STAMP_MS = 2;

interface Action {
  readonly id: string;
  readonly proposal: string;
  readonly tool: string;
  readonly events: JournalEvent[];
}

export async function judge(world: World, { runs, sent }: Played): Promise<string[]> {
  const wrong: string[] = [];
  const journals = new Map<string, JournalEvent[]>();
  for (const { run, agent, tools } of runs) {
    const events = await world.events(run);
    journals.set(run, events);
    const say = (text: string) => wrong.push(`\`${run}\`: ${text}`);
    const checked = events.length === 0 ? undefined : await world.check(run);
    if (checked?.replay.difference !== undefined) say(`does not replay: ${JSON.stringify(checked.replay.difference)}`);
    if (checked?.verify.fault !== undefined) say(`does not verify: ${JSON.stringify(checked.verify.fault)}`);
    const actions = actionsOf(events);
    calls(world, actions, run, say);
    for (const { holds } of CAPABILITIES) holds?.(events, agent.name, say);
    for (const id of tools.keys()) answers(agent.answers.filter((answer) => answer.run === run && answer.id === id), [...actions.values()].find(({ proposal }) => proposal === id), say);
  }
  wrong.push(...(await lost(world, journals, sent)));
  return wrong;
}

function actionsOf(events: readonly JournalEvent[]): Map<string, Action> {
  const actions = new Map<string, Action>();
  for (const event of events) {
    const { type, data } = event.body;
    const id = data["action"] as string | undefined;
    if (id === undefined) continue;
    if (type === "action.proposed") actions.set(id, { id, proposal: data["proposal"] as string, tool: data["tool"] as string, events: [] });
    actions.get(id)?.events.push(event);
  }
  return actions;
}

/** EXEC-7 and CORE-4: at most one execution, only of what was approved, only under a granted claim. */
function calls(world: World, actions: ReadonlyMap<string, Action>, run: string, say: (text: string) => void): void {
  const attempts = new Set<string>();
  for (const call of world.ledger.callsOf(run)) {
    const where = `attempt ${call.attempt} of \`${call.action}\` (${call.tool}, ${call.behaviour})`;
    const action = actions.get(call.action);
    if (action === undefined) {
      say(`${where} was called, and never proposed`);
      continue;
    }
    if (action.tool !== call.tool || action.proposal !== call.step) say(`${where} is \`${action.proposal}\` by \`${action.tool}\` in the journal`);
    const had = (type: string, fits: (event: JournalEvent) => boolean = () => true) =>
      action.events.some((event) => event.body.type === type && event.storedAt <= call.at + STAMP_MS && fits(event));
    if (!had("action.approved")) say(`${where} was called before it was approved`);
    if (!had("action.validated", ({ body }) => body.data["digest"] === call.digest)) say(`${where} was called with another digest than was judged`);
    if (!had("action.dispatched", ({ body }) => body.data["attempt"] === call.attempt)) say(`${where} was called before it was dispatched`);
    if (READS.has(call.tool)) continue;
    if (!had("action.started", ({ body }) => body.data["attempt"] === call.attempt)) say(`${where} was called without a claim`);
    if (attempts.has(`${call.action}/${call.attempt}`)) say(`${where} was called twice`);
    attempts.add(`${call.action}/${call.attempt}`);
  }
  for (const action of actions.values()) questions(world, action, run, say);
  for (const action of actions.values()) ledger(world, action, world.ledger.callsOf(run).filter((call) => call.action === action.id), run, say);
}

/** EXEC-7: a tool is asked of what is in doubt alone, and what is recorded of its answer is what it said. */
function questions(world: World, { id, events }: Action, run: string, say: (text: string) => void): void {
  const asked = world.ledger.questions.filter((one) => one.run === run && one.action === id);
  for (const { attempt, at } of asked) {
    const fits = events.some(({ body, storedAt }) => body.type === "action.probing" && body.data["attempt"] === attempt && storedAt <= at + STAMP_MS);
    if (!fits) say(`\`${id}\` was asked about before attempt ${attempt} was in doubt`);
  }
  for (const { body } of events) {
    if (body.type !== "action.probed") continue;
    const { attempt, found } = body.data as { attempt: number; found: string };
    if (found !== "done" && found !== "none") continue;
    if (!asked.some((one) => one.attempt === attempt && one.found === found)) say(`\`${found}\` is recorded of \`${id}\`, and its tool did not say so`);
  }
}

function ledger(world: World, { id, tool, proposal, events }: Action, called: readonly Call[], run: string, say: (text: string) => void): void {
  const end = events.findLast(({ body }) => body.type.startsWith("action."))?.body;
  const doubted = events.some(({ body }) => body.type === "action.in_doubt");
  const did = called.filter(({ behaviour }) => DOES.has(behaviour)).length;
  if ((tool === "c.write" || tool === "c.asked") && did > 1) say(`\`${id}\` took effect ${did} times`);
  if (world.ledger.effects(run, proposal) > 1) say(`\`${proposal}\` took effect more than once`);
  if (end === undefined || READS.has(tool)) return;
  if (end.to === "verified" && did === 0) say(`\`${id}\` is verified, and nothing was done`);
  if ((end.to === "denied" || end.to === "rejected") && called.length > 0) say(`\`${id}\` is ${end.to}, and was called`);
  const effect = (end.data["error"] as { effect?: string } | undefined)?.effect;
  if (end.to === "failed" && effect === "none" && did > 0) say(`\`${id}\` failed with no effect${doubted ? ", after a doubt" : ""}, and took effect`);
}

const ENDS: Readonly<Record<string, Answer["status"]>> = { verified: "succeeded", failed: "failed", rejected: "rejected", denied: "denied" };

/** A final answer is final, and the last one says what the journal says. */
function answers(heard: readonly Answer[], action: Action | undefined, say: (text: string) => void): void {
  const finals = new Set(heard.filter(({ final }) => final).map(({ status }) => status));
  if (finals.size > 1) say(`final answers differ: ${[...finals].join(", ")}`);
  if (action === undefined) return;
  const end = action.events.findLast(({ body }) => body.type.startsWith("action."))?.body;
  const wanted = ENDS[end?.to ?? ""];
  const last = heard.toSorted((a, b) => a.seq - b.seq).at(-1);
  if (wanted !== last?.status) say(`\`${action.id}\` is ${end?.to} in the journal, and its agent was told \`${last?.status}\``);
}

/** Every stored input has an event or a record of its refusal. */
async function lost(world: World, journals: ReadonlyMap<string, readonly JournalEvent[]>, sent: readonly Sent[]): Promise<string[]> {
  const caused = new Set<string>();
  for (const [run, events] of journals) for (const { body } of events) caused.add(`${run} ${body.cause.kind} ${body.cause.actor} ${body.cause.id}`);
  const refused = new Set<string>();
  for (const name of new Set(sent.map(({ actor }) => actor.name))) {
    for (const { run, kind, actor, id } of await world.rejections(name)) refused.add(`${run} ${kind} ${actor} ${id}`);
  }
  const inputs = new Set(sent.map(({ run, kind, actor, body }) => `${run} ${kind} ${actor.name} ${body.id}`));
  return [...inputs].filter((input) => !caused.has(input) && !refused.has(input)).map((input) => `lost: ${input}`);
}
