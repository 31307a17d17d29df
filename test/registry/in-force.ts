/** A registry with documents in force, without a plane: the view itself, over documents that are held in memory. */
import { namespace } from "../../schemas/ids.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import type { Documents } from "../../services/bus/documents.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import type { StoredDocument } from "../../services/registry/kinds.ts";
import { parseDocuments, stored } from "../../services/registry/parse.ts";
import { RegistryView } from "../../services/registry/view.ts";

export const NS: Namespace = namespace("default");

export interface Registry {
  readonly view: RegistryView;
  /** Brings documents into force, in order. */
  apply(...documents: StoredDocument[]): Promise<void>;
  /** Stores documents and brings them not into force: what a change names. */
  store(...documents: StoredDocument[]): { kind: StoredDocument["kind"]; name: string; document: Digest }[];
  readonly bytes: (digest: Digest) => Uint8Array | null;
}

export function registry(): Registry {
  const bytes = new Map<Digest, Uint8Array>();
  const get = (digest: Digest) => {
    const found = bytes.get(digest);
    return found === undefined ? Promise.reject(new Error("missing")) : Promise.resolve(found);
  };
  const view = new RegistryView(NS, {} as StreamReader, { get } as Documents);
  const store: Registry["store"] = (...documents) =>
    documents.map(({ kind, name, digest, bytes: content }) => {
      bytes.set(digest, content);
      return { kind, name, document: digest };
    });
  return {
    view,
    store,
    bytes: (digest) => bytes.get(digest) ?? null,
    apply: async (...documents) => {
      store(...documents);
      for (const { kind, name, digest } of documents) await view.put(kind, name, digest);
    },
  };
}

/** Documents as people write them, without a fault. */
export function documents(text: string): StoredDocument[] {
  const parsed = parseDocuments(text, "test.yaml");
  if (parsed.faults.length > 0) throw new Error(JSON.stringify(parsed.faults));
  return parsed.documents.map(({ placeOf: _, ...document }) => document);
}

export function person(name: string, roles: readonly string[] = ["approver"], more: object = {}): StoredDocument {
  return stored({ kind: "person", name, value: { person: { name, issuer: "corp", subject: name, roles: [...roles], ...more } } } as never);
}

/** A policy set; what has no settings of its own is reviewed by one approver. */
export function policySet(cedar: string, settings?: object, name = "default"): StoredDocument {
  return stored({ kind: "policy", name, value: { name, files: { "all.cedar": cedar }, ...(settings && { settings }) } } as never);
}
