/** The documents in force: what the journal says was applied last, read from the content-addressed store. */
import { DOCUMENT_KINDS, type DocumentKind } from "../../machines/registry.ts";
import type { BudgetDocument } from "../../schemas/budget.ts";
import type { EventData } from "../../schemas/event.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import type { Issuer } from "../../schemas/issuer.ts";
import type { Person } from "../../schemas/person.ts";
import { type PolicySet, RULING_POLICY_SET } from "../../schemas/policy.ts";
import { parseLog, patterns } from "../../schemas/subjects.ts";
import type { Tool } from "../../schemas/tool.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { Documents } from "../bus/documents.ts";
import { ReadError, type StreamReader } from "../bus/journal.ts";
import type { Document, DocumentValues } from "./kinds.ts";
import { readApplied } from "./parse.ts";

export interface InForce<T> {
  readonly digest: Digest;
  readonly value: T;
}

interface Last {
  readonly digest: Digest;
  readonly previous: Digest | undefined;
  readonly version: number;
}

/** Documents that are fetched at a time when everything is read. */
const FETCHED_AT_ONCE = 64;

export class RegistryView {
  readonly #ns: Namespace;
  readonly #journal: StreamReader;
  readonly #documents: Documents;
  readonly #current = new Map<string, InForce<Document["value"]>>();
  /** What each name was last given, also when it cannot be read, and what it was given before that. */
  readonly #last = new Map<string, Last>();
  /** Names by kind, so that the few persons are not looked for among many agents. */
  readonly #names = new Map<DocumentKind, Set<string>>();
  /** Tools and contracts in force that mark a field as personal. */
  readonly #marking = new Set<string>();
  /** Tools by hash, for actions that were approved under a version which is no longer in force. */
  readonly #tools = new Map<Digest, Tool>();

  constructor(ns: Namespace, journal: StreamReader, documents: Documents) {
    this.#ns = ns;
    this.#journal = journal;
    this.#documents = documents;
  }

  /**
   * Reads what is in force. Call again at any time.
   * @param wanted which documents are needed themselves; of the others only digest and version are known then
   * @throws ReadError
   */
  async load(wanted: (kind: DocumentKind, name: string) => boolean = () => true): Promise<void> {
    for (const kind of DOCUMENT_KINDS) {
      const last = new Map<string, Last>();
      for await (const message of this.#journal.read({ subject: patterns.logOfKind(this.#ns, kind) })) {
        const name = parseLog(message.subject)?.name;
        const { body } = decodeEvent(message);
        if (name === undefined || body.type !== `${kind}.applied`) continue;
        const { document, previous, version } = body.data as EventData<"agent.applied">;
        last.set(name, { digest: document, previous, version });
      }
      for (const [name, state] of last) this.#last.set(`${kind}/${name}`, state);
      const names = [...last.keys()].filter((name) => wanted(kind, name));
      for (let from = 0; from < names.length; from += FETCHED_AT_ONCE) {
        const some = names.slice(from, from + FETCHED_AT_ONCE);
        await Promise.all(some.map((name) => this.put(kind, name, (last.get(name) as Last).digest)));
      }
    }
  }

  /**
   * Takes over what was just applied. What is missing or damaged is not in force: whatever needs it is refused.
   * @throws ReadError, and then what was in force stays in force: try again
   */
  async put(kind: DocumentKind, name: string, digest: Digest): Promise<void> {
    const document = await this.document(digest);
    const key = `${kind}/${name}`;
    const last = this.#last.get(key);
    if (last?.digest !== digest) this.#last.set(key, { digest, previous: last?.digest, version: (last?.version ?? 0) + 1 });
    if (document?.kind === kind && document.name === name) {
      this.#current.set(key, { digest, value: document.value });
      const names = this.#names.get(kind) ?? new Set();
      this.#names.set(kind, names.add(name));
      if (document.kind === "tool") this.#tools.set(digest, document.value);
      if (marks(document)) this.#marking.add(key);
      else this.#marking.delete(key);
    } else {
      this.#current.delete(key);
      this.#marking.delete(key);
    }
  }

  /** Any version of any document; undefined when it is missing or is no document. @throws ReadError: asking again may help */
  async document(digest: Digest): Promise<Document | undefined> {
    try {
      return readApplied(await this.#documents.get(digest));
    } catch (error) {
      if (error instanceof ReadError) throw error;
      return undefined;
    }
  }

  /** The document of a name that is in force; undefined when there is none, or when what was applied cannot be read. */
  inForce<K extends DocumentKind>(kind: K, name: string): InForce<DocumentValues[K]> | undefined {
    return this.#current.get(`${kind}/${name}`) as InForce<DocumentValues[K]> | undefined;
  }
  /** What was applied last under a name, whether or not it can be read. */
  applied(kind: DocumentKind, name: string): Digest | undefined {
    return this.#last.get(`${kind}/${name}`)?.digest;
  }
  /** How many names of a kind there are. */
  count(kind: DocumentKind): number {
    return [...this.#last.keys()].filter((key) => key.startsWith(`${kind}/`)).length;
  }
  /** How many versions there were; 0 when there was none. */
  version(kind: DocumentKind, name: string): number {
    return this.#last.get(`${kind}/${name}`)?.version ?? 0;
  }
  /** The version that was in force before the one that is. */
  previous(kind: DocumentKind, name: string): Digest | undefined {
    return this.#last.get(`${kind}/${name}`)?.previous;
  }
  contract(agent: string): InForce<Contract> | undefined {
    return this.inForce("agent", agent);
  }
  tool(name: string): InForce<Tool> | undefined {
    return this.inForce("tool", name);
  }
  /** A version of a tool that was in force at some time since this view was made. */
  toolVersion(digest: Digest): Tool | undefined {
    return this.#tools.get(digest);
  }
  rememberTool(digest: Digest, tool: Tool): void {
    this.#tools.set(digest, tool);
  }
  /** The set that rules the namespace. */
  policy(): InForce<PolicySet> | undefined {
    return this.inForce("policy", RULING_POLICY_SET);
  }
  policySet(name: string): InForce<PolicySet> | undefined {
    return this.inForce("policy", name);
  }
  /** By the name that a NATS credential carries. */
  person(name: string): InForce<Person> | undefined {
    return this.inForce("person", name);
  }
  persons(): InForce<Person>[] {
    return this.#all("person");
  }
  issuer(name: string): InForce<Issuer> | undefined {
    return this.inForce("issuer", name);
  }
  issuers(): InForce<Issuer>[] {
    return this.#all("issuer");
  }
  /** The limits of an account of the ledger, as `team.support` (see `budgetName`). */
  budget(account: string): InForce<BudgetDocument> | undefined {
    return this.inForce("budget", account);
  }
  contracts(): InForce<Contract>[] {
    return this.#all("agent");
  }
  /** Whether any tool or contract in force marks a field as personal. */
  marksPersonal(): boolean {
    return this.#marking.size > 0;
  }
  /** Names of the tools in force. */
  toolNames(): string[] {
    return [...(this.#names.get("tool") ?? [])].filter((name) => this.#current.has(`tool/${name}`));
  }

  #all<K extends DocumentKind>(kind: K): InForce<DocumentValues[K]>[] {
    return [...(this.#names.get(kind) ?? [])].flatMap((name) => this.inForce(kind, name) ?? []);
  }
}

function marks(document: Document): boolean {
  if (document.kind === "tool") return document.value.personal.length > 0;
  return document.kind === "agent" && document.value.tools.allowlist.some(({ personal }) => personal !== undefined && personal.length > 0);
}
