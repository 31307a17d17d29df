/** One scenario, disturbed at one boundary, and held against the undisturbed one. */
import { type Boundary, UNANSWERED, place } from "./boundaries.ts";
import { type NormalForm, difference, normalForms } from "./normal-form.ts";
import type { Victim } from "./plane-child.ts";
import { EFFECTS, play, runsOf } from "./script.ts";
import { type Part, type World, stubborn } from "./world.ts";

export interface Undisturbed {
  readonly forms: Readonly<Record<keyof ReturnType<typeof runsOf>, NormalForm>>;
  readonly boundaries: readonly { readonly part: Part; readonly at: Boundary }[];
}

export interface Disturbance {
  /** `child`: the process whose boundary it is. */
  readonly victim: Victim;
  /** Whose boundary it is; absent: of the one process that runs everything. */
  readonly part?: Part;
  readonly at: Boundary;
  /** The life after a killed one dies as well, while it takes over: at so many crossings from its start. */
  readonly again?: number;
}

export const partOf = ({ part }: Disturbance): Part => part ?? "services";
export const nameOf = (one: Disturbance) => `${partOf(one)} ${place(one.at)}`;
/** With who dies, and when once more. */
export const storyOf = ({ victim, at, again, part = "services" }: Disturbance) =>
  `${victim === "child" ? part : "server"} dies ${place(at)} of ${part}${again === undefined ? "" : `, and at crossing ${again} of taking over`}`;

let serials = 0;
const serial = () => `${process.pid.toString(36)}-${(++serials).toString(36)}`;

/** The scenario as it goes when nobody dies, and every boundary that it crosses. */
export async function undisturbed(world: World): Promise<Undisturbed> {
  // the first has everything to load that later ones find in memory
  await play(world, serial());
  for (const one of world.processes) await one.arm(undefined, "child");
  const name = serial();
  await play(world, name);
  const boundaries: { part: Part; at: Boundary }[] = [];
  for (const [part, [process]] of world.parts) {
    for (const crossing of await process.trace()) boundaries.push(...boundariesAt(crossing).map((at) => ({ part, at })));
  }
  const forms: Partial<Record<keyof Undisturbed["forms"], NormalForm>> = {};
  for (const [role, run] of Object.entries(runsOf(name))) {
    const { forms: found, detours } = normalForms(await world.events(run), run);
    if (detours.length > 0) throw new Error(`an undisturbed run lost an attempt: ${JSON.stringify(detours)}`);
    forms[role as keyof Undisturbed["forms"]] = found[0] as NormalForm;
  }
  const wrong = await faults(world, name, undefined);
  if (wrong.length > 0) throw new Error(`undisturbed: ${wrong.join("\n")}`);
  return { forms: forms as Undisturbed["forms"], boundaries };
}

function boundariesAt(crossing: string): Boundary[] {
  const [, name = "", nth] = /^(.*) #(\d+)$/.exec(crossing) ?? [];
  const at = { name, nth: Number(nth) };
  return [{ ...at, side: "before" as const }, ...(UNANSWERED.has(name) ? [{ ...at, side: "after" as const }] : [])];
}

export interface Outcome {
  readonly faults: readonly string[];
  /** False when the scenario came to its end without crossing the boundary. */
  readonly reached: boolean;
  /** Attempts that the kill cost. */
  readonly detours: number;
}

/** Plays the scenario with a death in it, and returns what is not as it was undisturbed. */
export async function disturb(world: World, expected: Undisturbed, { victim, at, again, part = "services" }: Disturbance): Promise<Outcome> {
  const name = serial();
  const [process] = world.parts.get(part) ?? [];
  if (process === undefined) throw new Error(`no process runs \`${part}\` alone here`);
  const before = { child: world.deaths, server: world.serverDeaths };
  if (again !== undefined) process.armNext({ name: "*", nth: again, side: "before" });
  await process.arm(at, victim);
  try {
    await play(world, name);
    // what has not been reached by now must not go off in the next scenario
    process.armNext(undefined);
    await process.arm(undefined, "child");
    const deaths = world.deaths - before.child;
    const reached = deaths + world.serverDeaths - before.server > 0;
    let detours = 0;
    const wrong = await faults(world, name, expected, (count) => (detours += count));
    const allowed = victim === "server" ? 4 : deaths;
    if (detours > allowed) wrong.push(`${detours} attempts were lost by ${allowed} death(s)`);
    return { faults: wrong, reached, detours };
  } catch (error) {
    return { faults: [error instanceof Error ? error.message : String(error), ...(await story(world, name))], reached: true, detours: 0 };
  }
}

async function faults(world: World, name: string, expected: Undisturbed | undefined, lost: (count: number) => void = () => undefined): Promise<string[]> {
  const wrong: string[] = [];
  const runs = runsOf(name);
  for (const [role, run] of Object.entries(runs) as [keyof typeof runs, string][]) {
    const events = await world.events(run);
    const { forms, detours } = normalForms(events, run);
    lost(detours.length);
    if (expected !== undefined) {
      const differences = forms.map((form) => difference(expected.forms[role], form));
      if (!differences.includes(undefined)) wrong.push(`\`${run}\` is not as undisturbed; ${differences[0]}`);
      for (const { gateway, error } of detours) {
        const alive = gateway !== undefined && !world.isDead(gateway) && world.serverDeaths === 0;
        if (alive) wrong.push(`\`${run}\`: the attempt of \`${gateway}\`, which nobody killed, ended as \`${error}\``);
      }
    }
    const checked = await world.check(run);
    if (checked?.replay.difference !== undefined) wrong.push(`\`${run}\` does not replay: ${JSON.stringify(checked.replay.difference)}`);
    if (checked?.verify.fault !== undefined) wrong.push(`\`${run}\` does not verify: ${JSON.stringify(checked.verify.fault)}`);
    if (checked?.replay.identical !== events.length) wrong.push(`\`${run}\`: ${checked?.replay.identical} of ${events.length} events replay`);
    wrong.push(...ledgerFaults(world, run, role));
  }
  return wrong;
}

/** Each effect once, none without an action, no attempt called twice. */
function ledgerFaults({ ledger }: World, run: string, role: string): string[] {
  const wanted: readonly string[] = EFFECTS[role as keyof typeof EFFECTS] ?? [];
  const wrong = wanted.filter((step) => ledger.effects(run, step) !== 1).map((step) => `\`${run}\`: \`${step}\` took effect ${ledger.effects(run, step)} times`);
  const attempts = new Set<string>();
  for (const { tool, step, key, attempt } of ledger.callsOf(run)) {
    if (tool !== "c.read" && !wanted.includes(step)) wrong.push(`\`${run}\`: \`${step}\` was called, and never approved`);
    // a read may be repeated under the same attempt: it needs no claim
    if (tool !== "c.read" && attempts.has(`${key}/${attempt}`)) wrong.push(`\`${run}\`: attempt ${attempt} of \`${step}\` was called twice`);
    attempts.add(`${key}/${attempt}`);
  }
  return wrong;
}

/** What there is to see of a scenario that did not come to its end. */
async function story(world: World, name: string): Promise<string[]> {
  const lines: string[] = [];
  for (const run of Object.values(runsOf(name))) {
    const events = await stubborn(() => world.events(run)).catch(() => []);
    lines.push(`${run}: ${events.map(({ body }) => `${body.seq} ${body.type}`).join(", ")}`);
  }
  return lines;
}
