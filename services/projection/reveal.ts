/**
 * The approver's view of what is personal in a request (law 10): `signalbox.<ns>.reveal.<approver>`, served on a
 * credential of its own that reads keys and nothing else. The broker lets nobody but an approver ask, and only under
 * the approver's own name. Nothing of it is stored, and an ended request is not opened any more.
 */
import { z } from "zod";
import { type Namespace, requestIdSchema, runIdSchema } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";
import { type Sealed, sealedIn } from "../../schemas/sealed.ts";
import { patterns } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { type RunningService, serve } from "../bus/service.ts";
import { openValue, type PersonalMaster } from "../identity/sealing.ts";
import { SubjectKeys } from "../identity/subject-keys.ts";
import { eventsOf, type Reading, respond, Unanswerable } from "./answering.ts";
import type { RunIndex } from "./index-store.ts";
import type { SegmentsFollower } from "./segments-follower.ts";
import { approvalAnswer } from "./why-view.ts";

const JSON_BYTES = { "content-type": "application/json" } as const;
const questionSchema = z.strictObject({ run: runIdSchema, request: requestIdSchema });

/** One sealed value of the request's view. */
export interface RevealedField {
  /** JSON pointer into the view. */
  readonly path: string;
  /** Absent when its subject was erased. */
  readonly value?: JsonValue;
}

export interface RevealAnswer {
  readonly run: string;
  readonly request: string;
  readonly fields: readonly RevealedField[];
}

export interface RevealParts {
  /** A connection of the role `reveal`. */
  readonly nc: NatsConnection;
  /** That of the reader, which reads the journal, and has the index. */
  readonly reading: { readonly nc: NatsConnection; readonly index: RunIndex; readonly follower: SegmentsFollower };
  readonly ns: Namespace;
  readonly master: PersonalMaster;
  readonly version: string;
  readonly onTrouble: (error: unknown) => void;
}

/** Begins to answer, and returns when the server knows of it. @throws ReadError */
export async function serveReveals(parts: RevealParts): Promise<{ stop(): Promise<void> }> {
  const { nc, ns, master, version, onTrouble, reading } = parts;
  const journal = new SegmentedReader(reading.nc, ns);
  const keys = new SubjectKeys({ nc, ns, apart: true, master, onTrouble });
  await keys.start();
  // nobody knows what is in the message of an error that was not made for the asker
  const said = (error: unknown) => {
    onTrouble(error);
    return "it cannot be opened now";
  };
  const about = { name: `signalbox-reveal-${ns}`, version, description: `what is personal in requests for approval of the namespace ${ns}` };
  const service: RunningService = await serve(nc, about, [
    { name: "reveal", subject: patterns.reveals(ns), handler: (request) => void respond(request, { answer: () => answer({ ...reading, ns, journal }, keys, request.data), headers: JSON_BYTES, said }) },
  ]);
  return {
    stop: async () => {
      keys.stop();
      if (!nc.isClosed()) await service.stop();
    },
  };
}

async function answer(reading: Reading, keys: SubjectKeys, data: Uint8Array): Promise<Uint8Array> {
  let body: unknown;
  try {
    body = JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    body = undefined;
  }
  const question = questionSchema.safeParse(body);
  if (!question.success) throw new Unanswerable(400, "expected `run` and `request`");
  const { run, request } = question.data;
  const asked = approvalAnswer(await eventsOf(reading, run), { request });
  if (asked === undefined) throw new Unanswerable(404, `run \`${run}\` asked nobody for \`${request}\``);
  if (asked.state !== "requested") throw new Unanswerable(404, `request \`${request}\` is ${asked.state} already`);
  const sealed: [string, Sealed][] = [];
  collect(JSON.parse(asked.view) as JsonValue, [], sealed);
  const fields: RevealedField[] = [];
  for (const [path, one] of sealed) {
    if (keys.find(one.subject, one.key) === undefined) await keys.fetch(one.subject, one.key);
    const key = keys.find(one.subject, one.key);
    const value = key === undefined || key === "gone" ? undefined : openValue(key, reading.ns, run, one);
    fields.push(value === undefined ? { path } : { path, value });
  }
  const revealed: RevealAnswer = { run, request, fields };
  return Buffer.from(JSON.stringify(revealed));
}

/** Every sealed value in a view: of the input, and of how an edit differs. */
function collect(value: JsonValue, at: readonly string[], found: [string, Sealed][]): void {
  const sealed = sealedIn(value);
  if (sealed !== undefined) found.push([pointer(at), sealed]);
  else if (typeof value === "object" && value !== null) for (const [key, member] of Object.entries(value)) collect(member as JsonValue, [...at, key], found);
}
