/** Events as people read them, one line each. */
import { usd } from "../../schemas/money.ts";
import type { JournalEvent } from "../bus/commit.ts";
import { timelineEntry } from "../projection/timeline.ts";
import type { TimelineEntry } from "../projection/views.ts";
import { type Paint, PLAIN } from "./io.ts";
import { visibleShort } from "./visible.ts";

const BAD = /\.(rejected|denied|refused|failed|cancelled|expired|stale|exhausted|stopped)$/;
const GOOD = /\.(verified|succeeded|completed|granted|approved)$/;
const PENDING = /\.(requested|in_doubt|probing|retrying|paused|edited|raised|warned)$/;

/** `12:30:01.123  refunds_1   7  action.approved     a2  validated → approved  by policy small-refunds` */
export function formatEvent(event: Pick<JournalEvent, "body" | "streamSeq">, paint: Paint = PLAIN): string {
  return `${paint.dim(event.body.at.slice(11, 23))}  ${event.body.run}  ${formatEntry(timelineEntry(event), paint)}`;
}

/** The same without time and run, for the page of one run. */
export function formatEntry(entry: TimelineEntry, paint: Paint = PLAIN): string {
  const where = entry.action ?? "";
  const way = entry.from === entry.to ? "" : `${entry.from} → ${entry.to}`;
  return [
    String(entry.seq).padStart(3),
    coloured(entry.type, paint)(entry.type.padEnd(18)),
    where.padEnd(4),
    paint.dim(way.padEnd(30)),
    entry.note === undefined ? "" : visibleShort(entry.note),
  ]
    .join("  ")
    .trimEnd();
}

/** The colour of a state or an event type: what went well, what did not, what waits. */
export function coloured(word: string, paint: Paint): (text: string) => string {
  const dotted = word.includes(".") ? word : `.${word}`;
  if (BAD.test(dotted)) return paint.red;
  if (GOOD.test(dotted)) return paint.green;
  if (PENDING.test(dotted) || word === "awaiting_approval") return paint.yellow;
  return (text) => text;
}

/** Money in USD; an amount in its currency's unit; requests as they are. */
export function inUnit(value: number, unit: string): string {
  if (unit === "cost") return `${usd(value)} USD`;
  return unit === "amount" ? String(value / 10_000) : String(value);
}
