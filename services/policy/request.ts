/**
 * A judgement request as Cedar takes it. Each value that is handed over costs about 5 µs, so what no policy reads is
 * not even built; `reads.ts` makes sure that the rest is validated against a schema without it.
 */
import type { CedarValueJson, EntityJson } from "@cedar-policy/cedar-wasm/nodejs";
import type { JudgementRequest } from "../../schemas/judgement.ts";
import { usd } from "../../schemas/money.ts";
import type { Fixed } from "./beside.ts";
import { cedarDecimal } from "./decimal.ts";
import type { CedarRequest } from "./engine.ts";
import type { Reads } from "./reads.ts";

/** A value of the request that Cedar has no form for. */
export class BeyondCedar extends Error {
  override readonly name = "BeyondCedar";
}

type Record_ = Record<string, CedarValueJson>;

/** What of a request does not change while an agent and a tool are what they are. */
export function fixedOf({ agent, tool, namespace }: JudgementRequest): Fixed {
  const principal = { name: agent.name, version: agent.version ?? "", team: agent.team, owner: agent.owner, project: agent.project, namespace };
  const { name, tags, effect, idempotent, region, trusted, clearance } = tool;
  return {
    principal: { id: agent.name, attrs: defined(principal) },
    resource: { id: name, attrs: defined({ name, tags: [...tags], effect, idempotent, region, trusted, clearance: [...clearance] }) },
  };
}

/** @throws BeyondCedar */
export function cedarRequest(request: JudgementRequest, reads: Reads, fixed: Fixed = fixedOf(request)): CedarRequest {
  const { tool, principal, tokens, run } = request;
  const read = (name: string) => reads === undefined || reads.has(name);
  const context: Record_ = {};
  const put = (name: string, value: () => CedarValueJson | undefined) => {
    if (!read(name)) return;
    const found = value();
    if (found !== undefined) context[name] = found;
  };
  const principalUid = { type: "Agent", id: fixed.principal.id };
  const resourceUid = { type: "Tool", id: fixed.resource.id };
  const entities: EntityJson[] = [
    { uid: principalUid, attrs: { ...fixed.principal.attrs }, parents: [] },
    { uid: resourceUid, attrs: { ...fixed.resource.attrs }, parents: [] },
  ];
  put("principal", () => principal === null ? undefined : defined({ subject: principal.subject, issuer: principal.issuer, verified: principal.verified, roles: [...principal.roles] }));
  // an amount that cannot be compared is an error whoever reads it: nothing of that size passes unseen
  const amount = decimal("amount", request.amount, "up");
  put("amount", () => amount);
  put("currency", () => request.currency);
  put("amounts", () => totals(request.amounts));
  put("cost_usd", () => decimal("cost_usd", usd(request.cost_micro_usd), "up"));
  put("tokens", () => tokens.input + tokens.output);
  put("input_tokens", () => tokens.input);
  put("output_tokens", () => tokens.output);
  put("confidence", () => decimal("confidence", request.confidence, "down"));
  put("risk", () => decimal("risk", request.risk, "up"));
  put("region", () => request.region);
  put("regions", () => [...request.regions]);
  put("tainted", () => request.tainted);
  put("labels", () => [...request.labels]);
  put("sources", () => request.sources);
  put("time", () => timeOf(request.at));
  put("run", () => {
    const { successes, failures, ...rest } = run;
    return {
      ...rest,
      ...(read("successes") && { successes: counts("successes", successes, entities) }),
      ...(read("failures") && { failures: counts("failures", failures, entities) }),
    };
  });
  return { principal: principalUid, action: { type: "Action", id: tool.effect }, resource: resourceUid, context, entities };
}

function decimal(name: string, value: number | string | undefined, round: "up" | "down"): CedarValueJson | undefined {
  if (value === undefined) return undefined;
  const arg = cedarDecimal(value, round);
  if (arg === undefined) throw new BeyondCedar(`\`${name}\` is beyond what a policy can compare`);
  return { __extn: { fn: "decimal", arg } };
}

function totals(amounts: JudgementRequest["amounts"]): CedarValueJson | undefined {
  if (amounts === undefined) return undefined;
  return defined(Object.fromEntries(Object.entries(amounts).map(([name, value]) => [name, decimal(`amounts.${name}`, value, "up")])));
}

function timeOf(iso: string): CedarValueJson {
  const at = new Date(iso);
  const day = at.getUTCDay();
  return { iso, epoch_seconds: Math.floor(at.getTime() / 1000), hour: at.getUTCHours(), weekday: day === 0 ? 7 : day };
}

/** A map is an entity with tags; only a request that is asked for it carries one. */
function counts(name: string, tags: Readonly<Record<string, number>>, entities: EntityJson[]): CedarValueJson {
  const uid = { type: "Counts", id: name };
  entities.push({ uid, attrs: {}, parents: [], tags: { ...tags } });
  return { __entity: uid };
}

function defined(values: Readonly<Record<string, CedarValueJson | undefined>>): Record_ {
  const some: Record_ = {};
  for (const name in values) if (values[name] !== undefined) some[name] = values[name];
  return some;
}
