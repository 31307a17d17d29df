/** What every decision ends with: warnings at half of a budget, the end of a change with its action, returns to the ledger. */
import { type Half, halves } from "./budget.ts";
import { CHANGE_AGENT } from "./change.ts";
import type { Work } from "./work.ts";

export function upkeep(work: Work): void {
  if (work.state.holder === CHANGE_AGENT || work.set.holder === CHANGE_AGENT) endChange(work);
  if (!work.over && work.purse.spent !== undefined) {
    const { warned } = work.state;
    warn(work, halves(work.envelope?.budget, work.purse.spent).filter(({ budget }) => !warned.includes(budget)));
  }
  if (work.over) work.purse.close(work.openActions().length > 0);
}

/** Says once of each budget that half is used; and pauses the run for review where the contract says so. */
export function warn(work: Work, found: readonly Half[]): void {
  if (found.length === 0) return;
  work.set.warned = [...work.state.warned, ...found.map(({ budget }) => budget)];
  for (const data of found) work.draft({ type: "budget.warned", from: work.life, to: work.life, data });
  if (work.envelope?.budget.pause_at_half === true && work.life === "active") {
    const names = found.map(({ budget }) => budget).join(", ");
    work.run({ type: "PAUSE", by: "signalbox", reason: `half of the run's budget is used: ${names}` });
  }
}

/** A change is one action, or what an approver put in its place: the run ends as that does. */
function endChange(work: Work): void {
  if (work.life !== "active" || work.openActions().length > 0) return;
  const last = work.lastAction();
  if (last === undefined) return;
  const { value, context } = last;
  if (value === "verified") {
    work.run({ type: "FINISH", output: context.output });
    work.set.output = context.output;
    return;
  }
  const [why] = context.reasons ?? [];
  const error = { code: context.error?.code ?? why?.code ?? `change.${value}`, message: context.error?.message ?? why?.message ?? `the change was ${value}` };
  work.run({ type: "FAIL", error });
  work.set.error = error;
}
