/** The play of one capability, disturbed at one boundary, and held against the undisturbed one. */
import { type Boundary, UNANSWERED, place } from "./boundaries.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Capability, Written } from "./capability.ts";
import { type NormalForm, difference, endsForm, normalForms } from "./normal-form.ts";
import { stubborn } from "./patience.ts";
import type { Victim } from "./plane-child.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { READS } from "./tools.ts";
import type { Part, World } from "./world.ts";

export interface Undisturbed {
  readonly capability: Capability;
  /** By the journal's name in the capability. */
  readonly forms: Readonly<Record<string, NormalForm>>;
  readonly boundaries: readonly { readonly part: Part; readonly at: Boundary }[];
}

export interface Disturbance {
  readonly capability: string;
  /** `child`: the process whose boundary it is. */
  readonly victim: Victim;
  /** Whose boundary it is. */
  readonly part: Part;
  readonly at: Boundary;
  /** The life after a killed one dies as well, while it takes over: at so many crossings from its start. */
  readonly again?: number;
}

export const nameOf = ({ capability, part, at }: Disturbance) => `${capability}: ${part} ${place(at)}`;
/** With who dies, and when once more. */
export const storyOf = (one: Disturbance) =>
  `${nameOf(one)}: ${one.victim === "child" ? `the ${one.part} dies` : "the server dies"}${one.again === undefined ? "" : `, and its successor at crossing ${one.again} of taking over`}`;

let serials = 0;
const serial = () => `${process.pid.toString(36)}-${(++serials).toString(36)}`;

/** A capability's play as it goes when nobody dies, and every boundary that it crosses. */
export async function undisturbed(world: World, capability: Capability): Promise<Undisturbed> {
  for (const one of world.processes) await one.arm(undefined, "child");
  const name = serial();
  await capability.play(world, name);
  const boundaries: { part: Part; at: Boundary }[] = [];
  for (const [part, [process]] of world.parts) {
    for (const crossing of await process.trace()) boundaries.push(...boundariesAt(crossing).map((at) => ({ part, at })));
  }
  const forms: Record<string, NormalForm> = {};
  const types = new Set<string>();
  for (const [role, written] of Object.entries(capability.journals(name))) {
    const events = await eventsOf(world, written);
    for (const { body } of events) types.add(body.type);
    const { forms: found, detours } = formsOf(capability, events, written, name);
    if (detours.length > 0) throw new Error(`an undisturbed run lost an attempt: ${JSON.stringify(detours)}`);
    forms[role] = found[0] as NormalForm;
  }
  const missing = capability.events.filter((type) => !types.delete(type));
  if (missing.length > 0 || types.size > 0) throw new Error(`\`${capability.name}\` has no event of ${missing.join(", ") || "nothing"} more, and these are not listed: ${[...types].join(", ")}`);
  const wrong = await faults(world, capability, name, undefined);
  if (wrong.length > 0) throw new Error(`undisturbed: ${wrong.join("\n")}`);
  return { capability, forms, boundaries };
}

export const capabilityOf = (name: string): Capability => {
  const found = CAPABILITIES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no capability is called \`${name}\``);
  return found;
};

const eventsOf = async (world: World, { kind, name, part = (all) => [...all] }: Written): Promise<JournalEvent[]> => part(await world.journal(kind, name));

const formsOf = ({ same }: Capability, events: readonly JournalEvent[], { name }: Written, play: string): ReturnType<typeof normalForms> =>
  same === "ends" ? { forms: [endsForm(events, name, play)], detours: [] } : normalForms(events, name, play);

function boundariesAt(crossing: string): Boundary[] {
  const [, name = "", nth] = /^(.*) #(\d+)$/.exec(crossing) ?? [];
  const at = { name, nth: Number(nth) };
  return [{ ...at, side: "before" as const }, ...(UNANSWERED.has(name) ? [{ ...at, side: "after" as const }] : [])];
}

export interface Outcome {
  readonly faults: readonly string[];
  /** False when the play came to its end without crossing the boundary. */
  readonly reached: boolean;
  /** Attempts that the kill cost. */
  readonly detours: number;
}

/** Plays it with a death in it, and returns what is not as it was undisturbed. */
export async function disturb(world: World, expected: Undisturbed, { victim, at, again, part }: Disturbance): Promise<Outcome> {
  const name = serial();
  const { capability } = expected;
  const [process] = world.parts.get(part) ?? [];
  if (process === undefined) throw new Error(`no process runs \`${part}\` alone here`);
  const before = { child: world.deaths, server: world.serverDeaths };
  if (again !== undefined) process.armNext({ name: "*", nth: again, side: "before" });
  await process.arm(at, victim);
  try {
    await capability.play(world, name);
    // what has not been reached by now must not go off in the next play
    process.armNext(undefined);
    await process.arm(undefined, "child");
    const deaths = world.deaths - before.child;
    const reached = deaths + world.serverDeaths - before.server > 0;
    let detours = 0;
    const wrong = await faults(world, capability, name, expected, (count) => (detours += count));
    const allowed = victim === "server" ? 4 : deaths;
    if (detours > allowed) wrong.push(`${detours} attempts were lost by ${allowed} death(s)`);
    return { faults: wrong, reached, detours };
  } catch (error) {
    return { faults: [error instanceof Error ? error.message : String(error), ...(await story(world, capability, name))], reached: true, detours: 0 };
  }
}

async function faults(world: World, capability: Capability, play: string, expected: Undisturbed | undefined, lost: (count: number) => void = () => undefined): Promise<string[]> {
  const wrong: string[] = [];
  for (const [role, written] of Object.entries(capability.journals(play))) {
    const { kind, name } = written;
    const events = await eventsOf(world, written);
    const { forms, detours } = formsOf(capability, events, written, play);
    lost(detours.length);
    if (expected !== undefined) {
      const differences = forms.map((form) => difference(expected.forms[role] as NormalForm, form));
      if (!differences.includes(undefined)) wrong.push(`\`${name}\` is not as undisturbed; ${differences[0]}`);
      for (const { gateway, error } of detours) {
        const alive = gateway !== undefined && !world.isDead(gateway) && world.serverDeaths === 0;
        if (alive) wrong.push(`\`${name}\`: the attempt of \`${gateway}\`, which nobody killed, ended as \`${error}\``);
      }
    }
    const checked = await world.check(name, kind);
    if (checked?.replay.difference !== undefined) wrong.push(`\`${name}\` does not replay: ${JSON.stringify(checked.replay.difference)}`);
    if (checked?.verify.fault !== undefined) wrong.push(`\`${name}\` does not verify: ${JSON.stringify(checked.verify.fault)}`);
    if (written.part === undefined && checked?.replay.identical !== events.length) wrong.push(`\`${name}\`: ${checked?.replay.identical} of ${events.length} events replay`);
    if (kind === "run") wrong.push(...ledgerFaults(world, name, capability.effects[role] ?? []));
  }
  return wrong;
}

/** Each effect once, none without an action, no attempt called twice. */
function ledgerFaults({ ledger }: World, run: string, wanted: readonly string[]): string[] {
  const wrong = wanted.filter((step) => ledger.effects(run, step) !== 1).map((step) => `\`${run}\`: \`${step}\` took effect ${ledger.effects(run, step)} times`);
  const attempts = new Set<string>();
  for (const { tool, step, key, attempt } of ledger.callsOf(run)) {
    // a read may be repeated under the same attempt: it needs no claim
    if (READS.has(tool)) continue;
    if (!wanted.includes(step)) wrong.push(`\`${run}\`: \`${step}\` was called, and never approved`);
    if (attempts.has(`${key}/${attempt}`)) wrong.push(`\`${run}\`: attempt ${attempt} of \`${step}\` was called twice`);
    attempts.add(`${key}/${attempt}`);
  }
  return wrong;
}

/** What there is to see of a play that did not come to its end. */
async function story(world: World, capability: Capability, play: string): Promise<string[]> {
  const lines: string[] = [];
  for (const written of Object.values(capability.journals(play))) {
    const events = await stubborn(() => eventsOf(world, written)).catch(() => []);
    lines.push(`${written.name}: ${events.map(({ body }) => `${body.seq} ${body.type}`).join(", ")}`);
  }
  return lines;
}
