/** The single things of a request, and of what a contract says, that can be otherwise; and how each is put otherwise. */
import type { ContractTool } from "../../schemas/contract.ts";
import { EFFECTS, type JudgementRequest } from "../../schemas/judgement.ts";
import { plusMillis, timestamp } from "../../schemas/time.ts";
import { countedText, countedUnits, MAX_COUNTED } from "./decimal.ts";
import type { Literals } from "./literals.ts";
import type { Asked } from "./verdict.ts";

/** A number, in whole steps: ones, or ten-thousandths of a decimal. */
export interface NumberField {
  readonly path: string;
  readonly from: number;
  readonly max: number;
  readonly decimal: boolean;
  /** Values at which something may turn. */
  readonly near: readonly number[];
  put(steps: number): Asked;
}

/** One way in which something that is no number can be otherwise. */
export interface Variant {
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly asked: Asked;
}

const MAX_LONG = 2 ** 40;

export function numberFields(asked: Asked, literals: Literals): NumberField[] {
  const { request } = asked;
  const fields: NumberField[] = [];
  const decimals = [...literals.decimals].flatMap((text) => countedUnits(text, "up") ?? []);
  const change = (some: Partial<JudgementRequest>): Asked => ({ ...asked, request: { ...request, ...some } });
  const long = (path: string, from: number, put: (value: number) => Partial<JudgementRequest>) =>
    fields.push({ path, from, max: MAX_LONG, decimal: false, near: [...literals.longs], put: (value) => change(put(value)) });
  const decimal = (path: string, from: number, max: number, near: readonly number[], put: (steps: number) => Asked) => fields.push({ path, from, max, decimal: true, near, put });

  const limit = asked.entry.requires_approval_above;
  const limits = limitsOf(limit).map(([, units]) => units);
  const { amount, amounts, confidence, risk, tokens, run } = request;
  const units = amount === undefined ? undefined : countedUnits(amount, "up");
  if (units !== undefined) {
    // a sum is this amount and the rest
    const shifted = (steps: number) =>
      amounts && (Object.fromEntries(Object.entries(amounts).map(([name, sum]) => [name, countedText(Math.max(0, (countedUnits(sum ?? 0, "up") ?? 0) - units + steps))])) as typeof amounts);
    decimal("amount", units, MAX_COUNTED, [...decimals, ...limits, ...sumLimits(asked, units)], (steps) => change({ amount: countedText(steps), amounts: shifted(steps) }));
  }
  for (const name of ["in_run", "target_day", "principal_day", "agent_day"] as const) {
    const sum = amounts?.[name];
    if (amounts === undefined || sum === undefined) continue;
    decimal(`amounts.${name}`, countedUnits(sum, "up") ?? 0, MAX_COUNTED, [...decimals, ...limits], (steps) => change({ amounts: { ...amounts, [name]: countedText(steps) } }));
  }
  if (confidence !== undefined) decimal("confidence", Math.floor(confidence * 10_000), 10_000, decimals, (steps) => change({ confidence: steps / 10_000 }));
  if (risk !== undefined) decimal("risk", Math.ceil(risk * 10_000), 10_000, decimals, (steps) => change({ risk: steps / 10_000 }));
  long("tokens.input", tokens.input, (input) => ({ tokens: { ...tokens, input } }));
  long("tokens.output", tokens.output, (output) => ({ tokens: { ...tokens, output } }));
  long("cost_micro_usd", request.cost_micro_usd, (cost_micro_usd) => ({ cost_micro_usd }));
  long("sources", request.sources, (sources) => ({ sources }));
  for (const name of ["steps", "cost_micro_usd", "input_tokens", "output_tokens", "elapsed_seconds", "depth"] as const) {
    long(`run.${name}`, run[name], (value) => ({ run: { ...run, [name]: value } }));
  }
  for (const name of ["successes", "failures"] as const) {
    const tools = new Set([...Object.keys(run[name]), ...literals.counted]);
    for (const tool of tools) long(`run.${name}.${tool}`, run[name][tool] ?? 0, (value) => ({ run: { ...run, [name]: without0({ ...run[name], [tool]: value }) } }));
  }
  for (const [name, from] of limitsOf(limit)) {
    const near = [units, ...Object.values(amounts ?? {}).map((sum) => countedUnits(sum ?? 0, "up"))].flatMap((value) => value ?? []);
    const put = (steps: number): Asked => ({ ...asked, entry: { ...asked.entry, requires_approval_above: { ...(limit as NonNullable<typeof limit>), [name]: countedText(steps) } } });
    decimal(`contract.requires_approval_above.${name}`, from, MAX_COUNTED, near, put);
  }
  return fields;
}

/** A count of nothing is no entry at all. */
function without0(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function limitsOf(limit: ContractTool["requires_approval_above"]): [string, number][] {
  if (limit === undefined) return [];
  return (["value", "per_run", "per_target_day", "per_principal_day", "per_agent_day"] as const).flatMap((name): [string, number][] => {
    const units = limit[name] === undefined ? undefined : countedUnits(limit[name], "down");
    return units === undefined ? [] : [[name, units]];
  });
}

/** Amounts with which a sum reaches one of the contract's limits. */
function sumLimits({ request, entry }: Asked, units: number): number[] {
  const limits = limitsOf(entry.requires_approval_above).flatMap(([, limit]) => [limit, 10 * limit, 100 * limit]);
  const rests = Object.values(request.amounts ?? {}).map((sum) => (countedUnits(sum ?? 0, "up") ?? 0) - units);
  return rests.flatMap((rest) => limits.map((limit) => limit - rest)).filter((amount) => amount >= 0);
}

/** A value that nobody names. */
const OTHER = "another";

export function variants(asked: Asked, literals: Literals): Variant[] {
  const { request, entry, unclear } = asked;
  const { agent, tool, principal, run } = request;
  const found: Variant[] = [];
  const add = (path: string, from: unknown, to: unknown, some: Partial<JudgementRequest>) => void found.push({ path, from, to, asked: { ...asked, request: { ...request, ...some } } });
  const named = (...names: readonly string[]) => names.flatMap((name) => [...(literals.words.get(name) ?? []), ...(literals.beginnings.get(name) ?? [])]);

  const text = (path: string, from: string | undefined, put: (value: string | undefined) => Partial<JudgementRequest>, more: readonly string[] = [], optional = false) => {
    for (const word of new Set([...more, ...named(lastOf(path)), OTHER])) if (word !== from && word !== "") add(path, from, word, put(word));
    if (optional && from !== undefined) add(path, from, undefined, put(undefined));
  };
  for (const name of ["name", "team", "owner"] as const) text(`agent.${name}`, agent[name], (value) => ({ agent: { ...agent, [name]: value ?? "" } }), name === "name" ? named("Agent") : []);
  for (const name of ["version", "project"] as const) text(`agent.${name}`, agent[name], (value) => ({ agent: defined({ ...agent, [name]: value }) }), [], true);
  text("namespace", request.namespace, (value) => ({ namespace: value ?? "" }));
  text("tool.name", tool.name, (value) => ({ tool: { ...tool, name: value ?? "" } }), named("Tool"));
  const places = [...request.regions, ...request.labels.flatMap((label) => (label.startsWith("region:") ? [label.slice("region:".length)] : []))];
  text("tool.region", tool.region, (value) => ({ tool: defined({ ...tool, region: value }) }), places, true);
  text("currency", request.currency, (value) => defined({ currency: value }), [], true);
  text("region", request.region, (value) => defined({ region: value }), [], true);
  for (const effect of EFFECTS) if (effect !== tool.effect) add("tool.effect", tool.effect, effect, { tool: { ...tool, effect } });

  const flag = (path: string, from: boolean, some: Partial<JudgementRequest>) => add(path, from, !from, some);
  flag("tool.idempotent", tool.idempotent, { tool: { ...tool, idempotent: !tool.idempotent } });
  flag("tool.trusted", tool.trusted, { tool: { ...tool, trusted: !tool.trusted } });
  flag("tainted", request.tainted, { tainted: !request.tainted });
  if (principal === null) add("principal", null, "verified", { principal: { subject: OTHER, issuer: OTHER, verified: true, roles: [] } });
  else {
    const { expired: _, ...who } = principal;
    flag("principal.verified", principal.verified, { principal: { ...who, verified: !principal.verified } });
    add("principal", principal.subject, null, { principal: null });
    text("principal.subject", principal.subject, (value) => ({ principal: { ...principal, subject: value ?? "" } }));
    text("principal.issuer", principal.issuer, (value) => ({ principal: defined({ ...principal, issuer: value }) }), [], true);
  }

  const set = (path: string, from: readonly string[], put: (value: string[]) => Partial<JudgementRequest>, more: readonly string[] = []) => {
    for (const gone of from) add(path, gone, undefined, put(from.filter((word) => word !== gone)));
    for (const word of new Set([...more, ...named(lastOf(path))])) if (!from.includes(word)) add(path, undefined, word, put([...from, word]));
  };
  set("tool.tags", tool.tags, (tags) => ({ tool: { ...tool, tags } }));
  set("tool.clearance", tool.clearance, (clearance) => ({ tool: { ...tool, clearance } }), request.labels);
  set("labels", request.labels, (labels) => ({ labels }));
  set("regions", request.regions, (regions) => ({ regions }), tool.region === undefined ? [] : [tool.region]);
  set("run.succeeded", run.succeeded, (succeeded) => ({ run: { ...run, succeeded } }));
  set("run.failed", run.failed, (failed) => ({ run: { ...run, failed } }));
  if (principal !== null) set("principal.roles", principal.roles, (roles) => ({ principal: { ...principal, roles } }));

  for (const at of times(request.at, literals)) add("at", request.at, at, { at });
  if (request.confidence !== undefined) add("confidence", request.confidence, undefined, omit(request, "confidence"));
  if (unclear.length > 0) found.push({ path: "amount", from: unclear.map(({ code }) => code).join(", "), to: "a clear amount", asked: { ...asked, unclear: [] } });
  if (entry.requires_approval !== undefined || entry.requires_approval_above === undefined) {
    const to = entry.requires_approval !== true;
    found.push({ path: "contract.requires_approval", from: !to, to, asked: { ...asked, entry: { ...entry, requires_approval: to } } });
  }
  return found;
}

const lastOf = (path: string) => path.slice(path.lastIndexOf(".") + 1);

function omit(request: JudgementRequest, name: "confidence"): Partial<JudgementRequest> {
  return { ...request, [name]: undefined };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

/** Other hours of the day, the same hour on other days of the week, and the beginnings of times that policies name. */
function times(at: string, { beginnings }: Literals): string[] {
  const hours = Array.from({ length: 24 }, (_, hour) => `${at.slice(0, 11)}${String(hour).padStart(2, "0")}${at.slice(13)}`);
  const days = [1, 2, 3, 4, 5, 6].map((days) => plusMillis(at, days * 86_400_000));
  const named = [...(beginnings.get("iso") ?? [])].flatMap((text) => {
    if (!/^\d{4}/.test(text)) return [];
    const ms = Date.parse(`${text}${"0000-01-01T12:00:00.000Z".slice(text.length)}`);
    return Number.isNaN(ms) ? [] : [timestamp(ms)];
  });
  const hour = Number(at.slice(11, 13));
  const nearest = hours.toSorted((a, b) => Math.abs(Number(a.slice(11, 13)) - hour) - Math.abs(Number(b.slice(11, 13)) - hour));
  return [...nearest, ...days, ...named].filter((one) => one !== at);
}
