/** Replays and verifies what a journal holds: one aggregate, or everything. */
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import { parseLog, patterns, subjects } from "../../schemas/subjects.ts";
import { EventMalformed, type JournalEvent, decodeEvent } from "../bus/commit.ts";
import type { StoredMessage, StreamReader } from "../bus/journal.ts";
import { ChainVerifier, type ReplayReport, Replayer, type VerifyReport } from "./replay.ts";

export interface Checked {
  readonly replay: ReplayReport;
  readonly verify: VerifyReport;
}

/** One aggregate; undefined when the journal has none of that name. */
export async function checkAggregate(journal: StreamReader, ns: Namespace, kind: AggregateKind, name: string): Promise<Checked | undefined> {
  const [checked] = await checkMessages(ns, journal.read({ subject: subjects.log(ns, kind, name) }));
  return checked;
}

/** Every aggregate of the namespace, in the order of its first event. */
export function checkAll(journal: StreamReader, ns: Namespace): Promise<Checked[]> {
  return checkMessages(ns, journal.read({ subject: patterns.log(ns), pageSize: 2000 }));
}

/** Any sequence of stored messages in stream order: a journal, a copy of it, an export. */
export async function checkMessages(ns: Namespace, messages: AsyncIterable<StoredMessage> | Iterable<StoredMessage>): Promise<Checked[]> {
  const checks = new Map<string, Check>();
  for await (const message of messages) {
    const address = parseLog(message.subject);
    if (address === undefined) continue;
    let check = checks.get(message.subject);
    if (check === undefined) {
      check = { replay: new Replayer(ns, address.kind, address.name), verify: new ChainVerifier(address.kind, address.name), broken: undefined };
      checks.set(message.subject, check);
    }
    take(check, message);
  }
  return [...checks.values()].map(concluded);
}

interface Check {
  readonly replay: Replayer;
  readonly verify: ChainVerifier;
  /** A message that is no event at all. */
  broken: { readonly streamSeq: number; readonly why: string } | undefined;
}

function take(check: Check, message: StoredMessage): void {
  if (check.broken !== undefined) return;
  let event: JournalEvent;
  try {
    event = decodeEvent(message);
  } catch (error) {
    if (!(error instanceof EventMalformed)) throw error;
    check.broken = { streamSeq: message.seq, why: error.message };
    return;
  }
  check.verify.push(event);
  check.replay.push(event);
}

function concluded({ replay, verify, broken }: Check): Checked {
  if (broken === undefined) return { replay: replay.report, verify: verify.report };
  const seq = verify.report.events + 1;
  return {
    replay: { ...replay.report, difference: replay.report.difference ?? { seq, field: "event", recorded: broken.why, computed: "an event" } },
    verify: { ...verify.report, fault: verify.report.fault ?? { seq, ...broken } },
  };
}
