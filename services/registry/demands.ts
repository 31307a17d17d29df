/**
 * What a document must keep to beyond its form, as far as it alone can tell. Asked when a document is written and when
 * it is applied, never when one that was applied before is read again: a new demand does not undo an old document.
 */
import { RESERVED_PREFIX } from "../../schemas/ids.ts";
import { RESERVED_TOOLS } from "./built-in.ts";
import { contractDemands } from "./contract-demands.ts";
import { type Finding } from "./explain.ts";
import { issuerDemands } from "./issuer-demands.ts";
import { type Document } from "./kinds.ts";
import { toolDemands } from "./tool-demands.ts";

/** Every fault, with paths into the stored form. */
export function demands(document: Document): Finding[] {
  return [...reserved(document), ...ofKind(document)];
}

function ofKind(document: Document): Finding[] {
  switch (document.kind) {
    case "agent":
      return contractDemands(document.value);
    case "tool":
      return toolDemands(document.value);
    case "issuer":
      return issuerDemands(document.value);
    case "person":
    case "budget":
    case "policy":
      return [];
  }
}

const NAME_AT: { readonly [K in Document["kind"]]: readonly string[] } = {
  agent: ["agent", "name"],
  person: ["person", "name"],
  issuer: ["issuer", "name"],
  budget: ["budget", "name"],
  tool: ["name"],
  policy: ["name"],
};

/** The plane's own names: whoever could apply one would speak for the plane. */
function reserved(document: Document): Finding[] {
  const name = document.kind === "budget" ? document.value.budget.name : document.name;
  const taken = document.kind === "tool" ? name.startsWith(RESERVED_TOOLS) || name.startsWith(RESERVED_PREFIX) || name === "signalbox" : name.startsWith(RESERVED_PREFIX);
  if (!taken) return [];
  return [{ path: NAME_AT[document.kind], code: "document.reserved", message: `the name \`${name}\` is the plane's own`, help: "choose another name" }];
}
