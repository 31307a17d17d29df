/** The parts of a coordinator by hand: what two of them do to one journal, in the order that a test wants. */
import { pino } from "pino";
import { actor } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { type InputKind, parseAggregateToken, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { type LoadResult, loadAggregate } from "../../services/coordinator/aggregates.ts";
import { type Arrival, readInput } from "../../services/coordinator/arrival.ts";
import { GroupCommitter, type Part } from "../../services/coordinator/committer.ts";
import type { FactSources } from "../../services/coordinator/facts.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { GuardView } from "../../services/coordinator/guard-view.ts";
import { Lane } from "../../services/coordinator/lanes.ts";
import { People } from "../../services/coordinator/people.ts";
import { Personal } from "../../services/coordinator/personal.ts";
import { type Turn, takeTurn } from "../../services/coordinator/turn.ts";
import type { PersonalMaster } from "../../services/identity/sealing.ts";
import { Validators } from "../../services/registry/validate.ts";
import { RegistryView } from "../../services/registry/view.ts";
import type { TestPlane } from "../harness/plane.ts";

export interface Rival {
  readonly publisher: Publisher;
  readonly committer: GroupCommitter;
  readonly journal: StreamReader;
  /** Folds the run, or what else has this token, and checks its chain. @throws Frozen, Diverged */
  load(token: string): Promise<LoadResult>;
  /** A lane of this aggregate as it stands, with these inputs waiting. */
  lane(token: string, ...arrivals: Arrival[]): Promise<Lane>;
  turn(lane: Lane, sources?: Partial<FactSources>): Turn;
  /** What the next batch would append. */
  part(turn: Turn): Part;
}

export async function rival(plane: TestPlane, nc: NatsConnection, timeoutMs = 5000, onTrouble?: (line: string) => void, master?: PersonalMaster): Promise<Rival> {
  const { ns } = plane;
  const publisher = new Publisher(nc, { timeoutMs });
  const journal = new StreamReader(nc, streamName("JOURNAL", ns));
  const registry = new RegistryView(ns, journal, new Documents(nc, publisher, ns));
  await registry.load();
  const people = new People(registry);
  const guard = new GuardView(ns, journal, people);
  await guard.load();
  const sources: FactSources = { registry, validators: new Validators(), judge: new PolicyJudge(), guard, people, personal: new Personal({ nc, ns, publisher, registry, master, log: pino({ level: "silent" }) }) };
  const log = onTrouble === undefined ? pino({ level: "silent" }) : pino({ level: "warn" }, { write: onTrouble });
  const load: Rival["load"] = (token) => {
    const { kind, name } = parseAggregateToken(token);
    return loadAggregate(journal, ns, kind, name);
  };
  return {
    publisher,
    journal,
    committer: new GroupCommitter(publisher, journal, log),
    load,
    lane: async (run, ...arrivals) => {
      const lane = new Lane(run);
      lane.loaded = (await load(run)).loaded;
      for (const arrival of arrivals) lane.push(arrival);
      return lane;
    },
    turn: (lane, more = {}) => {
      if (lane.loaded === undefined) throw new Error("the lane is not loaded");
      return takeTurn({ ...sources, ...more }, lane, lane.loaded, 256);
    },
    part: ({ lane, expected, events }) => ({ subject: lane.loaded?.subject ?? "", expected, events }),
  };
}

/** An input as INBOX or CONTROL would deliver it, stored at `time` (ms since the epoch). */
export function arrival(plane: TestPlane, kind: InputKind, from: string, run: string, body: object, time: number): Arrival {
  return delivered(subjects.input(plane.ns, kind, actor(from), run).replace(".in.", ".part.0."), body, time);
}

/** A message between aggregates, as CONTROL would deliver it. */
export function signal(plane: TestPlane, from: string, to: string, body: SignalInput, time: number): Arrival {
  return delivered(subjects.signal(plane.ns, from, to, body.name), body, time);
}

function delivered(subject: string, body: object, time: number): Arrival {
  const message: IntakeMessage = {
    subject,
    data: Buffer.from(JSON.stringify(body)),
    headers: new Map(),
    seq: 1,
    time,
    redelivered: false,
    deliveries: 1,
    generation: 1,
    inHand: true,
    reply: "",
    ack: () => undefined, setAside: () => undefined,
  };
  const read = readInput(message);
  if (!read.ok) throw new Error(JSON.stringify(read.reasons));
  return read.arrival;
}
