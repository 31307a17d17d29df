/**
 * What answering a question takes, whoever asks: the fault that the asker is told, how fresh an answer is, and the
 * events of the run that it is about.
 */
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { decodeEvent, type JournalEvent } from "../bus/commit.ts";
import type { HeaderInput } from "../bus/headers.ts";
import type { SegmentedReader } from "../bus/segmented.ts";
import { SERVICE_ERROR, type ServiceRequest } from "../bus/service.ts";
import type { RunIndex } from "./index-store.ts";
import type { SegmentsFollower } from "./segments-follower.ts";

/** How long an answer waits for the index to reach what was stored before the question, ms. */
export const FRESH_MS = 2_000;

/** A question that cannot be answered; the code is that of the same case in HTTP, and the message is for the asker. */
export class Unanswerable extends Error {
  override readonly name = "Unanswerable";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Answering {
  readonly answer: () => Promise<Uint8Array>;
  readonly headers?: HeaderInput;
  /** What the asker may know of an error that is not {@link Unanswerable}, which is answered as code 500. */
  readonly said: (error: unknown) => string;
}

/** Answers once, with the fault if there is no answer. */
export async function respond(request: ServiceRequest, { answer, headers, said }: Answering): Promise<void> {
  try {
    request.respond(await answer(), headers);
  } catch (error) {
    const [code, message] = error instanceof Unanswerable ? [error.code, error.message] : [500, said(error)];
    // a header cannot hold a line break
    const line = message.replace(/[\r\n]+/g, " ").slice(0, 1000);
    request.respond(new Uint8Array(), { [SERVICE_ERROR.code]: String(code), [SERVICE_ERROR.message]: line });
  }
}

export interface Reading {
  readonly ns: Namespace;
  readonly journal: SegmentedReader;
  readonly index: RunIndex;
  readonly follower: SegmentsFollower;
}

/** All events of a run, read from where the index saw the first of them. @throws Unanswerable, ReadError, EventMalformed */
export async function eventsOf({ ns, journal, index, follower }: Reading, run: RunId): Promise<JournalEvent[]> {
  await follower.current(FRESH_MS);
  const row = index.run(run);
  if (row === undefined) throw unknownRun(run);
  const events: JournalEvent[] = [];
  for await (const message of journal.read({ subject: subjects.log(ns, "run", run), fromSeq: row.first_stream_seq })) {
    events.push(decodeEvent(message));
  }
  return events;
}

export function unknownRun(run: string): Unanswerable {
  return new Unanswerable(404, `there is no run \`${run}\``);
}
