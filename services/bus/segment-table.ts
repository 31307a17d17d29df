/**
 * Which segments a journal has, as the events of its table say. Everybody who reads the same events comes to the same
 * segment for the same start: no clock of ours is asked.
 */
import type { EventData } from "../../schemas/event.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import { SEGMENT_MARGIN_MS, SEGMENT_TABLE } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { millis } from "../../schemas/time.ts";
import { decodeEvent } from "./commit.ts";
import type { StoredMessage } from "./journal.ts";

export interface Segment {
  readonly segment: number;
  /** Runs whose start was stored at this time or later belong to it, ms since the epoch; 0 for the first. */
  readonly from: number;
  /** False for one whose opening was stored too late: no run ever starts in it. */
  readonly counts: boolean;
  /** Set when no run of it changes any more. */
  readonly sealed: { readonly runs: number; readonly index: Digest } | undefined;
}

export function segmentTableSubject(ns: Namespace): string {
  return subjects.log(ns, SEGMENT_TABLE.kind, SEGMENT_TABLE.name);
}

export class SegmentTable {
  readonly #marginMs: number;
  readonly #segments: Segment[] = [{ segment: 1, from: 0, counts: true, sealed: undefined }];
  #last = 0;

  constructor(marginMs = SEGMENT_MARGIN_MS) {
    this.#marginMs = marginMs;
  }

  /** Sequence in segment 1 of the last event that was taken. */
  get last(): number {
    return this.#last;
  }

  /** All that were opened, in order. Their streams are there. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Takes an event of the table, as stored; one that is known is left alone. @throws EventMalformed */
  take(message: StoredMessage): void {
    if (message.seq <= this.#last) return;
    const { type, data } = decodeEvent(message).body;
    this.#last = message.seq;
    if (type === "segments.opened") {
      const { segment, from } = data as EventData<"segments.opened">;
      this.#segments.push({ segment, from: millis(from), counts: millis(from) >= message.time + this.#marginMs, sealed: undefined });
    } else if (type === "segments.sealed") {
      const { segment, runs, index } = data as EventData<"segments.sealed">;
      const at = this.#segments.findIndex((one) => one.segment === segment);
      const known = this.#segments[at];
      if (known !== undefined) this.#segments[at] = { ...known, sealed: { runs, index } };
    }
  }

  /** The segment of a run whose start was stored at this time, ms. */
  at(time: number): number {
    return (this.#segments.findLast(({ counts, from }) => counts && from <= time) as Segment).segment;
  }

  /** The segment in which the last run of this one's time started, and then no more: ms since the epoch; undefined while runs start in it. */
  endOf(segment: number): number | undefined {
    return this.#segments.find((one) => one.counts && one.segment > segment)?.from;
  }
}
