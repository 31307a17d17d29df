/**
 * Answers of the ledger (GUARD-7). A run asks for allowances and gives them back by signals that it owes until they
 * are answered. An answer counts once, from the account that was asked, to what was asked; one that comes after its
 * action or its run has ended is recorded all the same, because what was granted has to be given back.
 */
import type { Facts } from "../../schemas/facts.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { reason } from "../../schemas/reason.ts";
import { aggregateToken } from "../../schemas/subjects.ts";
import { judge } from "./judging.ts";
import { accountKey, uncovered } from "./leases.ts";
import { DONE, type Refusal } from "./outcome.ts";
import type { OpenSignal } from "./state.ts";
import type { Work } from "./work.ts";

const ASKED = { leased: "lease", returned: "return" } as const;

export function signal(work: Work, actor: string, body: SignalInput, facts: Facts): Refusal {
  if (body.name !== "leased" && body.name !== "returned") return [reason("signal.not_taken", `a run does not take \`${body.name}\``)];
  if (actor !== aggregateToken("ledger", body.ledger)) {
    return [reason("signal.wrong_sender", `\`${actor}\` cannot answer for \`${body.ledger}\``, { path: "/ledger" })];
  }
  const open = work.state.signals.get(body.id);
  if (open === undefined) return [reason("signal.unknown", `the run waits for no answer \`${body.id}\``, { path: "/id" })];
  if (open.body.name !== ASKED[body.name] || accountKey(open.body) !== accountKey(body)) {
    return [reason("signal.mismatch", `\`${body.id}\` asked for something else`, { path: "/id" })];
  }
  if (body.name === "leased") return leased(work, body, open, facts);
  if (open.body.name !== "return" || open.body.unused < body.unused || open.body.last !== body.last) {
    return [reason("signal.mismatch", `\`${body.id}\` gave back something else`, { path: "/unused" })];
  }
  work.purse.returned(body);
  const { ledger, unit, window, unused, last } = body;
  work.draft({ type: "budget.returned", from: work.life, to: work.life, data: { ledger, unit, window, unused, last } });
  return DONE;
}

function leased(work: Work, body: SignalInput & { readonly name: "leased" }, open: OpenSignal, facts: Facts): Refusal {
  const { ledger, unit, window, granted, total, cap } = body;
  const asked = open.body;
  if (asked.name !== "lease" || (granted > 0 && (granted < asked.need || granted > Math.max(asked.need, asked.want)))) {
    return [reason("signal.mismatch", `${granted} was not asked for`, { path: "/granted" })];
  }
  const { life } = work;
  const bound = cap === undefined ? {} : { cap };
  work.draft({ type: "budget.leased", from: life, to: life, data: { ledger, unit, window, granted, total, ...bound } });
  const filled = work.purse.leased(body, open);
  const id = open.action;
  if (id === undefined || filled === undefined || work.action(id)?.value !== "reserving") return DONE;
  if (!filled) {
    const limit = cap ?? total;
    work.draft({ type: "budget.exhausted", from: life, to: life, data: { action: id, budget: "ledger", limit, used: total, ledger } });
    const help = window.includes("T") ? "wait for the next minute" : "wait for the next day (UTC), or have the budget raised";
    work.act(id, { type: "EXHAUST", reasons: [reason("budget.ledger", `\`${ledger}\` has not enough left of its ${unit}`, { help })] });
    return DONE;
  }
  if (work.purse.holdsOf(id).some(({ lease }) => lease !== undefined)) return DONE;
  if (facts.kind !== "tool") throw new Error("the last allowance of an action came without its judgement");
  judge(work, id, facts, uncovered(work.state, id, facts.needs ?? [], body));
  return DONE;
}
