/**
 * What would have to differ: the smallest single changes with which the same rules decide otherwise. Nothing is argued
 * about the policies; each change is judged again, and numbers are narrowed down to the value at which it turns.
 */
import type { Ask, Decision, Judgement } from "../../schemas/judgement.ts";
import type { CompiledPolicySet } from "./compiled.ts";
import { countedText } from "./decimal.ts";
import { literalsOf } from "./literals.ts";
import { riskOf, type RiskTable } from "./risk.ts";
import { type NumberField, numberFields, type Variant, variants } from "./vary.ts";
import { type Asked, verdict } from "./verdict.ts";

export interface Turn {
  /** Into the request (`run.steps`), or into the contract's entry (`contract.requires_approval`). */
  readonly path: string;
  /** Undefined: it is not there. Of a set, the element. */
  readonly from: unknown;
  readonly to: unknown;
  readonly decision: Decision;
  readonly ask?: Ask;
}

/** Ways of one kind that are shown of one field: a policy that knows twenty teams knows twenty ways. */
const MAX_OF_ONE_FIELD = 3;

/** @param risk the table of the set: risk follows from the rest, unless it is what is varied */
export function turnsOf(set: CompiledPolicySet | undefined, asked: Asked, risk: RiskTable | undefined): Turn[] {
  if (set === undefined) return [];
  const base = verdict(set, asked);
  const literals = literalsOf(set);
  const judge = (path: string, varied: Asked): Judgement => {
    const { request } = varied;
    return verdict(set, path === "risk" || request.risk === undefined ? varied : { ...varied, request: { ...request, risk: riskOf(request, risk) } });
  };
  const turns: Turn[] = [];
  for (const field of numberFields(asked, literals)) {
    const decide = (steps: number) => judge(field.path, field.put(steps));
    const written = (steps: number) => (field.decimal ? countedText(steps) : steps);
    for (const found of [nearest(field, decide, base.decision, "down"), nearest(field, decide, base.decision, "up")]) {
      if (found !== undefined) turns.push(turn(field.path, written(field.from), written(found.steps), found.judgement));
    }
  }
  const shown = new Map<string, number>();
  for (const variant of variants(asked, literals)) {
    const kind = `${variant.path} ${variant.to === undefined} ${variant.from === undefined}`;
    if ((shown.get(kind) ?? 0) >= MAX_OF_ONE_FIELD) continue;
    const judgement = judge(variant.path, variant.asked);
    if (judgement.decision === base.decision) continue;
    shown.set(kind, (shown.get(kind) ?? 0) + 1);
    turns.push(turnOf(variant, judgement));
  }
  return turns;
}

const turnOf = ({ path, from, to }: Variant, judgement: Judgement): Turn => turn(path, from, to, judgement);

function turn(path: string, from: unknown, to: unknown, { decision, ask }: Judgement): Turn {
  return { path, from, to, decision, ...(ask && { ask }) };
}

/** The value nearest to what it is, in one direction, at which the decision is another. */
function nearest(
  { from, max, near }: NumberField,
  decide: (steps: number) => Judgement,
  base: Decision,
  direction: "up" | "down",
): { steps: number; judgement: Judgement } | undefined {
  const beyond = (steps: number) => steps >= 0 && steps <= max && (direction === "up" ? steps > from : steps < from);
  const doubled = Array.from({ length: 48 }, (_, power) => (direction === "up" ? from + 2 ** power : from - 2 ** power));
  const points = [...near.flatMap((value) => [value - 1, value, value + 1]), ...doubled, 0].filter(beyond);
  const sorted = [...new Set(points)].sort((a, b) => Math.abs(a - from) - Math.abs(b - from));
  let same = from;
  for (const point of sorted) {
    let judgement = decide(point);
    if (judgement.decision === base) {
      same = point;
      continue;
    }
    let other = point;
    while (Math.abs(other - same) > 1) {
      const middle = Math.trunc((other + same) / 2);
      const there = decide(middle);
      if (there.decision === base) same = middle;
      else [other, judgement] = [middle, there];
    }
    return { steps: other, judgement };
  }
  return undefined;
}
