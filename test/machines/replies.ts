/** What accounts of the ledger answer a run. */
import { readied } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import type { RunState } from "../../machines/state.ts";
import { type Need, NO_FACTS } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { aggregateToken } from "../../schemas/subjects.ts";
import { factsOf, type ToolOptions } from "./facts-of.ts";
import { type Line, line } from "./given.ts";

/** An account's answer to the lease or return of this id; granted as was wished, unless said otherwise. */
export interface ReplyOptions {
  readonly granted?: number;
  readonly total?: number;
  readonly cap?: number;
  readonly by?: string;
  /** The action that waits for it, as judged now. */
  readonly judged?: ToolOptions;
  readonly body?: Partial<SignalInput>;
}
/** @param named an id, or `lease` or `return` for the oldest that is owed */
export const reply = (named: string, o: ReplyOptions = {}): Line =>
  line((state) => {
    const id = named === "lease" || named === "return" ? (signalsOf(state, named)[0]?.id ?? named) : named;
    const asked = state.signals.get(id)?.body;
    const account = { ledger: (asked?.ledger ?? "team.a.2026-01-31") as LedgerName, unit: asked?.unit ?? ("cost" as const), window: asked?.window ?? "2026-01-31" };
    const granted = o.granted ?? (asked?.name === "lease" ? Math.max(asked.need, asked.want) : 0);
    const body = (
      asked?.name === "return"
        ? { name: "returned", id, ...account, unused: asked.unused, last: asked.last, ...o.body }
        : { name: "leased", id, ...account, granted, total: o.total ?? granted, ...(o.cap !== undefined && { cap: o.cap }), ...o.body }
    ) as SignalInput;
    const action = readied(state, body);
    const needs = action === undefined ? undefined : state.holds.get(action)?.map(({ held: _, lease: __, total: ___, ...need }) => ({ ...need, want: need.need }) as Need);
    const facts = action === undefined ? NO_FACTS : factsOf({ ...(needs && { needs: [...needs] }), ...o.judged });
    return { kind: "signal", actor: o.by ?? aggregateToken("ledger", account.ledger), id, body, facts };
  });

/** The signals that are owed, oldest first, by name. */
export function signalsOf(state: RunState, name: "lease" | "return"): SignalInput[] {
  return owed(state).flatMap((debt) => (debt.kind === "signal" && debt.name === name ? [debt.body] : []));
}
