/**
 * What commits cost when others write too: the coordinator's own committer, in groups as it makes them, while a rival
 * takes the sequence of one commit in a hundred first. A refused batch does not say whose fault it was: every subject in
 * it is read back from the leader, and the rest is sent again.
 */
import { pino } from "pino";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { GroupCommitter, type Part } from "../../services/coordinator/committer.ts";
import { type Percentiles, hundredth, percentiles } from "./figures.ts";
import { NS, type World } from "./world.ts";

export interface Conflicts {
  /** Commits in one batch. */
  readonly group: number;
  readonly none: Rate;
  /** One commit in a hundred finds that somebody wrote first. */
  readonly one_percent: Rate;
  /** Time for a commit with conflicts, in parts of one without. */
  readonly cost_ratio: number;
  readonly faults: readonly string[];
}
interface Rate {
  readonly commits_per_s: number;
  /** From handing a group to the committer to its landing. */
  readonly ms: Percentiles;
  readonly conflicts: number;
}

const EVENTS = 4;
const COMMITS_A_RUN = 8;
const GROUP = 32;
const BODY = Buffer.alloc(700, 7);
const HEADERS = { "ce-specversion": "1.0", "ce-id": "r:1", "ce-type": "signalbox.note.recorded", "ce-source": "/signalbox/default", "ce-time": "2026-11-21T09:30:00.000Z", "content-type": "application/msgpack" };

/** @param world with nothing running but the server */
export async function measureConflicts(world: World, seconds: number): Promise<Conflicts> {
  const nc = await world.connect("coordinator", "bench-conflicts");
  const publisher = new Publisher(nc);
  const rival = new Publisher(await world.connect("coordinator", "bench-rival"));
  const committer = new GroupCommitter(publisher, new StreamReader(nc, streamName("JOURNAL", NS)), pino({ enabled: false }));
  const faults: string[] = [];
  const rates: [number[], number[]] = [[], []];
  const commits = [0, 0];
  const conflicts = [0, 0];
  let made = 0;
  const fresh = () => ({ subject: subjects.log(NS, "run", `rival_${++made}`), last: 0, commits: 0 });
  const runs = Array.from({ length: GROUP }, fresh);
  const events = (subject: string) => Array.from({ length: EVENTS }, () => ({ subject, headers: HEADERS, data: BODY }));
  const batch = async (kind: 0 | 1) => {
    const parts: Part[] = runs.map(({ subject, last }) => ({ subject, expected: last, events: events(subject) }));
    // by number and not by chance: the same for every run of the benchmark
    const overtaken = kind === 1 ? parts.filter((_, index) => (commits[1] as number + index) % 100 === 0) : [];
    await Promise.all(overtaken.map(({ subject }) => rival.publish(subject, BODY, HEADERS)));
    const began = performance.now();
    const landings = await committer.append(parts);
    rates[kind].push(performance.now() - began);
    for (const [index, landing] of landings.entries()) {
      const run = runs[index] as (typeof runs)[number];
      const wanted = overtaken.includes(parts[index] as Part) ? "moved" : "stored";
      if (landing.kind !== wanted) faults.push(`a commit that was to be \`${wanted}\` is \`${landing.kind}\``);
      if (landing.kind === "moved") conflicts[kind] = (conflicts[kind] as number) + 1;
      commits[kind] = (commits[kind] as number) + 1;
      run.commits += 1;
      if (landing.kind === "stored") run.last = landing.last;
      if (landing.kind !== "stored" || run.commits === COMMITS_A_RUN) Object.assign(run, fresh());
    }
  };
  // in turns, so that both meet the same weather
  for (const kind of [0, 1, 0, 1, 0, 1] as const) for (const until = performance.now() + (seconds * 1000) / 6; performance.now() < until; ) await batch(kind);
  committer.stop();
  publisher.close();
  rival.close();
  const rate = (kind: 0 | 1): Rate => {
    const total = rates[kind].reduce((sum, ms) => sum + ms, 0);
    return { commits_per_s: Math.round(((commits[kind] as number) * 1000) / total), ms: percentiles(rates[kind]), conflicts: conflicts[kind] as number };
  };
  const [none, one_percent] = [rate(0), rate(1)];
  return { group: GROUP, none, one_percent, cost_ratio: hundredth(none.commits_per_s / one_percent.commits_per_s), faults };
}
