/**
 * Ids of traces and spans, from the journal alone: whoever reads it again makes the same ones, and a collector that
 * is sent a span twice can tell. The SDK asks a generator for ids; ours hands out what was put into it.
 */
import { type SpanContext, TraceFlags, isSpanContextValid } from "@opentelemetry/api";
import type { IdGenerator } from "@opentelemetry/sdk-trace-node";
import { sha256 } from "../../schemas/canonical.ts";
import type { EventBody } from "../../schemas/event.ts";

/** Where a span begins: an event of a run. `born` tells apart runs of one name on two planes that share a collector. */
export interface SpanPlace {
  readonly ns: string;
  readonly run: string;
  /** `at` of the run's first event. */
  readonly born: string;
  /** Sequence in the run of the event that the span begins with. */
  readonly seq: number;
}

/** 32 hex digits: first half of the SHA-256 over namespace, run and birth. */
export function traceIdOf({ ns, run, born }: Omit<SpanPlace, "seq">): string {
  return digest("trace", ns, run, born).slice(0, 32);
}

/** 16 hex digits: first quarter of the SHA-256 over the same and the sequence. */
export function spanIdOf({ ns, run, born, seq }: SpanPlace): string {
  return digest("span", ns, run, born, String(seq)).slice(0, 16);
}

/** No part can hold a line feed, so that no two lists of parts are one text. */
function digest(...parts: readonly string[]): string {
  return Buffer.from(sha256(parts.join("\n"))).toString("hex");
}

/** Gives the SDK the ids of the place that was set last. Starting a span is synchronous: nobody comes in between. */
export class JournalIds implements IdGenerator {
  #place: SpanPlace | undefined;

  at(place: SpanPlace): void {
    this.#place = place;
  }

  generateTraceId(): string {
    return traceIdOf(this.#known());
  }

  generateSpanId(): string {
    return spanIdOf(this.#known());
  }

  #known(): SpanPlace {
    if (this.#place === undefined) throw new Error("a span was begun without a place in a journal");
    return this.#place;
  }
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The caller's span, by W3C Trace Context; undefined when there is none or it says nothing. */
export function parentOf(body: EventBody): SpanContext | undefined {
  const { envelope } = body.data as { envelope?: { traceparent?: unknown } };
  const [, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(String(envelope?.traceparent)) ?? [];
  const parent: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(parent) ? parent : undefined;
}
