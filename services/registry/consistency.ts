/**
 * Whether documents fit together, as the set that would be in force after a change.
 *
 * A fault is what could not mean what it says: a limit on a field that the tool does not have, two issuers of one name.
 * It refuses the change, also when it is a document in force that no longer fits. A warning is what works and is
 * probably not meant: a tool that nobody applied yet can still come, and until then nothing is allowed by it.
 */
import type { Contract, ContractTool } from "../../schemas/contract.ts";
import { budgetName } from "../../schemas/budget.ts";
import { fieldSegments } from "../../schemas/field.ts";
import type { Issuer } from "../../schemas/issuer.ts";
import type { Person } from "../../schemas/person.ts";
import { DEFAULT_REVIEW, type PolicySet } from "../../schemas/policy.ts";
import type { Tool } from "../../schemas/tool.ts";
import { dataOf, destinationFaults } from "../policy/destination.ts";
import { declares, typesAt } from "./declares.ts";
import { type Finding, nearest } from "./explain.ts";
import type { Document } from "./kinds.ts";
import { touches } from "./personal.ts";
import type { InForce } from "./view.ts";

/** The documents in force; the registry's view has them. */
export interface Standing {
  contract(agent: string): InForce<Contract> | undefined;
  contracts(): readonly InForce<Contract>[];
  tool(name: string): InForce<Tool> | undefined;
  toolNames(): readonly string[];
  issuers(): readonly InForce<Issuer>[];
  persons(): readonly InForce<Person>[];
  policy(): InForce<PolicySet> | undefined;
  inForce(kind: Document["kind"], name: string): InForce<Document["value"]> | undefined;
}

export interface Inconsistency extends Finding {
  /** The document of the change that it is about. */
  readonly document: Document;
  readonly severity: "fault" | "warning";
}

/** Every way in which the documents do not fit with each other and with those that stay in force. */
export function inconsistencies(standing: Standing, documents: readonly Document[]): Inconsistency[] {
  return new Check(standing, documents).all();
}

class Check {
  readonly #standing: Standing;
  readonly #documents: readonly Document[];
  readonly #agents = new Map<string, Document & { kind: "agent" }>();
  readonly #tools = new Map<string, Document & { kind: "tool" }>();
  readonly #found: Inconsistency[] = [];

  constructor(standing: Standing, documents: readonly Document[]) {
    this.#standing = standing;
    this.#documents = documents;
    for (const document of documents) {
      if (document.kind === "agent") this.#agents.set(document.name, document);
      if (document.kind === "tool") this.#tools.set(document.name, document);
    }
  }

  all(): Inconsistency[] {
    for (const document of this.#documents) {
      if (document.kind === "agent") this.#contract(document);
      if (document.kind === "issuer") this.#issuer(document);
      if (document.kind === "budget") this.#budget(document);
    }
    if (this.#tools.size > 0) this.#contractsInForce();
    this.#reviewers();
    return this.#found;
  }

  #contract(document: Document & { kind: "agent" }): void {
    const { tools, handoffs } = document.value;
    tools.allowlist.forEach((entry, i) => {
      const at = ["tools", "allowlist", String(i)];
      const tool = this.#tools.get(entry.name)?.value ?? this.#standing.tool(entry.name)?.value;
      if (tool === undefined) {
        const help = nearest(entry.name, [...this.#tools.keys(), ...this.#standing.toolNames()]) ?? "until it is applied, nothing is allowed by this entry";
        this.#warn(document, { path: [...at, "name"], code: "contract.tool_unknown", message: `no tool \`${entry.name}\` is in force`, help });
        return;
      }
      for (const finding of entryFaults(entry, tool)) this.#fault(document, { ...finding, path: [...at, ...finding.path] });
      for (const finding of entryWarnings(document.value, entry, tool)) this.#warn(document, { ...finding, path: [...at, ...finding.path] });
    });
    handoffs?.forEach(({ to }, i) => {
      if (!("agent" in to) || this.#agents.has(to.agent) || this.#standing.contract(to.agent) !== undefined) return;
      this.#warn(document, { path: ["handoffs", String(i), "to", "agent"], code: "contract.handoff_unknown", message: `no agent \`${to.agent}\` is in force` });
    });
  }

  /** A tool that changes must still fit with the contracts that stay as they are. */
  #contractsInForce(): void {
    const warned = new Set<string>();
    for (const { value } of this.#standing.contracts()) {
      if (this.#agents.has(value.agent.name)) continue;
      for (const entry of value.tools.allowlist) {
        const document = this.#tools.get(entry.name);
        if (document === undefined) continue;
        const { name } = document.value;
        if (leavesToPersons(document.value) && !warned.has(name) && !leavesToPersons(this.#standing.tool(name)?.value)) {
          warned.add(name);
          this.#warn(document, { path: ["effect"], code: "tool.in_doubt", message: `an attempt whose end is unknown needs a person from now on, as under the contract of \`${value.agent.name}\``, help: ASKABLE });
        }
        for (const { message, help } of entryFaults(entry, document.value)) {
          const told = help === undefined ? "" : `; ${help}`;
          this.#fault(document, { path: ["input"], code: "tool.contract", message: `the contract of \`${value.agent.name}\` no longer fits: ${message}`, help: `change that contract together with the tool${told}` });
        }
      }
    }
  }

  /** A token names its issuer by `iss` alone: two documents for one would be two opinions of it. */
  #issuer(document: Document & { kind: "issuer" }): void {
    const { iss } = document.value.issuer;
    const changed = this.#documents.filter((other) => other.kind === "issuer");
    const kept = this.#standing.issuers().filter(({ value }) => !changed.some(({ name }) => name === value.issuer.name));
    const others = [...changed.filter((other) => other !== document).map(({ value }) => value), ...kept.map(({ value }) => value)];
    const twin = others.find(({ issuer }) => issuer.iss === iss);
    if (twin === undefined) return;
    this.#fault(document, { path: ["issuer", "iss"], code: "issuer.twice", message: `the issuer \`${twin.issuer.name}\` has the same \`iss\``, help: "one document describes one issuer" });
  }

  #budget(document: Document & { kind: "budget" }): void {
    const { scope, name } = document.value.budget;
    const meant = ({ agent }: Contract) => (scope === "agent" ? agent.name : scope === "team" ? agent.team : agent.project) === name;
    if ([...this.#agents.values()].some(({ value }) => meant(value)) || this.#standing.contracts().some(({ value }) => meant(value))) return;
    this.#warn(document, { path: ["budget", "name"], code: "budget.nobody", message: `no contract in force is of the ${scope} \`${name}\`, so \`${budgetName({ scope, name })}\` limits nothing` });
  }

  /** Once too few persons could agree, nobody can change the set any more. */
  #reviewers(): void {
    const persons = new Map(this.#standing.persons().map(({ value }) => [value.person.name as string, value]));
    for (const document of this.#documents) if (document.kind === "person") persons.set(document.name, document.value);
    const set = this.#documents.find((document) => document.kind === "policy");
    const about = set ?? this.#documents.find((document) => document.kind === "person");
    const ruling = set?.value ?? this.#standing.policy()?.value;
    if (about === undefined || ruling === undefined) return;
    const { role, count } = ruling.settings?.review ?? DEFAULT_REVIEW;
    const able = new Set([...persons.values()].filter(({ person }) => person.disabled !== true && person.roles.includes(role)).map(({ person }) => JSON.stringify([person.issuer, person.subject])));
    if (able.size >= count) return;
    const who = able.size === 0 ? "nobody holds" : able.size === 1 ? "one person holds" : `${able.size} persons hold`;
    this.#warn(about, { path: [], code: "policy.reviewers", message: `a change of the policy set asks for ${count} \`${role}\`, and ${who} that role`, help: "apply documents of kind `person`" });
  }

  #fault(document: Document, finding: Finding): void {
    this.#found.push({ ...finding, document, severity: "fault" });
  }

  #warn(document: Document, finding: Finding): void {
    this.#found.push({ ...finding, document, severity: "warning" });
  }
}

/** What an entry of the allowlist says of its tool, and the tool is not. */
function entryFaults(entry: ContractTool, tool: Tool): Finding[] {
  const found: Finding[] = [];
  const { requires_approval_above: above, standing_approval: standing } = entry;
  found.push(...personalFaults(entry, tool));
  if (above !== undefined) {
    const at = ["requires_approval_above"];
    found.push(...fieldFault(tool, above.field, [...at, "field"]));
    if (above.per_target_day !== undefined && tool.amount?.target === undefined) {
      found.push({ path: [...at, "per_target_day"], code: "contract.target", message: `\`${tool.name}\` does not say to whom an amount goes`, help: "add `amount: { target }` to the tool" });
    }
  }
  standing?.vary.forEach((pointer, i) => {
    if (declares(tool.input, pointer)) return;
    found.push({ path: ["standing_approval", "vary", String(i)], code: "contract.field", message: `\`${pointer}\` is not declared in the input of \`${tool.name}\`` });
  });
  if (standing !== undefined && tool.amount === undefined && above === undefined) {
    for (const limit of ["max_amount", "max_total"] as const) {
      if (standing[limit] === undefined) continue;
      found.push({ path: ["standing_approval", limit], code: "contract.amount", message: `\`${tool.name}\` declares no amount that could be compared`, help: "add `amount: { field, currency }` to the tool" });
    }
  }
  return found;
}

/** Law 10: nothing is judged by a personal field, whoever marks it and whoever reads it. */
function personalFaults(entry: ContractTool, tool: Tool): Finding[] {
  const found: Finding[] = [];
  entry.personal?.forEach((mark, i) => {
    for (const side of ["path", "subject"] as const) {
      if (declares(tool.input, mark[side]) || declares(tool.output, mark[side])) continue;
      found.push({ path: ["personal", String(i), side], code: "contract.field", message: `\`${mark[side]}\` is declared neither in the input nor in the output of \`${tool.name}\`` });
    }
  });
  const all = [...tool.personal, ...(entry.personal ?? [])].map(({ path }) => fieldSegments(path));
  const reads = (field: string, path: readonly string[], what: string) => {
    if (!all.some((mark) => touches(mark, fieldSegments(field)))) return;
    found.push({ path, code: "contract.personal", message: `\`${field}\` of \`${tool.name}\` is personal, and ${what} by it`, help: "take it out of `personal`, or name another field" });
  };
  if (entry.requires_approval_above !== undefined) reads(entry.requires_approval_above.field, ["requires_approval_above", "field"], "nothing is judged");
  // what may not vary is compared, and no two sealed values are the same
  const { vary = [] } = entry.standing_approval ?? {};
  const varies = (mark: readonly string[]) => vary.some((pointer) => fieldSegments(pointer).every((segment, i) => segment === mark[i]));
  const compared = entry.standing_approval === undefined ? [] : [...tool.personal, ...(entry.personal ?? [])].filter(({ path }) => declares(tool.input, path) && !varies(fieldSegments(path)));
  for (const { path } of compared) {
    found.push({ path: ["standing_approval", "vary"], code: "contract.personal", message: `\`${path}\` of \`${tool.name}\` is personal, and a standing approval would compare it`, help: "let it vary, or leave `standing_approval` out" });
  }
  const { amount, tokens } = tool;
  const read = [amount?.field, amount?.target, typeof amount?.currency === "object" ? amount.currency.field : undefined, ...[tokens?.max_input, tokens?.max_output].map((limit) => (typeof limit === "object" ? limit.field : undefined))];
  if (entry.personal !== undefined) for (const field of read) if (field !== undefined) reads(field, ["personal"], "nothing is judged");
  return found;
}

function fieldFault(tool: Tool, field: string, path: readonly string[]): Finding[] {
  if (!declares(tool.input, field)) {
    return [{ path, code: "contract.field", message: `\`${field}\` is not declared in the input of \`${tool.name}\`` }];
  }
  const types = typesAt(tool.input, field);
  if (types === undefined || types.some((type) => type === "number" || type === "integer")) return [];
  return [{ path, code: "contract.field", message: `\`${field}\` of \`${tool.name}\` is ${types.join(" or ")}, and only a number is compared` }];
}

const ASKABLE = "let the tool answer a `probe`; or, if the same idempotency key takes effect once, say `idempotent: true` and give it `retries`";

/**
 * Whether a person has to find out what became of an attempt whose end nobody knows (EXEC-7): it is a write, it may not
 * be repeated on suspicion, or never is, and the tool cannot be asked. False for a tool that is not there.
 */
function leavesToPersons(tool: Tool | undefined): boolean {
  if (tool === undefined || tool.effect === "read" || tool.probe !== undefined) return false;
  return !tool.idempotent || tool.retries === 0;
}

function entryWarnings(contract: Contract, entry: ContractTool, tool: Tool): Finding[] {
  const found: Finding[] = [];
  const { standing_approval: standing } = entry;
  if (standing !== undefined && tool.effect === "irreversible") {
    found.push({ path: ["standing_approval"], code: "contract.standing", message: `\`${tool.name}\` is irreversible, and each use is asked about`, help: "an approval never stands for it" });
  }
  if (standing !== undefined && standing.max_amount === undefined && tool.amount !== undefined && standing.vary.some((pointer) => covers(pointer, tool.amount?.field ?? ""))) {
    found.push({ path: ["standing_approval", "vary"], code: "contract.standing", message: "the amount may vary, and nothing limits it", help: "add `max_amount` and `max_total`" });
  }
  if (leavesToPersons(tool)) found.push({ path: ["name"], code: "contract.in_doubt", message: `an attempt at \`${tool.name}\` whose end is unknown needs a person`, help: ASKABLE });
  const { regions, kinds } = dataOf(contract.data?.labels ?? []);
  const { name, region, clearance = [], tags, effect, idempotent, trusted = false } = tool;
  const asked = { name, clearance, tags, effect, idempotent, trusted, ...(region !== undefined && { region }) };
  for (const { message, code, help } of destinationFaults({ tool: asked, labels: kinds, regions })) {
    found.push({ path: ["name"], code, message: `every call is denied: ${message}`, ...(help !== undefined && { help }) });
  }
  return found;
}

function covers(pointer: string, field: string): boolean {
  const dotted = field.startsWith("/") ? field : `/${field.replaceAll(".", "/")}`;
  return dotted === pointer || dotted.startsWith(`${pointer}/`);
}
