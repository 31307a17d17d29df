/**
 * Carries a change of documents out (POL-6): puts each in force, what is referred to before what refers to it, and waits
 * until the journal says that it is. An attempt may end anywhere: what is in force already is found to be, so the next
 * attempt does the rest, and doing all of it again does nothing.
 */
import type { z } from "zod";
import { rejectionSchema } from "../../../schemas/answer.ts";
import type { Digest, Namespace } from "../../../schemas/ids.ts";
import { applyChangeSchema } from "../../../schemas/inputs.ts";
import type { JsonValue } from "../../../schemas/json.ts";
import { aggregateToken, parseLog, patterns, streamName, subjects } from "../../../schemas/subjects.ts";
import { decodeEvent } from "../../bus/commit.ts";
import type { Msg, NatsConnection } from "../../bus/connection.ts";
import { StreamReader } from "../../bus/journal.ts";
import { PublishError, Publisher } from "../../bus/publisher.ts";
import { CHANGE_ACTOR } from "../../identity/permissions.ts";
import { changeInputId } from "../../registry/built-in.ts";
import { inOrder, KIND_ORDER } from "../../registry/kinds.ts";
import { type Adapter, type AdapterRequest, type AdapterResult, failure } from "./adapter.ts";

const inputSchema = applyChangeSchema.pick({ documents: true, reason: true });
type Wanted = z.infer<typeof inputSchema>["documents"][number];

/** Of one document, once it is known what became of it. */
type Became = { readonly outcome: "applied" | "in_force"; readonly version: number } | { readonly outcome: "refused"; readonly why: string };

/** Documents of one kind that are under way together. */
const AT_ONCE = 32;
/** Live events are plain messages and may be lost: what was missed is read from the journal. */
const LOOK_AGAIN_MS = 1_000;

export class RegistryAdapter implements Adapter {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  async call(request: AdapterRequest, signal: AbortSignal): Promise<AdapterResult> {
    const parsed = inputSchema.safeParse(request.input);
    if (!parsed.success) return failure("change.invalid", "what was approved is no change of documents", "none");
    const carrying = new Carrying(this.#nc, request, parsed.data.reason, signal);
    try {
      return await carrying.through([...parsed.data.documents].sort(inOrder));
    } finally {
      carrying.end();
    }
  }
}

class Carrying {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #request: AdapterRequest;
  readonly #reason: string | undefined;
  readonly #signal: AbortSignal;
  readonly #publisher: Publisher;
  readonly #journal: StreamReader;
  readonly #subscriptions: { unsubscribe(): void }[] = [];
  /** What waits to hear of a document, by `<kind> <name>`; and of a refusal, by aggregate and input. */
  readonly #inForce = new Map<string, (digest: Digest, version: number) => void>();
  readonly #refused = new Map<string, (why: string) => void>();

  constructor(nc: NatsConnection, request: AdapterRequest, reason: string | undefined, signal: AbortSignal) {
    this.#nc = nc;
    this.#ns = request.ns;
    this.#request = request;
    this.#reason = reason;
    this.#signal = signal;
    this.#publisher = new Publisher(nc);
    this.#journal = new StreamReader(nc, streamName("JOURNAL", request.ns));
  }

  async through(documents: readonly Wanted[]): Promise<AdapterResult> {
    this.#listen(new Set(documents.map(({ kind }) => kind)));
    const became = new Map<Wanted, Became>();
    for (const kind of Object.keys(KIND_ORDER).sort((a, b) => KIND_ORDER[a as Wanted["kind"]] - KIND_ORDER[b as Wanted["kind"]])) {
      const some = documents.filter((document) => document.kind === kind);
      for (let from = 0; from < some.length; from += AT_ONCE) {
        await Promise.all(some.slice(from, from + AT_ONCE).map(async (document) => became.set(document, await this.#apply(document))));
      }
      // what is next may refer to what was refused
      const refused = [...became].filter(([, { outcome }]) => outcome === "refused");
      if (refused.length > 0) return this.#refusal(became, documents.length);
    }
    const output = documents.map((document) => ({ ...document, ...became.get(document) }) as unknown as JsonValue);
    return { ok: true, output: { documents: output } };
  }

  end(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#publisher.close();
  }

  /** Honest about what is in force by now, whichever attempt did it. */
  #refusal(became: ReadonlyMap<Wanted, Became>, all: number): AdapterResult {
    const whys = [...became].flatMap(([{ kind, name }, result]) => (result.outcome === "refused" ? [`${kind} \`${name}\`: ${result.why}`] : []));
    const done = [...became.values()].filter(({ outcome }) => outcome !== "refused").length;
    const message = `${whys.join("; ")}; ${done} of ${all} documents are in force`;
    return failure("change.refused", message.slice(0, 4000), done > 0 ? "done" : "none");
  }

  #listen(kinds: ReadonlySet<Wanted["kind"]>): void {
    for (const kind of kinds) this.#subscriptions.push(this.#nc.subscribe(patterns.liveOfKind(this.#ns, kind), { callback: (error, message) => void (error === null && this.#onEvent(message)) }));
    const refusals = patterns.rejectedStored(this.#ns).replace("*", CHANGE_ACTOR);
    this.#subscriptions.push(this.#nc.subscribe(refusals, { callback: (error, message) => void (error === null && this.#onRefusal(message)) }));
  }

  #onEvent(message: Msg): void {
    const address = parseLog(message.subject);
    const waiting = address === undefined ? undefined : this.#inForce.get(`${address.kind} ${address.name}`);
    if (waiting === undefined) return;
    const applied = readApplied(message.data);
    if (applied !== undefined) waiting(applied.digest, applied.version);
  }

  #onRefusal(message: Msg): void {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(message.data).toString("utf8"));
    } catch {
      return;
    }
    const rejection = rejectionSchema.safeParse(value).data;
    const why = rejection?.reasons.map(({ code, message: text }) => `${code}: ${text}`).join(", ");
    if (rejection?.id !== undefined) this.#refused.get(`${rejection.run} ${rejection.id}`)?.(why ?? "it was refused");
  }

  async #apply(document: Wanted): Promise<Became> {
    const { kind, name, document: digest } = document;
    const { run, action, attempt } = this.#request;
    const id = changeInputId(run, action, attempt);
    const token = aggregateToken(kind, name);
    const key = `${kind} ${name}`;
    const outcome = Promise.withResolvers<Became>();
    const onAbort = () => outcome.reject(new Error("the change was given up"));
    this.#signal.addEventListener("abort", onAbort, { once: true });
    outcome.promise.catch(() => undefined);
    let asked = false;
    const here = (found: Digest, version: number) => {
      if (found === digest) outcome.resolve({ outcome: asked ? "applied" : "in_force", version });
    };
    this.#inForce.set(key, here);
    this.#refused.set(`${token} ${id}`, (why) => outcome.resolve({ outcome: "refused", why }));
    const look = async () => {
      const last = await this.#journal.lastDirect(subjects.log(this.#ns, kind, name));
      const applied = last && readApplied(last.data);
      if (applied !== undefined) here(applied.digest, applied.version);
    };
    const timer = setInterval(() => void look().catch(() => undefined), LOOK_AGAIN_MS);
    try {
      await look();
      const known = await settled(outcome.promise);
      if (known !== undefined) return known;
      asked = true;
      await this.#publish(subjects.input(this.#ns, "apply", CHANGE_ACTOR, token), {
        id,
        document: digest,
        ...(this.#reason !== undefined && { reason: this.#reason }),
      });
      return await outcome.promise;
    } finally {
      clearInterval(timer);
      this.#signal.removeEventListener("abort", onAbort);
      this.#inForce.delete(key);
      this.#refused.delete(`${token} ${id}`);
    }
  }

  /** Sent until it is stored: the id makes one of many. */
  async #publish(subject: string, body: { readonly [key: string]: JsonValue }): Promise<void> {
    const data = Buffer.from(JSON.stringify(body));
    while (!this.#signal.aborted) {
      try {
        await this.#publisher.publish(subject, data, { "content-type": "application/json" });
        return;
      } catch (error) {
        if (!(error instanceof PublishError) || error.kind === "refused") throw error;
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS / 4));
      }
    }
  }
}

/** What a promise has settled to already; undefined while it waits. */
function settled<T>(promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
}

function readApplied(data: Uint8Array): { digest: Digest; version: number } | undefined {
  try {
    const { body } = decodeEvent({ subject: "", seq: 0, time: 0, headers: new Map(), data });
    return { digest: body.data["document"] as Digest, version: Number(body.data["version"]) };
  } catch {
    return undefined;
  }
}
