/**
 * Personal fields on their way in (law 10): sealed before a machine sees them, so that no event, answer, dispatch or
 * read model ever holds them; opened for the moment in which facts are gathered; and taken off the disk where they came
 * in, once they are decided. Without a marked field none of this is entered.
 */
import type { Logger } from "pino";
import type { ErasureInput } from "../../machines/erasure.ts";
import type { RunInput } from "../../machines/decide.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import type { RunState } from "../../machines/state.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { DocumentFacts } from "../../schemas/facts.ts";
import type { ActionId, Actor, Digest, Namespace } from "../../schemas/ids.ts";
import type { ErasureControl } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { KeyId, Pseudonym } from "../../schemas/sealed.ts";
import { withheldValue } from "../../schemas/sealed.ts";
import { aggregateToken, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import type { Publisher } from "../bus/publisher.ts";
import { shred } from "../bus/shred.ts";
import { ERASURES_NAME } from "../identity/erasures-name.ts";
import { type KeysAtHand, type Opened, openFields, sealFields } from "../identity/personal-fields.ts";
import { ERASER } from "../identity/permissions.ts";
import type { PersonalMaster } from "../identity/sealing.ts";
import { KeyDamaged, SubjectKeys } from "../identity/subject-keys.ts";
import { type Mark, marksOfTool } from "../registry/personal.ts";
import { readApplied } from "../registry/parse.ts";
import type { RegistryView } from "../registry/view.ts";
import { pause } from "./pause.ts";

/** Keys to be fetched before an input can be decided. */
export interface NeedsKeys {
  readonly keys: readonly { readonly subject: Pseudonym; readonly wanted: "make" | KeyId }[];
}

/** Of one value; more are withheld, because each is a key to be fetched. */
const MAX_SUBJECTS = 1_000;
const RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

export interface PersonalParts {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly publisher: Publisher;
  readonly registry: RegistryView;
  /** Without it nothing is sealed, and what is personal is withheld and refused. */
  readonly master: PersonalMaster | undefined;
  readonly log: Logger;
}

export class Personal {
  readonly #parts: PersonalParts;
  readonly keys: SubjectKeys | undefined;
  /** Messages of which nothing has to be taken off the disk. */
  readonly #clean = new WeakSet<IntakeMessage>();
  #stopped = false;

  constructor(parts: PersonalParts) {
    this.#parts = parts;
    const { nc, ns, publisher, master, log } = parts;
    const onTrouble = (error: unknown) => log.error({ alarm: "erasures", error: String(error) }, "an erasure is not heard of");
    this.keys = master && new SubjectKeys({ nc, ns, publisher, master, onTrouble });
  }

  /** Who was erased is known afterwards; what of it is not done yet is done. @throws ReadError */
  async start(): Promise<void> {
    await this.keys?.start();
    void this.settle().catch((error: unknown) => this.#parts.log.error({ alarm: "erasures", error: String(error) }, "an erasure is not carried out"));
  }

  stop(): void {
    this.#stopped = true;
    this.keys?.stop();
  }

  /** After the connection was away. @throws ReadError */
  async load(): Promise<void> {
    await this.keys?.erasures.load();
  }

  /** Whether anything is marked in the namespace; if not, everything here is passed by. */
  get any(): boolean {
    return this.#parts.registry.marksPersonal();
  }

  /**
   * An input that may hold something personal in plain text, made to leave nothing behind: acknowledged it is
   * overwritten in its stream, unless {@link seal} finds nothing in it.
   */
  careful(message: IntakeMessage): IntakeMessage {
    const [, , , , kind, , aggregate] = message.subject.split(".");
    if (kind !== "propose" && kind !== "decide" && kind !== "control") return message;
    if (!this.any && aggregate?.startsWith("erasure:") !== true) return message;
    const careful: IntakeMessage = {
      subject: message.subject,
      data: message.data,
      headers: message.headers,
      seq: message.seq,
      time: message.time,
      redelivered: message.redelivered,
      deliveries: message.deliveries,
      generation: message.generation,
      reply: message.reply,
      get inHand() {
        return message.inHand;
      },
      ack: () => {
        if (this.#clean.has(careful)) message.ack();
        // what is another owner's by now is overwritten by that one
        else if (message.inHand) void this.#shredded(kind === "propose" ? "INBOX" : "CONTROL", message);
      },
      setAside: () => message.setAside(),
    };
    return careful;
  }

  async #shredded(stream: "INBOX" | "CONTROL", message: IntakeMessage): Promise<void> {
    const { nc, ns, log } = this.#parts;
    const act = async () => {
      await shred(nc, streamName(stream, ns), message.seq);
      message.ack();
    };
    // stopped before, it stays, comes again, and is known then: what is personal is not left on the disk
    await this.#untilDone(act, (error) => log.warn({ stream, error: String(error) }, "an input is not taken off the disk yet"));
  }

  /** Acts until it succeeds: what that gave, or undefined when this was stopped before. */
  async #untilDone<T>(act: () => Promise<T>, onTrouble: (error: unknown) => void): Promise<{ readonly done: T } | undefined> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      try {
        return { done: await act() };
      } catch (error) {
        onTrouble(error);
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
    return undefined;
  }

  /**
   * The input as it is decided and recorded. The same object where nothing in it is personal.
   * @throws whatever `needs` makes of keys and documents that are to be fetched first
   */
  seal(state: RunState, input: RunInput, message: IntakeMessage, fetching: Fetching): RunInput {
    if (!this.any) return input;
    // refused without a trace of it, and no key is made for that
    if (input.kind === "propose" && (input.actor !== state.holder || RUN_ENDED.has(state.life.value)) && !state.inputs.has(`propose/${input.actor}/${input.id}`)) return input;
    const found = spoken(state, input);
    if (found === undefined) {
      this.#clean.add(message);
      return input;
    }
    const { value, subjects: others, put } = found;
    const marks = this.#marks(state, found, fetching);
    const sealed = marks === undefined ? { value: withheldValue("unknown_tool"), changed: true } : this.#sealed(state, input, value, marks, others(this, fetching), fetching);
    if (!sealed.changed) {
      this.#clean.add(message);
      return input;
    }
    const body = put(sealed.value);
    const known = state.inputs.get(`${input.kind}/${input.actor}/${input.id}`);
    const hash = canonicalDigest(body);
    if (known !== undefined && known !== hash) {
      // what was marked then may not be what is marked now
      const then = this.#marksThen(state, input);
      const again = then && put(this.#sealed(state, input, value, then, others(this, fetching), fetching).value);
      if (again !== undefined && canonicalDigest(again) === known) return { ...input, hash: known, body: again } as RunInput;
    }
    return { ...input, hash, body } as RunInput;
  }

  #sealed(state: RunState, input: RunInput, value: JsonValue, marks: readonly Mark[], others: readonly JsonValue[], fetching: Fetching) {
    if (marks.length === 0) return { value, changed: false };
    const keys = this.#atHand(input.time, fetching);
    const sealed = sealFields(keys, state, `${input.kind}/${input.actor}/${input.id}`, value, marks, [value, ...others]);
    keys.demand();
    return sealed;
  }

  /** Undefined when nobody can know what is personal in it. */
  #marks(state: RunState, { tool, documents }: Spoken, fetching: Fetching): readonly Mark[] | undefined {
    const { registry } = this.#parts;
    if (documents !== undefined) return this.marksUnder(documents, state.holder, fetching);
    const found = registry.tool(tool);
    return found && marksOfTool(found.value, registry.contract(state.holder)?.value);
  }

  #marksThen(state: RunState, input: RunInput): readonly Mark[] | undefined {
    const action = input.kind === "propose" ? state.proposals.get(`${input.actor}/${input.id}`)?.action : undefined;
    const documents = action === undefined ? undefined : state.actions.get(action)?.context.documents;
    if (documents?.tool === undefined) return undefined;
    const tool = this.#parts.registry.toolVersion(documents.tool);
    return tool && marksOfTool(tool, undefined);
  }

  /** What is marked under the documents that an action was approved by. */
  marksUnder({ tool: digest, contract }: DocumentFacts, agent: Actor, fetching: Fetching): readonly Mark[] | undefined {
    if (digest === undefined) return undefined;
    const { registry } = this.#parts;
    const tool = registry.toolVersion(digest);
    if (tool === undefined) {
      fetching.document(digest);
      return undefined;
    }
    return marksOfTool(tool, contract === undefined ? undefined : contractVersion(registry, agent, contract, fetching));
  }

  /** Opens what is marked, for the moment in which facts are gathered. */
  open(state: Pick<RunState, "ns" | "run">, value: JsonValue, marks: readonly Mark[], fetching: Fetching): Opened {
    const keys = this.#atHand("", fetching);
    const opened = openFields(keys, state, value, marks);
    keys.demand();
    return opened;
  }

  /** The erasure as it is recorded. @param key as the store was found to have it */
  erasure(input: Omit<ErasureInput, "body"> & { readonly body: ErasureControl }): ErasureInput {
    const { body } = input;
    if (body.verb === "destroyed") return { ...input, body };
    const recorded = { ...body, subject: this.#keysOrThrow().pseudonym(body.subject) };
    return { ...input, body: recorded, hash: canonicalDigest(recorded) };
  }

  /** Fetches what an input waited for, as long as the store does not answer. */
  async fetch({ keys }: NeedsKeys): Promise<void> {
    const { log } = this.#parts;
    const act = () => Promise.all(keys.map(({ subject, wanted }) => this.#keysOrThrow().fetch(subject, wanted)));
    await this.#untilDone(act, (error) => {
      const level = error instanceof KeyDamaged ? "error" : "warn";
      log[level]({ ...(level === "error" && { alarm: "keys" }), error: String(error) }, "a subject's key cannot be had");
    });
  }

  /** The id of the key that the store holds of a subject now. @throws Error when this is stopped before it is read */
  async stored(subject: Pseudonym): Promise<KeyId | undefined> {
    const { log } = this.#parts;
    const act = () => this.#keysOrThrow().stored(subject);
    const found = await this.#untilDone(act, (error) => log.warn({ error: String(error) }, "a subject's key cannot be read"));
    if (found === undefined) throw new Error("stopped before the key was read");
    return found.done;
  }

  /**
   * Destroys every key that is to be destroyed, and says so; and those again that were, which a store may have back that
   * was restored. Doing it twice does nothing.
   */
  async settle(): Promise<void> {
    const { keys } = this;
    if (keys === undefined) return;
    for (const { subject, key, completed } of keys.erasures.all()) {
      if (this.#stopped) return;
      await this.destroy(subject, key, completed);
    }
  }

  /** An erasure is not acknowledged before. @throws Error when this is stopped before it is done */
  async destroy(subject: Pseudonym, key: KeyId, completed = false): Promise<void> {
    const { ns, publisher, log } = this.#parts;
    const act = async () => {
      await this.#keysOrThrow().destroy({ subject, key });
      if (completed) return;
      const body = { verb: "destroyed", id: `destroyed.${key}`, subject, key };
      const to = subjects.input(ns, "control", ERASER, aggregateToken("erasure", ERASURES_NAME));
      await publisher.publish(to, Buffer.from(JSON.stringify(body)), { "content-type": "application/json" });
    };
    const destroyed = await this.#untilDone(act, (error) => log.warn({ key, error: String(error) }, "a key is not destroyed yet"));
    if (destroyed === undefined) throw new Error("stopped before the key was destroyed");
  }

  #keysOrThrow(): SubjectKeys {
    if (this.keys === undefined) throw new Error("this coordinator was started without the plane's key for personal data");
    return this.keys;
  }

  #atHand(time: string, fetching: Fetching): KeysAtHand & { demand(): void } {
    const { keys } = this;
    if (keys === undefined) return { pseudonym: () => "" as Pseudonym, sealing: () => "no_key", opening: () => undefined, demand: () => undefined };
    const needed = new Map<string, NeedsKeys["keys"][number]>();
    const seen = new Set<Pseudonym>();
    return {
      pseudonym: (subject) => keys.pseudonym(subject),
      sealing: (subject) => {
        const erased = keys.erasures.erasedAt(subject);
        if (erased !== undefined && time <= erased) return "erased";
        if (seen.add(subject).size > MAX_SUBJECTS) return "no_key";
        const key = keys.current(subject);
        if (key === undefined) needed.set(subject, { subject, wanted: "make" });
        return key ?? "no_key";
      },
      opening: (subject, id) => {
        if (seen.add(subject).size > MAX_SUBJECTS) return undefined;
        const key = keys.find(subject, id);
        if (key === undefined && !needed.has(subject)) needed.set(subject, { subject, wanted: id });
        return key === "gone" ? undefined : key;
      },
      demand: () => {
        if (needed.size > 0) fetching.keys({ keys: [...needed.values()] });
      },
    };
  }
}

/** How a turn is told what must be fetched first: these throw. */
export interface Fetching {
  keys(needs: NeedsKeys): void;
  document(digest: Digest): Uint8Array | null;
}

function contractVersion(registry: RegistryView, agent: Actor, digest: Digest, fetching: Fetching): Contract | undefined {
  const inForce = registry.contract(agent);
  if (inForce?.digest === digest) return inForce.value;
  const bytes = fetching.document(digest);
  const document = bytes === null ? undefined : readApplied(bytes);
  return document?.kind === "agent" ? document.value : undefined;
}

/** The part of an input that a tool's marks speak of. */
interface Spoken {
  readonly value: JsonValue;
  readonly tool: string;
  /** Of an output: the documents that its action was approved by. */
  readonly documents?: DocumentFacts;
  /** Where else its subjects may be said. */
  readonly subjects: (personal: Personal, fetching: Fetching) => readonly JsonValue[];
  readonly put: (value: JsonValue) => JsonValue;
}

const NOWHERE = () => [];

function spoken(state: RunState, input: RunInput): Spoken | undefined {
  switch (input.kind) {
    case "propose": {
      const { body } = input;
      if (body.kind !== "tool") return undefined;
      return { value: body.input, tool: body.tool, subjects: NOWHERE, put: (value) => ({ ...body, input: value }) as unknown as JsonValue };
    }
    case "decide": {
      const { body } = input;
      const id = state.approvals.get(body.request)?.context.action;
      if (body.input === undefined || id === undefined) return undefined;
      const tool = state.actions.get(id)?.context.tool ?? "";
      return { value: body.input, tool, subjects: NOWHERE, put: (value) => ({ ...body, input: value }) as unknown as JsonValue };
    }
    case "report": {
      const { body } = input;
      if (body.output === undefined) return undefined;
      return ofAction(state, body.action, body.output, (value) => ({ ...body, output: value }) as unknown as JsonValue);
    }
    case "control": {
      const { body } = input;
      if (body.verb !== "resolve" || body.output === undefined) return undefined;
      return ofAction(state, body.action, body.output, (value) => ({ ...body, output: value }) as unknown as JsonValue);
    }
    default:
      return undefined;
  }
}

function ofAction(state: RunState, id: ActionId, value: JsonValue, put: Spoken["put"]): Spoken | undefined {
  const action = state.actions.get(id)?.context;
  if (action === undefined) return undefined;
  const { documents, tool } = action;
  const asked = action.basis?.asked?.input;
  return { value, tool, documents, put, subjects: () => (asked === undefined ? [] : [asked]) };
}
