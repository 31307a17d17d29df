/** Deciding as a person, or as a program that a person answers for. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Rejection } from "../../schemas/answer.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Actor, type Digest, type Namespace, runIdSchema } from "../../schemas/ids.ts";
import { decisionSchema, type Standing } from "../../schemas/inputs.ts";
import { type JsonValue, jsonValueSchema } from "../../schemas/json.ts";
import { reasonsOf } from "../../schemas/reason.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { PublishError, Publisher } from "../bus/publisher.ts";
import { type Reply, RequestError, isForbidden, request as ask } from "../bus/request.ts";
import { SERVICE_ERROR } from "../bus/service.ts";
import { NotPermitted, NotServed, NotUnderstood, Refused, Unanswered } from "./errors.ts";
import { type TypedEvent, readEvent } from "./events.ts";

interface Deciding {
  readonly run: string;
  /** The request's id in the run, as `q7`. */
  readonly request: string;
  /** Hash of what was shown to the person: it is checked that nothing else is approved. Never to be fetched blindly. */
  readonly digest: string;
  readonly reason?: string;
  /** Names the decision: sent again, it counts once. A random one when left out. */
  readonly id?: string;
}

export type Decide = Deciding &
  (
    | {
        readonly decision: "approve";
        /** Also for later actions of the same shape in this run, within what the contract allows. */
        readonly standing?: Standing;
      }
    | { readonly decision: "refuse" }
    /** `input`, whole, stands in the place of the agent's: a new action, judged anew. Nobody has approved it by that. */
    | { readonly decision: "edit"; readonly input: JsonValue }
  );

/** A request for approval, as it is to be shown to whoever decides. */
export interface Shown {
  readonly run: string;
  readonly request: string;
  readonly action: string;
  readonly role: string;
  /** So many persons must approve. */
  readonly count: number;
  /** NATS names of those who have. */
  readonly grants: readonly string[];
  /** `requested` while it waits. */
  readonly state: string;
  readonly expires_at: string;
  /** The exact text to show: JSON with the tool, its input and who wants it. What an agent wrote in it is only that. */
  readonly view: string;
  /** SHA-256 of `view`, computed here from what came. Decide by it only when this very text was shown. */
  readonly digest: Digest;
}

const shown = z.object({
  run: z.string(),
  request: z.string(),
  action: z.string(),
  role: z.string(),
  count: z.int(),
  grants: z.array(z.string()),
  state: z.string(),
  expires_at: z.string(),
  view: z.string(),
});

/** A personal field of a request, opened. */
export interface PersonalField {
  /** JSON pointer into the view. */
  readonly path: string;
  readonly value?: JsonValue;
}

const revealed = z.object({ fields: z.array(z.object({ path: z.string(), value: jsonValueSchema.optional() })) });

/** For an answer of the read model, milliseconds. */
const SHOW_MS = 10_000;

type DecisionEvent = TypedEvent<"approval.granted" | "approval.refused" | "approval.edited" | "approval.stale">;

export type Decided =
  /** Counted; `event.data` says how many have approved and how many must. */
  | { readonly status: "granted"; readonly event: TypedEvent<"approval.granted"> }
  | { readonly status: "refused"; readonly event: TypedEvent<"approval.refused"> }
  /** Another action stands in its place: `event.data.replacement`, with the difference. It may be asked for in its turn. */
  | { readonly status: "edited"; readonly event: TypedEvent<"approval.edited"> }
  /** What was approved is no longer what would be done: it is judged anew, and asked anew where that is needed. */
  | { readonly status: "stale"; readonly event: TypedEvent<"approval.stale"> }
  /** The plane has it, and has said nothing within the wait. So it is when the same decision was sent before. */
  | { readonly status: "stored" };

export class Approvals {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #name: () => Actor;
  #publisher: Publisher | undefined;

  constructor(nc: NatsConnection, ns: Namespace, name: () => Actor) {
    this.#nc = nc;
    this.#ns = ns;
    this.#name = name;
  }

  /** What is asked. Requests are heard of by the event `approval.requested`. @throws Refused, NotPermitted, NotServed */
  async show(run: string, request: string): Promise<Shown> {
    const subject = subjects.query(this.#ns, `approval.${runIdSchema.parse(run)}`);
    const parsed = shown.safeParse(await this.#asked("query", subject, run, { request }));
    if (!parsed.success) throw new NotUnderstood("the request has a form that is not known");
    return { ...parsed.data, digest: sha256Digest(parsed.data.view) };
  }

  /**
   * What is personal in a request, for the eyes of the person who decides and for nothing else: the fields of `view` that
   * stand there sealed, by JSON pointer. A field whose subject was erased has no value. Empty when nothing is personal.
   * @throws Refused when the request is closed, NotPermitted, NotServed
   */
  async personal(run: string, request: string): Promise<readonly PersonalField[]> {
    const subject = subjects.reveal(this.#ns, this.#name());
    const parsed = revealed.safeParse(await this.#asked("reveal", subject, run, { run, request }));
    if (!parsed.success) throw new NotUnderstood("the answer has a form that is not known");
    return parsed.data.fields.map(({ path, value }) => (value === undefined ? { path } : { path, value }));
  }

  /** What a service of the plane says of a run; undefined when that is not JSON. @param service as in the codes of its refusals */
  async #asked(service: "query" | "reveal", subject: string, run: string, question: object): Promise<unknown> {
    let reply: Reply;
    try {
      reply = await ask(this.#nc, subject, new TextEncoder().encode(JSON.stringify(question)), { timeoutMs: SHOW_MS });
    } catch (error) {
      if (error instanceof RequestError && error.kind === "forbidden") throw new NotPermitted(`ask on \`${subject}\``, error);
      throw error instanceof RequestError ? new NotServed(`\`${subject}\``, error) : error;
    }
    const fault = reply.headers.get(SERVICE_ERROR.message);
    if (fault !== undefined) throw new Refused(run, null, [{ code: `${service}.${reply.headers.get(SERVICE_ERROR.code) ?? "failed"}`, message: fault }]);
    return parse(reply.data);
  }

  /**
   * Answers a request for approval and waits until the plane has counted it, at most `timeoutMs` (default 10,000).
   * @throws Refused with the reasons (wrong digest, role or person, too late, asked of oneself, an edited input that is
   * not valid), NotPermitted, NotServed, Unanswered
   */
  async decide(decision: Decide, options: { timeoutMs?: number } = {}): Promise<Decided> {
    const { run, id = randomUUID(), ...rest } = decision;
    const parsed = decisionSchema.safeParse({ ...given(rest), id });
    if (!parsed.success) throw new Refused(run, id, reasonsOf(parsed.error));
    const name = this.#name();
    const data = new TextEncoder().encode(JSON.stringify(parsed.data));
    const hash = sha256Digest(data);
    const timeoutMs = options.timeoutMs ?? 10_000;

    // Both are heard before anything is sent.
    const heard = Promise.withResolvers<Decided>();
    const listen = (subject: string, hear: (data: Uint8Array) => void) =>
      this.#nc.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) heard.reject(isForbidden(error) ? new NotPermitted(`listen to \`${subject}\``, error) : error);
          else hear(message.data);
        },
      });
    const subscriptions = [
      listen(subjects.event(this.#ns, "approval.*", run), (bytes) => {
        const event = readEvent<DecisionEvent["type"]>(bytes);
        if (event?.cause.kind === "decide" && event.cause.id === id && event.cause.actor === name) {
          const found = decided(event);
          if (found !== undefined) heard.resolve(found);
        }
      }),
      listen(subjects.rejected(this.#ns, name), (bytes) => {
        const rejection = parse(bytes) as Rejection | undefined;
        if (rejection?.sha256 === hash && rejection.run === run) heard.reject(new Refused(run, id, rejection.reasons));
      }),
    ];
    // It may be settled while the publish is still awaited.
    heard.promise.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    try {
      this.#publisher ??= new Publisher(this.#nc);
      await this.#publisher.publish(subjects.input(this.#ns, "decide", name, run), data, { "content-type": "application/json" });
      timer = setTimeout(() => heard.resolve({ status: "stored" }), timeoutMs);
      return await heard.promise;
    } catch (error) {
      if (!(error instanceof PublishError)) throw error;
      if (error.inDoubt) throw new Unanswered(run, id, timeoutMs, error);
      if (error.kind === "unavailable") throw new NotServed("decisions", error);
      throw new NotPermitted(`decide as \`${name}\` on run \`${run}\``, error);
    } finally {
      clearTimeout(timer);
      for (const subscription of subscriptions) subscription.unsubscribe();
    }
  }
}

function decided(event: DecisionEvent): Decided | undefined {
  switch (event.type) {
    case "approval.granted":
      return { status: "granted", event };
    case "approval.refused":
      return { status: "refused", event };
    case "approval.edited":
      return { status: "edited", event };
    case "approval.stale":
      return { status: "stale", event };
    default:
      return undefined;
  }
}

/** What is undefined was not given. */
function given<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<T>;
}

/** Undefined when it is not JSON. */
function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
