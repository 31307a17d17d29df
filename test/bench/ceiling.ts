/**
 * The raw ceiling: real events of this plane, appended in batches to a journal of the same form on the same server,
 * with nothing behind it but the loop that sends the next batch.
 */
import { type Namespace } from "../../schemas/ids.ts";
import { parseLog, streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { type BatchMessage, Publisher } from "../../services/bus/publisher.ts";
import { patterns } from "../../schemas/subjects.ts";

interface Recorded {
  readonly name: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly beginsCommit: boolean;
}

/** What the plane stored between two sequences of its journal. */
export async function record(nc: NatsConnection, ns: Namespace, fromSeq: number, most: number): Promise<Recorded[]> {
  const journal = new StreamReader(nc, streamName("JOURNAL", ns));
  const found: Recorded[] = [];
  for await (const message of journal.read({ subject: patterns.logOfKind(ns, "run"), fromSeq })) {
    found.push(recorded(message));
    if (found.length === most) break;
  }
  return found;
}

function recorded(message: StoredMessage): Recorded {
  const headers = Object.fromEntries([...message.headers].filter(([name]) => !name.startsWith("Nats-")));
  const name = parseLog(message.subject)?.name ?? "";
  return { name, data: Buffer.from(message.data), headers, beginsCommit: decodeEvent(message).body.part[0] === 1 };
}

/** Appends for `seconds`, two batches in flight. Returns events per second. */
export async function ceiling(nc: NatsConnection, ns: Namespace, events: readonly Recorded[], batch: number, seconds: number): Promise<number> {
  const publisher = new Publisher(nc);
  const begun = performance.now();
  let appended = 0;
  const lane = async (lane: string): Promise<void> => {
    let lasts = new Map<string, number>();
    let at = 0;
    let round = 0;
    while (performance.now() - begun < seconds * 1000) {
      const first = new Set<string>();
      const messages: BatchMessage[] = [];
      for (; messages.length < batch; at++) {
        if (at === events.length) {
          at = 0;
          round += 1;
          lasts = new Map();
        }
        const { name, data, headers, beginsCommit } = events[at] as Recorded;
        const subject = subjects.log(ns, "run", `${name}-${batch}-${lane}-${round}`);
        // as the coordinator does: each commit is fenced, a subject once in a batch
        const fence = beginsCommit && !first.has(subject) ? { expectLastSubjectSequence: lasts.get(subject) ?? 0 } : {};
        first.add(subject);
        messages.push({ subject, data, headers, ...fence });
      }
      const { seq } = await publisher.batch(messages);
      messages.forEach(({ subject }, index) => lasts.set(subject, seq - messages.length + index + 1));
      appended += messages.length;
    }
  };
  await Promise.all([lane("a"), lane("b")]);
  publisher.close();
  return (appended * 1000) / (performance.now() - begun);
}
