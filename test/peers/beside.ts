/**
 * Neighbours on this machine, one after the other, each beside what of the plane comes nearest to it, all of them synced.
 *
 * What is compared is not the same, and {@link DOES} says so.
 */
import { measureCommits } from "./commits.ts";
import { measureEmmett } from "./emmett.ts";
import { installPeers } from "./install.ts";
import type { Rate } from "./load.ts";
import { STEPS, measureOwn } from "./own.ts";
import { measureRestate } from "./restate.ts";

export interface Beside {
  /** By the name of who does it; undefined for a neighbour that cannot be had here. */
  readonly figures: Readonly<Record<string, readonly Rate[] | undefined>>;
  /** Why a neighbour was not measured. */
  readonly missing: readonly string[];
}

/** Each pair in the table, and what each of the two does and does not do. */
export const PAIRS: readonly { readonly what: string; readonly own: readonly [key: string, title: string]; readonly other: readonly [key: string, title: string]; readonly own_does: string; readonly other_does: string }[] = [
  {
    what: `${STEPS} steps in sequence, durable`,
    own: ["signalbox_runs", `Signalbox: runs of ${STEPS} governed actions`],
    other: ["restate_handlers", `Restate: handlers of ${STEPS} steps`],
    own_does: "each action is validated, judged by 20 policies, claimed by a gateway in front of a write, carried out there, checked, recorded as seven events in a chain, and answered to an agent on another connection; some twenty inputs a run, two for a read and three for a write",
    other_does: "each step is a function called in the handler's own process, and its result recorded; nothing is judged, claimed or chained; one HTTP request a handler",
  },
  {
    what: "transitions of a state machine, durable",
    own: ["signalbox_transitions", "Signalbox: notes"],
    other: ["restate_xstate", "@restatedev/xstate: events sent to a machine"],
    own_does: "an agent's input is stored, applied by XState charts, stored as an event in a chain, and answered; the same input again changes nothing",
    other_does: "an event is sent to one machine's keyed object over HTTP, applied by XState, and the snapshot stored",
  },
  {
    what: "commits of four events, each to a stream of its own with its expected version",
    own: ["signalbox_commits", "Signalbox: the coordinator's committer"],
    other: ["emmett", "Emmett on PostgreSQL: appendToStream"],
    own_does: "commits that wait together are stored as one atomic batch, each with its own expected sequence",
    other_does: "each commit is a transaction of its own, with projections possible inside it; `synchronous_commit` on",
  },
];

/** @param seconds for each load */
export async function measureBeside(seconds: number, binary: string, say: (line: string) => void): Promise<Beside> {
  const missing: string[] = [];
  const figures: Record<string, readonly Rate[] | undefined> = {};
  const { runs, transitions } = await measureOwn(seconds, binary);
  figures["signalbox_runs"] = runs;
  figures["signalbox_transitions"] = transitions;
  figures["signalbox_commits"] = await measureCommits(seconds);
  const attempt = async (name: string, work: () => Promise<Record<string, readonly Rate[]>>) => {
    try {
      installPeers();
      Object.assign(figures, await work());
    } catch (error) {
      missing.push(`${name} was not measured: ${(error as Error).message}`);
      say(missing.at(-1) as string);
    }
  };
  await attempt("Restate", async () => {
    const restate = await measureRestate(seconds);
    return { restate_handlers: restate.handlers, restate_xstate: restate.transitions };
  });
  await attempt("Emmett", async () => ({ emmett: await measureEmmett(seconds) }));
  return { figures, missing };
}

/** In Markdown, with what each does and does not do below it. */
export function besideTable({ figures, missing }: Beside): string {
  const rows = ["| | at a time | a second | p50 ms | p99 ms |", "|---|---|---|---|---|"];
  for (const { own, other } of PAIRS) {
    for (const [key, title] of [own, other]) {
      for (const { at_a_time, per_s, ms } of figures[key] ?? []) rows.push(`| ${title} | ${at_a_time} | ${per_s} | ${ms.p50} | ${ms.p99} |`);
    }
  }
  const does = PAIRS.flatMap(({ own, other, own_does, other_does }) => [`- ${own[1]}: ${own_does}.`, `- ${other[1]}: ${other_does}.`]);
  return [...rows, "", ...does, ...missing.map((line) => `- ${line}`)].join("\n");
}
