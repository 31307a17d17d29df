/**
 * What a document must keep to beyond its form, as far as it alone can tell. Asked when a document is written and when
 * it is applied, never when one that was applied before is read again: a new demand does not undo an old document.
 */
import { accountNameSchema, RESERVED_PREFIX } from "../../schemas/ids.ts";
import { budgetName } from "../../schemas/budget.ts";
import type { Contract } from "../../schemas/contract.ts";
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
      return [...contractDemands(document.value), ...accounts(document.value)];
    case "tool":
      return toolDemands(document.value);
    case "issuer":
      return issuerDemands(document.value);
    case "budget":
      return account(document.name, ["budget", "name"]);
    case "person":
    case "policy":
      return [];
  }
}

function accounts({ agent: { team, project } }: Contract): Finding[] {
  return [
    ...account(budgetName({ scope: "team", name: team }), ["agent", "team"]),
    ...(project === undefined ? [] : account(budgetName({ scope: "project", name: project }), ["agent", "project"])),
  ];
}

/** An account stands in subjects, and a name that is long when it is escaped does not. */
function account(name: string, path: readonly string[]): Finding[] {
  if (accountNameSchema.safeParse(name).success) return [];
  return [{ path, code: "document.invalid", message: "the name is too long for an account of the ledger", help: "characters beyond A-Z, a-z, 0-9, `_` and `-` count three for each of their bytes, and 400 are the limit" }];
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
