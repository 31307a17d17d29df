/** The documents in force: what the journal says was applied last, read from the content-addressed store. */
import { DOCUMENT_KINDS, type DocumentKind } from "../../machines/registry.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import { type PolicySet, RULING_POLICY_SET } from "../../schemas/policy.ts";
import { parseLog, patterns } from "../../schemas/subjects.ts";
import type { Tool } from "../../schemas/tool.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { Documents } from "../bus/documents.ts";
import { ReadError, type StreamReader } from "../bus/journal.ts";
import type { Document } from "./kinds.ts";
import { readStored } from "./parse.ts";

export interface InForce<T> {
  readonly digest: Digest;
  readonly value: T;
}

export class RegistryView {
  readonly #ns: Namespace;
  readonly #journal: StreamReader;
  readonly #documents: Documents;
  readonly #current = new Map<string, InForce<Document["value"]>>();
  /** Tools by hash, for actions that were approved under a version which is no longer in force. */
  readonly #tools = new Map<Digest, Tool>();

  constructor(ns: Namespace, journal: StreamReader, documents: Documents) {
    this.#ns = ns;
    this.#journal = journal;
    this.#documents = documents;
  }

  /** Reads what is in force. Call again at any time. @throws ReadError */
  async load(): Promise<void> {
    for (const kind of DOCUMENT_KINDS) {
      const last = new Map<string, Digest>();
      for await (const message of this.#journal.read({ subject: patterns.logOfKind(this.#ns, kind) })) {
        const name = parseLog(message.subject)?.name;
        const { body } = decodeEvent(message);
        if (name !== undefined && body.type === `${kind}.applied`) last.set(name, body.data["document"] as Digest);
      }
      for (const [name, digest] of last) await this.put(kind, name, digest);
    }
  }

  /**
   * Takes over what was just applied. What is missing or damaged is not in force: whatever needs it is refused.
   * @throws ReadError, and then what was in force stays in force: try again
   */
  async put(kind: DocumentKind, name: string, digest: Digest): Promise<void> {
    const document = await this.document(digest);
    if (document?.kind === kind && document.name === name) {
      this.#current.set(`${kind}/${name}`, { digest, value: document.value });
      if (document.kind === "tool") this.#tools.set(digest, document.value);
    } else this.#current.delete(`${kind}/${name}`);
  }

  /** Any version of any document; undefined when it is missing or is no document. @throws ReadError: asking again may help */
  async document(digest: Digest): Promise<Document | undefined> {
    try {
      return readStored(await this.#documents.get(digest)).document;
    } catch (error) {
      if (error instanceof ReadError) throw error;
      return undefined;
    }
  }

  contract(agent: string): InForce<Contract> | undefined {
    return this.#current.get(`agent/${agent}`) as InForce<Contract> | undefined;
  }
  tool(name: string): InForce<Tool> | undefined {
    return this.#current.get(`tool/${name}`) as InForce<Tool> | undefined;
  }
  /** A version of a tool that was in force at some time since this view was made. */
  toolVersion(digest: Digest): Tool | undefined {
    return this.#tools.get(digest);
  }
  rememberTool(digest: Digest, tool: Tool): void {
    this.#tools.set(digest, tool);
  }
  policy(): InForce<PolicySet> | undefined {
    return this.#current.get(`policy/${RULING_POLICY_SET}`) as InForce<PolicySet> | undefined;
  }
  /** Names of the tools in force. */
  toolNames(): string[] {
    return [...this.#current.keys()].filter((key) => key.startsWith("tool/")).map((key) => key.slice("tool/".length));
  }
}
