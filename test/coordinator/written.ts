/** A journal by hand: `read` and `lastOf` as a stream has them, without a server. */
import { positionOf, segmentOf } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { ReadRange, StoredMessage } from "../../services/bus/journal.ts";
import { JournalWriter, NS } from "../projection/journal.ts";

export class Written {
  readonly messages: StoredMessage[] = [];
  /** What was read behind the position at which the reader stood, in order: `<segment>:<first>`. */
  readonly readings: string[] = [];
  /** Stands in front of every reading. */
  gate: Promise<void> | undefined;
  readonly #writer = new JournalWriter();

  /** One event in a commit of its own. */
  add(run: string, event: Parameters<JournalWriter["seal"]>[2][number], segment = 1): void {
    const subject = subjects.log(NS, "run", run, segment);
    const before = this.messages.findLast(({ seq }) => segmentOf(seq) === segment)?.seq ?? positionOf(segment, 0);
    for (const { headers, data } of this.#writer.seal("run", run, [event])) this.messages.push({ subject, seq: before + 1, time: 0, headers: new Map(Object.entries(headers)), data });
  }

  *within({ subject, segment = 1, fromSeq = 1, untilSeq = Number.POSITIVE_INFINITY }: ReadRange): Generator<StoredMessage> {
    for (const one of this.messages) {
      if (segmentOf(one.seq) === segment && one.seq >= fromSeq && one.seq <= untilSeq && one.subject.startsWith(subject.slice(0, -1))) yield one;
    }
  }

  async *read(range: ReadRange): AsyncGenerator<StoredMessage, void, undefined> {
    if (range.leader !== true) this.readings.push(`${range.segment}:${(range.fromSeq ?? 1) - positionOf(range.segment ?? 1, 0)}`);
    await this.gate;
    yield* this.within(range);
  }

  async lastOf(subject: string, segment?: number): Promise<StoredMessage | undefined> {
    await this.gate;
    return [...this.within({ subject, ...(segment !== undefined && { segment }) })].at(-1);
  }
}
