/**
 * Personal fields at the edge to the world (law 10): the gateway opens what a tool needs just before it calls it, and
 * seals what the tool gives before it says anything of it.
 */
import { type Contract, contractSchema } from "../../schemas/contract.ts";
import type { ActionDocument } from "../../schemas/dispatch.ts";
import type { Actor, Digest, Namespace } from "../../schemas/ids.ts";
import type { ToolError } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { KeyId, Pseudonym } from "../../schemas/sealed.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { Documents } from "../bus/documents.ts";
import type { Publisher } from "../bus/publisher.ts";
import { type KeysAtHand, openFields, sealFields } from "../identity/personal-fields.ts";
import type { PersonalMaster } from "../identity/sealing.ts";
import { KeyDamaged, SubjectKeys } from "../identity/subject-keys.ts";
import { type Mark, marksOfTool, replaced } from "../registry/personal.ts";
import type { AdapterResult } from "./adapters/adapter.ts";

/** What one call holds of persons. */
export interface PersonalCall {
  /** The input as the tool is given it. */
  readonly input: JsonValue;
  /** An answer without what it repeats of the input in a place where nothing personal belongs. */
  cleared(result: AdapterResult): AdapterResult;
  /** The output as it is reported. @throws ReadError, PublishError, KeyDamaged */
  seal(output: JsonValue): Promise<JsonValue>;
}

export interface PersonalGateOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly publisher: Publisher;
  readonly documents: Documents;
  readonly name: Actor;
  /** Without it calls with personal fields fail, with effect none. */
  readonly master: PersonalMaster | undefined;
  readonly onTrouble: (error: unknown) => void;
}

const NONE: readonly Mark[] = [];
const CONTRACTS = 4096;
/** Shorter ones stand everywhere by chance: in an error's message, and in an output, which has a schema to keep to. */
const MIN_IN_ERRORS = 4;
const MIN_IN_OUTPUTS = 8;
const TAKEN_OUT = "[personal]";

export class PersonalGate {
  readonly #options: PersonalGateOptions;
  readonly #keys: SubjectKeys | undefined;
  readonly #contracts = new Map<Digest, Promise<Contract>>();

  constructor(options: PersonalGateOptions) {
    this.#options = options;
    const { nc, ns, publisher, master, onTrouble } = options;
    this.#keys = master && new SubjectKeys({ nc, ns, apart: true, publisher, master, onTrouble });
  }

  /** @throws ReadError */
  async start(): Promise<void> {
    await this.#keys?.start();
  }

  /** After the connection was away. @throws ReadError */
  async load(): Promise<void> {
    await this.#keys?.erasures.load();
  }

  stop(): void {
    this.#keys?.stop();
  }

  /** Undefined for a call in which nothing is marked; or why it cannot be made. */
  async prepare(document: ActionDocument, tool: Tool, attempt: string): Promise<PersonalCall | { readonly error: ToolError } | undefined> {
    let marks: readonly Mark[];
    try {
      marks = await this.#marks(document, tool);
    } catch {
      return { error: { code: "personal.contract", message: "the contract that says what is personal cannot be read", effect: "none" } };
    }
    if (marks.length === 0) return undefined;
    const keys = this.#keys;
    if (keys === undefined) return { error: { code: "personal.no_keys", message: "this gateway was started without the plane's key for personal data", effect: "none" } };
    try {
      const opened = await this.#atHand((hand) => openFields(hand, document, document.input, marks));
      const [fault] = opened.faults;
      if (fault !== undefined) return { error: { code: fault.code, message: `\`${fault.path ?? ""}\` of the input: ${fault.message}`, effect: "none" } };
      return this.#call(document, marks, opened.plain, attempt);
    } catch (error) {
      this.#options.onTrouble(error);
      const why = error instanceof KeyDamaged ? "a key of the input's subjects cannot be read" : "the keys of the input's subjects cannot be had";
      return { error: { code: "personal.keys", message: why, effect: "none" } };
    }
  }

  #call(document: ActionDocument, marks: readonly Mark[], input: JsonValue, attempt: string): PersonalCall {
    const at = `report/${this.#options.name}/${attempt}`;
    const repeated = textsAt(input, marks);
    return {
      input,
      cleared: (result) => cleared(result, marks, repeated),
      seal: async (output) => (await this.#atHand((hand) => sealFields(hand, document, at, output, marks, [output, input]))).value,
    };
  }

  async #marks({ contract_hash: hash }: ActionDocument, tool: Tool): Promise<readonly Mark[]> {
    let contract = this.#contracts.get(hash);
    if (contract === undefined) {
      contract = this.#fetch(hash);
      this.#contracts.set(hash, contract);
      contract.catch(() => this.#contracts.delete(hash));
      const [oldest] = this.#contracts.keys();
      if (this.#contracts.size > CONTRACTS && oldest !== undefined) this.#contracts.delete(oldest);
    }
    const marks = marksOfTool(tool, await contract);
    return marks.length === 0 ? NONE : marks;
  }

  async #fetch(hash: Digest): Promise<Contract> {
    return contractSchema.parse(JSON.parse(Buffer.from(await this.#options.documents.get(hash)).toString("utf8")));
  }

  /** Does it again with the keys that it lacked. */
  async #atHand<T>(act: (keys: KeysAtHand) => T): Promise<T> {
    const keys = this.#keys as SubjectKeys;
    for (;;) {
      const needed = new Map<Pseudonym, "make" | KeyId>();
      const result = act({
        pseudonym: (subject) => keys.pseudonym(subject),
        sealing: (subject) => {
          const key = keys.current(subject);
          if (key === undefined) needed.set(subject, "make");
          return key ?? "no_key";
        },
        opening: (subject, id) => {
          const key = keys.find(subject, id);
          if (key === undefined && !needed.has(subject)) needed.set(subject, id);
          return key === "gone" ? undefined : key;
        },
      });
      if (needed.size === 0) return result;
      await Promise.all([...needed].map(([subject, wanted]) => keys.fetch(subject, wanted)));
    }
  }
}

/** Every text, and every number of some digits, that stands in the marked fields; the longest first. */
function textsAt(value: JsonValue, marks: readonly Mark[]): string[] {
  const texts = new Set<string>();
  const visit = (part: JsonValue): void => {
    if (typeof part === "string" || typeof part === "number") {
      const text = String(part);
      if (text.length >= MIN_IN_ERRORS) texts.add(text);
    } else if (typeof part === "object" && part !== null) for (const member of Object.values(part)) visit(member as JsonValue);
  };
  replaced(value, marks, ({ value: field }) => {
    visit(field);
    return field;
  });
  return [...texts].sort((a, b) => b.length - a.length);
}

function cleared(result: AdapterResult, marks: readonly Mark[], repeated: readonly string[]): AdapterResult {
  if (repeated.length === 0) return result;
  const clearOf = (texts: readonly string[]) => (text: string) => texts.reduce((left, one) => (left.includes(one) ? left.replaceAll(one, TAKEN_OUT) : left), text);
  const clear = clearOf(result.ok ? repeated.filter(({ length }) => length >= MIN_IN_OUTPUTS) : repeated);
  if (!result.ok) return { ...result, error: { ...result.error, code: clear(result.error.code), message: clear(result.error.message) } };
  // what is marked is sealed: only the rest is looked through
  const kept: JsonValue[] = [];
  const rest = replaced(result.output as JsonValue, marks, ({ value }) => ({ [KEPT]: kept.push(value) - 1 }));
  return { ...result, output: clearedValue(rest, clear, kept) };
}

const KEPT = "\u0000kept";

function clearedValue(value: unknown, clear: (text: string) => string, kept: readonly JsonValue[]): unknown {
  if (typeof value === "string") return clear(value);
  if (typeof value === "number") return clear(String(value)) === String(value) ? value : TAKEN_OUT;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => clearedValue(item, clear, kept));
  const proto: unknown = Object.getPrototypeOf(value);
  // what is no plain value is looked at, and taken out, by the sanitiser
  if (proto !== Object.prototype && proto !== null) return value;
  const index = (value as Record<string, unknown>)[KEPT];
  if (typeof index === "number") return kept[index];
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [clear(key), clearedValue(member, clear, kept)]));
}
