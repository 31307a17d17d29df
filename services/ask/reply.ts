/** What an asker is told: the plane's answer as it is, or, where there is none, the same form filled in here. */
import type { Answer } from "../../schemas/answer.ts";
import type { Rejection } from "../../schemas/answer.ts";
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import { inputIdSchema } from "../../schemas/ids.ts";
import { MAX_BODY_BYTES } from "../../schemas/limits.ts";
import type { Reason } from "../../schemas/reason.ts";
import { decode, encode } from "../bus/codec.ts";
import type { HeaderMap } from "../bus/headers.ts";

const MSGPACK: ReadonlySet<string> = new Set(["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"]);
const KINDS: ReadonlySet<string> = new Set(["start", "tool", "note", "finish", "fail"]);

/** What was asked, as far as it can be told without judging it. */
export interface Asked {
  readonly run: string;
  /** Null when the body has none that could be read: the plane then refuses it. */
  readonly id: string | null;
  /** `run` when the body does not say. */
  readonly kind: Answer["kind"];
  /** Answers come back in the encoding of the question. */
  readonly msgpack: boolean;
}

/** Reads id and kind without admitting anything: a body that nobody can read still goes to the plane, which says why. */
export function look(run: string, data: Uint8Array, headers: HeaderMap): Asked {
  const contentType = headers.get(INPUT_HEADERS.contentType)?.split(";")[0]?.trim().toLowerCase() ?? "";
  const msgpack = MSGPACK.has(contentType);
  const unreadable: Asked = { run, id: null, kind: "run", msgpack };
  if (data.length > MAX_BODY_BYTES) return unreadable;
  let body: unknown;
  try {
    body = msgpack ? decode(data) : JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
  } catch {
    return unreadable;
  }
  if (typeof body !== "object" || body === null) return unreadable;
  const { id, kind } = body as { id?: unknown; kind?: unknown };
  return {
    ...unreadable,
    id: inputIdSchema.safeParse(id).success ? (id as string) : null,
    kind: typeof kind === "string" && KINDS.has(kind) ? (kind as Answer["kind"]) : "run",
  };
}

/** Nothing was heard yet: the proposal is with the plane, and goes on. */
export function pending(asked: Asked, at: string): Answer {
  return { v: 1, run: asked.run, id: asked.id, kind: asked.kind, status: "pending", final: false, seq: 0, at };
}

/** Refused without entering a journal: `seq` is 0. */
export function refusal(asked: Asked, at: string, reasons: readonly Reason[]): Answer {
  return { v: 1, run: asked.run, id: asked.id, kind: asked.kind, status: "refused", final: true, seq: 0, at, reasons: [...reasons] };
}

export function ofRejection(asked: Asked, rejection: Rejection): Answer {
  return refusal(asked, rejection.at, rejection.reasons);
}

/** Bytes of a reply, and the headers that say what they are. */
export function encodeReply(answer: Answer, msgpack: boolean): { data: Uint8Array; headers: Record<string, string> } {
  return msgpack
    ? { data: encode(answer), headers: { [INPUT_HEADERS.contentType]: "application/msgpack" } }
    : { data: Buffer.from(JSON.stringify(answer)), headers: { [INPUT_HEADERS.contentType]: "application/json" } };
}
