/** What a contract must keep to beyond its form: nothing in it may contradict, or mean nothing. */
import { type Contract, type ContractTool } from "../../schemas/contract.ts";
import { RESERVED_PREFIX } from "../../schemas/ids.ts";
import { isPointer } from "../../schemas/field.ts";
import { RESERVED_TOOLS } from "./built-in.ts";
import { type Finding, nearest } from "./explain.ts";
import { schemaFindings } from "./json-schema.ts";
import { personalFindings } from "./personal.ts";

export function contractDemands(contract: Contract): Finding[] {
  const found: Finding[] = [];
  const say = (path: readonly (string | number)[], code: string, message: string, help?: string) => {
    found.push({ path: path.map(String), code: `contract.${code}`, message, ...(help !== undefined && { help }) });
  };
  allowlist(contract, say);
  budgets(contract, say);
  unique(contract.prompts?.map(({ name }) => name), (i, name) => say(["prompts", i, "name"], "prompt_twice", `the prompt \`${name}\` stands here twice`));
  unique(contract.namespaces, (i, name) => say(["namespaces", i], "namespace_twice", `the namespace \`${name}\` stands here twice`));
  unique(contract.models?.allow, (i, name) => say(["models", "allow", i], "model_twice", `the model \`${name}\` stands here twice`));
  unique(contract.data?.labels, (i, name) => say(["data", "labels", i], "label_twice", `the label \`${name}\` stands here twice`));
  if (contract.namespaces?.length === 0) say(["namespaces"], "namespaces", "an empty list of namespaces allows none", "leave it out to allow every namespace where the contract is applied");
  handoffs(contract, say);
  return found;
}

type Say = (path: readonly (string | number)[], code: string, message: string, help?: string) => void;

function allowlist({ tools }: Contract, say: Say): void {
  const names = tools.allowlist.map(({ name }) => name as string);
  tools.allowlist.forEach((entry, i) => {
    const at = ["tools", "allowlist", i];
    if (entry.name.startsWith(RESERVED_TOOLS)) say([...at, "name"], "tool_reserved", `\`${entry.name}\` is the plane's own tool, and no agent's`);
    unique(entry.after, (j, name) => say([...at, "after", j], "after_twice", `\`${name}\` stands here twice`));
    entry.after?.forEach((before, j) => {
      if (before === entry.name) say([...at, "after", j], "after", `\`${before}\` cannot come after itself`);
      else if (!names.includes(before)) say([...at, "after", j], "after", `\`${before}\` is not in the allowlist, so it never comes before`, nearest(before, names));
    });
    standing(entry, [...at, "standing_approval"], say);
    for (const { path, code, message, help } of personalFindings(entry.personal ?? [], [...at, "personal"], "contract")) say(path, code.slice("contract.".length), message, help);
    limits(entry, [...at, "requires_approval_above"], say);
  });
  for (const circle of circles(tools.allowlist)) {
    const i = names.indexOf(circle[0] ?? "");
    say(["tools", "allowlist", i, "after"], "after_circle", `the order is a circle: ${circle.map((name) => `\`${name}\``).join(" after ")}`, "none of them could ever come first");
  }
}

function standing({ standing_approval: standing }: ContractTool, at: readonly (string | number)[], say: Say): void {
  if (standing === undefined) return;
  standing.vary.forEach((pointer, i) => {
    if (!isPointer(pointer)) say([...at, "vary", i], "pointer", "expected a JSON pointer as `/amount_usd`", pointer.startsWith("/") ? undefined : `did you mean \`/${pointer.replaceAll(".", "/")}\``);
    else if (pointer === "") say([...at, "vary", i], "pointer", "the empty pointer is the whole input, and an approval of any input is none");
  });
  unique(standing.vary, (i, pointer) => say([...at, "vary", i], "pointer_twice", `\`${pointer}\` stands here twice`));
  const { max_amount: each, max_total: all } = standing;
  if (each !== undefined && Number(each) < 0) say([...at, "max_amount"], "amount", "expected an amount of at least 0");
  if (all !== undefined && Number(all) < 0) say([...at, "max_total"], "amount", "expected an amount of at least 0");
  if (each !== undefined && all !== undefined && Number(each) > Number(all)) {
    say([...at, "max_amount"], "amount", "one use may not be larger than all uses together", "raise `max_total`, or lower `max_amount`");
  }
}

/** A twin below the single limit would ask for what the single limit lets pass. */
function limits({ requires_approval_above: above }: ContractTool, at: readonly (string | number)[], say: Say): void {
  if (above === undefined) return;
  for (const twin of ["per_run", "per_target_day", "per_principal_day", "per_agent_day"] as const) {
    const limit = above[twin];
    if (limit !== undefined && Number(limit) < Number(above.value)) {
      say([...at, twin], "limit", `\`${twin}\` is below \`value\`, so \`value\` never holds`, `lower \`value\` to ${limit}, or raise \`${twin}\``);
    }
  }
}

function budgets({ budgets: given }: Contract, say: Say): void {
  const { pause_at_half, max_cost_usd_per_run: run, max_cost_usd_per_day: day, max_requests_per_minute: _, max_depth: __, ...ofRun } = given;
  const limited = run !== undefined || Object.values(ofRun).some((limit) => limit !== undefined);
  if (pause_at_half === true && !limited) {
    say(["budgets", "pause_at_half"], "budget", "there is no budget of the run to use half of", "set `max_steps`, `max_cost_usd_per_run` or another limit");
  }
  if (run !== undefined && day !== undefined && run > day) {
    say(["budgets", "max_cost_usd_per_run"], "budget", "one run may not cost more than all runs of a day", "lower it, or raise `max_cost_usd_per_day`");
  }
}

function handoffs({ agent, handoffs: given }: Contract, say: Say): void {
  given?.forEach(({ to, modes, payload }, i) => {
    const at = ["handoffs", i];
    if ("agent" in to && to.agent === agent.name) say([...at, "to", "agent"], "handoff", "an agent does not hand over to itself");
    if ("agent" in to && to.agent.startsWith(RESERVED_PREFIX)) say([...at, "to", "agent"], "handoff", `\`${to.agent}\` is the plane's own agent`);
    unique(modes, (j, mode) => say([...at, "modes", j], "handoff", `\`${mode}\` stands here twice`));
    for (const { path, message, help } of payload === undefined ? [] : schemaFindings(payload, [...at.map(String), "payload"])) say(path, "payload", message, help);
  });
  unique(given?.map(({ to }) => JSON.stringify(to)), (i) => say(["handoffs", i, "to"], "handoff_twice", "this receiver stands here twice"));
}

function unique(values: readonly string[] | undefined, twice: (index: number, value: string) => void): void {
  const seen = new Set<string>();
  values?.forEach((value, i) => {
    if (seen.has(value)) twice(i, value);
    seen.add(value);
  });
}

/** Circles of `after`, each told once, as the way from a tool back to itself. */
function circles(entries: readonly ContractTool[]): string[][] {
  const after = new Map(entries.map(({ name, after: before }) => [name as string, (before ?? []).filter((other) => other !== name)]));
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (name: string, way: readonly string[]): void => {
    const at = way.indexOf(name);
    if (at >= 0) return void found.push([...way.slice(at), name]);
    if (done.has(name)) return;
    for (const before of after.get(name) ?? []) visit(before, [...way, name]);
    done.add(name);
  };
  for (const name of after.keys()) visit(name, []);
  return found;
}
