/** Loading an aggregate from the journal: fold, check the chain, complete what was torn. */
import { CURRENT_VERSION } from "../../machines/versions.ts";
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Aggregate, type ChainHead, EMPTY_CHAIN, type JournalEvent, chainLink, decodeEvent, seal } from "../bus/commit.ts";
import type { StreamReader } from "../bus/journal.ts";
import { type Computed, type Driven, MachineMissing, type StoredCommit, beginning, fold, recomputed } from "../replay/fold.ts";
import type { Part } from "./committer.ts";
import { Recent } from "./recent.ts";

export type Loaded = Aggregate & {
  /** Where its events are stored; of a run without any, once it is known in which segment it starts. */
  subject: string;
  segment?: number;
  /** The last event of the table of segments when it was looked for in all of them. */
  readonly looked?: number;
  head: ChainHead;
  /** Stream sequence of the aggregate's last event, 0 for none: the fence of its next commit. */
  streamSeq: number;
  /** Of a run as it was loaded: what its last inputs changed for its agent. */
  readonly recent: Recent;
} & Driven;

/** The journal holds, for this aggregate, what this plane did not write: it is frozen until a person looks (law 8). */
export class Frozen extends Error {
  override readonly name = "Frozen";
}

export interface LoadResult {
  readonly loaded: Loaded;
  /** The missing rest of a torn commit, to be stored before anything else. */
  readonly rest: Part | undefined;
}

/** Versions of machines at hand. */
export interface Machines {
  readonly plays: (version: string) => boolean;
  /** What a run begins with that has no event yet. It is recorded in its first, and holds until the run ends. */
  readonly newest: () => string;
}

const ALL: Machines = { plays: () => true, newest: () => CURRENT_VERSION };

/**
 * What is no run is driven alike by every version since, and begins with the first that did: so a release of before can
 * still read it when an upgrade is taken back. Whoever changes such a machine changes its line.
 */
const BEGINS: Partial<Record<AggregateKind, string>> = { ledger: "2", guard: "2", tool: "2", agent: "2", policy: "2", person: "2", issuer: "2", budget: "2" };

/** Where an aggregate is stored, as far as somebody knows, and what plays it. */
export interface Whereabouts {
  /** Of the journal; 1 when left out. */
  readonly segment?: number | undefined;
  /** The last event of the table of segments when it was looked for in all of them. */
  readonly looked?: number | undefined;
  /**
   * Position of a subject's first event: among a million subjects the server finds the beginning of one several times
   * faster when it is told where.
   */
  readonly first?: ((subject: string) => number | undefined) | undefined;
  readonly machines?: Machines | undefined;
}

/** @throws Frozen, MachineMissing, Diverged, EventMalformed, ReadError */
export async function loadAggregate(journal: StreamReader, ns: Namespace, kind: AggregateKind, name: string, where: Whereabouts = {}): Promise<LoadResult> {
  const { segment = 1, looked, first, machines = ALL } = where;
  const subject = subjects.log(ns, kind, name, segment);
  const events: JournalEvent[] = [];
  let head = EMPTY_CHAIN;
  let streamSeq = 0;
  const fromSeq = first?.(subject);
  const again = () => loadAggregate(journal, ns, kind, name, { segment, looked, machines });
  for await (const message of journal.read({ subject, segment, ...(fromSeq !== undefined && { fromSeq }) })) {
    const event = decodeEvent(message);
    const { seq, prev } = event.body;
    // an index that says where to begin may be wrong; the journal is not (law 4)
    if (events.length === 0 && seq !== 1 && fromSeq !== undefined) return again();
    if (events.length === 0 && !machines.plays(event.body.machine)) throw new MachineMissing(event.body.machine);
    if (seq !== head.seq + 1 || Buffer.compare(prev, head.prev) !== 0) {
      throw new Frozen(`event ${seq} at sequence ${message.seq} on \`${subject}\` does not follow event ${head.seq}`);
    }
    head = { seq, prev: chainLink(subject, message.data) };
    streamSeq = message.seq;
    events.push(event);
  }
  if (events.length === 0 && fromSeq !== undefined) return again();
  const recent = new Recent();
  const folded = fold(ns, kind, name, events, (before, stored, computed) => recent.note(before, stored, computed));
  const driven = folded?.state ?? beginning(ns, kind, name, BEGINS[kind] ?? machines.newest());
  const loaded: Loaded = { ns, name, subject, ...(segment > 1 && { segment }), ...(looked !== undefined && { looked }), head, streamSeq, recent, ...driven };
  const torn = folded?.torn;
  if (torn === undefined) return { loaded, rest: undefined };
  const computed = recomputed(driven, torn);
  recent.note(driven, torn, computed);
  return { loaded, rest: mend(loaded, torn, computed) };
}

/** Law 1 completes a torn commit: the same input, facts and journal give the same bytes. */
function mend(loaded: Loaded, torn: StoredCommit, computed: Computed): Part {
  const before: ChainHead = { seq: torn.first.seq - 1, prev: torn.first.prev };
  const { events, head } = seal(loaded, before, computed.content);
  torn.events.forEach((event, index) => {
    if (Buffer.compare(event.data, events[index]?.data ?? Buffer.alloc(0)) !== 0) {
      throw new Frozen(`event ${event.body.seq} on \`${loaded.subject}\` begins a commit that this plane would not write`);
    }
  });
  computed.apply();
  loaded.head = head;
  return { subject: loaded.subject, expected: loaded.streamSeq, events: events.slice(torn.events.length) };
}
