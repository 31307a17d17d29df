/**
 * Approvals that stand for later actions of the same shape in the run (APP-3): never wider than what the persons who
 * agreed wrote down, than what the contract allows, and never for irreversible or tainted actions.
 */
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { DocumentFacts, ToolFacts } from "../../schemas/facts.ts";
import type { ActionId, Digest, RequestId } from "../../schemas/ids.ts";
import type { Standing } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { plusMillis } from "../../schemas/time.ts";
import type { ApprovalContext, Grant } from "./approval.ts";
import type { Marks } from "./marks.ts";

export interface StandingApproval {
  readonly request: RequestId;
  readonly action: ActionId;
  readonly tool: string;
  readonly documents: DocumentFacts;
  readonly role: string;
  readonly count: number;
  readonly people: readonly Grant[];
  /** JSON pointers into the input. */
  readonly vary: readonly string[];
  /** Of the input without what may vary. */
  readonly shape: Digest;
  /** In ten-thousandths of the currency's unit, each use and all uses; undefined when the action is not about money. */
  readonly amount: { readonly currency: string; readonly max: number; readonly maxTotal: number; readonly used: number } | undefined;
  readonly maxUses: number;
  readonly uses: number;
  readonly ends: string;
}

/** The input without what may vary: members are left out, items of a list are blanked. */
export function shapeOf(input: JsonValue, vary: readonly string[]): Digest {
  return canonicalDigest({ shape: vary.reduce(without, input) });
}

function without(value: JsonValue, pointer: string): JsonValue {
  if (pointer === "") return null;
  const path = pointer.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return cut(value, path);
}

function cut(value: JsonValue, [name, ...rest]: readonly string[]): JsonValue {
  if (name === undefined || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((item, index) => (String(index) !== name ? item : rest.length === 0 ? null : cut(item, rest)));
  }
  if (!Object.hasOwn(value, name)) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(
    rest.length === 0 ? entries.filter(([key]) => key !== name) : entries.map(([key, item]) => [key, key === name ? cut(item, rest) : item]),
  );
}

/** A decimal in ten-thousandths, cut: what a limit does not say is not allowed. Beyond exact whole numbers it is no wider. */
export function limitUnits(decimal: string): number {
  const [whole = "0", fraction = ""] = decimal.split(".");
  const units = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, "0").slice(0, 4));
  return Number(units > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : units);
}

const under = (pointer: string, allowed: string) => pointer === allowed || pointer.startsWith(`${allowed}/`);
const not = (code: string, message: string, path: string) => [reason(`standing.${code}`, message, { path: `/standing${path}` })];

/** Why an approval may not stand as it was written; empty when it may. */
export function standingFaults(standing: Standing, facts: ToolFacts, tainted: boolean): Reason[] {
  const limits = facts.standing;
  if (limits === undefined) return not("not_allowed", "the contract lets no approval of this tool stand", "");
  if (facts.tool === undefined || facts.tool.effect === "irreversible") return not("irreversible", "an irreversible action is approved one by one", "");
  if (tainted) return not("tainted", "what rests on untrusted output is approved one by one", "");
  const wide = standing.vary.findIndex((pointer) => !limits.vary.some((allowed) => under(pointer, allowed)));
  const faults: Reason[] = [];
  if (wide >= 0) faults.push(...not("vary", `the contract does not let \`${standing.vary[wide]}\` vary`, `/vary/${wide}`));
  if (standing.uses > limits.max_uses) faults.push(...not("uses", `the contract allows ${limits.max_uses} use(s)`, "/uses"));
  if (standing.expires_seconds > limits.max_seconds) faults.push(...not("time", `the contract allows ${limits.max_seconds} seconds`, "/expires_seconds"));
  for (const name of ["max_amount", "max_total"] as const) {
    const [asked, limit] = [standing[name], limits[name]];
    if (asked !== undefined && facts.amount === undefined) faults.push(...not("amount", "the action is not about an amount", `/${name}`));
    if (asked !== undefined && limit !== undefined && limitUnits(asked) > limit) {
      faults.push(...not("amount", `the contract allows ${limit / 10_000}`, `/${name}`));
    }
  }
  return faults;
}

/**
 * The approval as it stands from now on. What was not said of amounts is as narrow as it can be: each use no more than
 * the action that was approved, all uses together no more than so many of it.
 */
export function standingFrom(approval: ApprovalContext, standing: Standing, proposal: ToolProposal, facts: ToolFacts, at: string): StandingApproval {
  const { request, action, role, count, people } = approval;
  const limits = facts.standing;
  const max = Math.min(standing.max_amount === undefined ? (facts.amount?.units ?? 0) : limitUnits(standing.max_amount), limits?.max_amount ?? Infinity);
  const most = Math.min(Number.MAX_SAFE_INTEGER, max * standing.uses);
  const maxTotal = Math.min(standing.max_total === undefined ? most : limitUnits(standing.max_total), limits?.max_total ?? Infinity);
  return {
    request,
    action,
    tool: proposal.tool,
    documents: facts.documents,
    role,
    count,
    people,
    vary: standing.vary,
    shape: shapeOf(proposal.input, standing.vary),
    amount: facts.amount && { currency: facts.amount.currency, max, maxTotal, used: 0 },
    maxUses: standing.uses,
    uses: 0,
    ends: plusMillis(at, standing.expires_seconds * 1000),
  };
}

/** The standing approval, oldest first, under which an action that is to be asked for needs no new one. */
export function standingFor(
  standings: ReadonlyMap<RequestId, StandingApproval | undefined>,
  marks: Marks,
  proposal: ToolProposal,
  facts: ToolFacts,
  at: string,
): StandingApproval | undefined {
  const ask = facts.judgement?.decision === "ask" ? facts.judgement.ask : undefined;
  if (standings.size === 0 || ask === undefined || facts.tool === undefined) return undefined;
  if (facts.tool.effect === "irreversible" || marks.tainted || (facts.sources?.length ?? 0) > 0) return undefined;
  for (const one of standings.values()) {
    if (one === undefined || one.tool !== proposal.tool || one.role !== ask.role || one.count < ask.count || one.uses >= one.maxUses || one.ends <= at) continue;
    const { contract, tool, policy } = one.documents;
    if (contract !== facts.documents.contract || tool !== facts.documents.tool || policy !== facts.documents.policy) continue;
    if (!withinAmount(one, facts) || shapeOf(proposal.input, one.vary) !== one.shape) continue;
    return one;
  }
  return undefined;
}

function withinAmount({ amount }: StandingApproval, facts: ToolFacts): boolean {
  if (amount === undefined || facts.amount === undefined) return amount === undefined && facts.amount === undefined;
  const { units, currency } = facts.amount;
  return currency === amount.currency && units <= amount.max && amount.used + units <= amount.maxTotal;
}

/** After one more action went through under it. */
export function usedBy(standing: StandingApproval, facts: ToolFacts): StandingApproval {
  const amount = standing.amount && { ...standing.amount, used: standing.amount.used + (facts.amount?.units ?? 0) };
  return { ...standing, amount, uses: standing.uses + 1 };
}
