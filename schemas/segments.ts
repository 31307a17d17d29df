/**
 * Segments: a namespace's journal is one stream at first, and more when it has a great many runs. Segment 1 holds
 * everything that is not a run, for ever; a run stays in the segment of its first event.
 *
 * A position names a message of the journal whatever segment it is in. In segment 1 it is the stream's own sequence,
 * so that nothing changes for a journal that has only one. Within a segment positions are consecutive; those of a later
 * segment are greater than all of an earlier one.
 */
import type { Namespace } from "./ids.ts";

/**
 * How many a journal may have: names of streams stand in permissions and in exports between accounts, which are
 * written before the streams are.
 */
export const MAX_SEGMENTS = 16;

/** Every segment that there can be, the first one first. */
export const SEGMENTS: readonly number[] = Array.from({ length: MAX_SEGMENTS }, (_, index) => index + 1);

/** A stream holds fewer messages than this, and all positions are whole numbers that JavaScript knows exactly. */
const SPAN = 2 ** 40;

/** The aggregate that says which segments there are, and from when on runs start in each: one for a namespace. */
export const SEGMENT_TABLE = { kind: "segments", name: "journal" } as const;

/**
 * An opening counts only when it was stored at least this long before the time from which runs start in the new
 * segment: whoever read the table less than this before an input was stored knows where the input's run belongs. Also
 * the most by which the clocks of a cluster's servers may differ.
 */
export const SEGMENT_MARGIN_MS = 60_000;

/** The stream of a segment: `JOURNAL_<ns>`, `JOURNAL_<ns>_2`, … A namespace's name holds no `_`. */
export function segmentStream(ns: Namespace, segment: number): string {
  return segment === 1 ? `JOURNAL_${ns}` : `JOURNAL_${ns}_${segment}`;
}

/** Which segment a stream is; undefined for a stream that is none of this namespace's journal. */
export function segmentOfStream(ns: Namespace, stream: string): number | undefined {
  if (stream === `JOURNAL_${ns}`) return 1;
  if (!stream.startsWith(`JOURNAL_${ns}_`)) return undefined;
  const text = stream.slice(`JOURNAL_${ns}_`.length);
  const segment = Number(text);
  return String(segment) === text && segment > 1 && segment <= MAX_SEGMENTS ? segment : undefined;
}

/** @param seq sequence in the segment's stream; 0 stands for "before the first" */
export function positionOf(segment: number, seq: number): number {
  return (segment - 1) * SPAN + seq;
}

export function segmentOf(position: number): number {
  return Math.floor(position / SPAN) + 1;
}

/** The sequence in its segment's stream. */
export function sequenceOf(position: number): number {
  return position % SPAN;
}

/** As people read it: `7` in segment 1, `2:7` in the second. */
export function positionText(position: number): string {
  return segmentOf(position) === 1 ? String(position) : `${segmentOf(position)}:${sequenceOf(position)}`;
}
