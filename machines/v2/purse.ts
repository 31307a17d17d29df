/**
 * What one decision does to the run's money: reservations against the run's own budgets (GUARD-6), holdings of accounts
 * of the ledger (GUARD-7), and sums of amounts. Like the rest of a decision it reads the state and writes a change.
 */
import type { EventDraft } from "../../schemas/event.ts";
import type { Need, ToolFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { SignalInput, Usage } from "../../schemas/inputs.ts";
import { microUsd } from "../../schemas/money.ts";
import type { ActionContext, Basis } from "./action-rules.ts";
import { amountKey } from "./amounts.ts";
import { accountKey, freeOf } from "./leases.ts";
import type { Hold, Holding, OpenSignal, Reservation, Reserved, RunState, Spent } from "./state.ts";

/** What the purse needs to know of the decision it is part of. */
export interface Desk {
  readonly state: RunState;
  /** Sequence of the commit's first event. */
  readonly first: number;
  readonly next: number;
  readonly life: string;
  draft(draft: EventDraft): void;
}

type Effect = "none" | "done" | "unknown";
type Lease = SignalInput & { readonly name: "leased" };

/** Most decisions change none of these: a map is made when there is something to put into it. */
const NONE: ReadonlyMap<never, never> = new Map<never, never>();

function put<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  const own = (map as unknown) === NONE ? new Map<K, V>() : (map as Map<K, V>);
  return own.set(key, value);
}

export class Purse {
  reservations: ReadonlyMap<ActionId, Reservation> = NONE;
  holdings: ReadonlyMap<string, Holding | undefined> = NONE;
  holds: ReadonlyMap<ActionId, readonly Hold[] | undefined> = NONE;
  signals: ReadonlyMap<string, OpenSignal | undefined> = NONE;
  amounts: ReadonlyMap<string, number> = NONE;
  spent: Spent | undefined;
  readonly #desk: Desk;
  #returns = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  spentSoFar(): Spent {
    return this.spent ?? this.#desk.state.spent;
  }

  /** Holds money and tokens of the run back for an action, and counts its amount. */
  reserve(id: ActionId, tool: NonNullable<ToolFacts["tool"]>): void {
    const { cost_micro_usd: cost, input_tokens: input = 0, output_tokens: output = 0 } = tool;
    if (cost === 0 && input === 0 && output === 0) return;
    const tokens = input === 0 && output === 0 ? undefined : { input: fresh(input), output: fresh(output) };
    this.reservations = put(this.reservations, id, { reserved: cost, used: undefined, ...(tokens && { tokens }) });
    const spent = this.spentSoFar();
    this.spent = {
      ...spent,
      reserved: spent.reserved + cost,
      ...(tokens && { input: plus(spent.input, 0, input), output: plus(spent.output, 0, output) }),
    };
    const { life } = this.#desk;
    const data = { action: id, cost_micro_usd: cost, ...(input > 0 && { input_tokens: input }), ...(output > 0 && { output_tokens: output }) };
    this.#desk.draft({ type: "budget.reserved", from: life, to: life, data });
  }

  /** What is held back for an action that has not ended. */
  reservation(id: ActionId): Reservation | undefined {
    return this.reservations.get(id) ?? this.#desk.state.reservations.get(id);
  }

  /** What an attempt says it used, bounded by what was reserved for the action: a tool's word never widens anything. */
  use(id: ActionId, usage: Usage): void {
    const held = this.reservation(id);
    if (held === undefined) return;
    const cost = usage.cost_usd === undefined ? undefined : microUsd(usage.cost_usd);
    const { reserved, used } = { ...held, used: bounded(held, cost) };
    const tokens = held.tokens && {
      input: { ...held.tokens.input, used: bounded(held.tokens.input, usage.input_tokens) },
      output: { ...held.tokens.output, used: bounded(held.tokens.output, usage.output_tokens) },
    };
    this.reservations = put(this.reservations, id, { reserved, used, ...(tokens && { tokens }) });
  }

  /** Nobody knows what an attempt cost, and another one follows. */
  useAll(id: ActionId): void {
    this.use(id, { cost_usd: Infinity, input_tokens: Infinity, output_tokens: Infinity });
  }

  /**
   * An ended action gives back what it did not use. One that did something, or of which nobody knows what it did,
   * keeps all unless it said what it used: a tool that is silent about money must not be free (GUARD-6).
   */
  settle(context: ActionContext, effect: Effect): void {
    const { id } = context;
    const cost = this.#settleReservation(id, effect);
    this.#settleHolds(id, effect, cost);
    if (effect === "none") this.count(context.basis.amount, context.tool, -1);
  }

  #settleReservation(id: ActionId, effect: Effect): number {
    const held = this.reservation(id);
    if (held === undefined || (held.reserved === 0 && held.tokens === undefined)) return 0;
    const cost = settled(held, effect);
    const input = held.tokens === undefined ? 0 : settled(held.tokens.input, effect);
    const output = held.tokens === undefined ? 0 : settled(held.tokens.output, effect);
    this.reservations = put(this.reservations, id, { reserved: 0, used: cost });
    const spent = this.spentSoFar();
    this.spent = {
      ...spent,
      settled: spent.settled + cost,
      reserved: spent.reserved - held.reserved,
      ...(held.tokens && {
        input: plus(spent.input, input, -held.tokens.input.reserved),
        output: plus(spent.output, output, -held.tokens.output.reserved),
      }),
    };
    const { life } = this.#desk;
    const tokens = held.tokens && { input_tokens: input, output_tokens: output };
    const data = { action: id, cost_micro_usd: cost, reserved_micro_usd: held.reserved, ...tokens };
    this.#desk.draft({ type: "budget.settled", from: life, to: life, data });
    return cost;
  }

  /** Whether the end of the action will leave a `budget.settled`. */
  settles(id: ActionId): boolean {
    const held = this.reservation(id);
    return held !== undefined && (held.reserved > 0 || held.tokens !== undefined);
  }

  /** @param sign 1 when an action is proposed, -1 when it certainly did nothing */
  count(amount: Basis["amount"], tool: string, sign: 1 | -1): void {
    if (amount === undefined) return;
    const key = amountKey(amount, tool);
    this.amounts = put(this.amounts, key, (this.amounts.get(key) ?? this.#desk.state.amounts.get(key) ?? 0) + sign * amount.units);
  }

  #holding(key: string): Holding | undefined {
    return this.holdings.has(key) ? this.holdings.get(key) : this.#desk.state.holdings.get(key);
  }
  holdsOf(id: ActionId): readonly Hold[] {
    return (this.holds.has(id) ? this.holds.get(id) : this.#desk.state.holds.get(id)) ?? [];
  }

  /**
   * Speaks for what an action needs: from what the run holds, the rest by a lease for each account that misses some.
   * @param missing what `uncovered` said of the needs
   */
  claim(id: ActionId, needs: readonly Need[], missing: readonly Need[]): void {
    const before = this.holdsOf(id);
    const same = (a: Pick<Need, "dimension" | "ledger" | "unit" | "window">, b: typeof a) => accountKey(a) === accountKey(b) && a.dimension === b.dimension;
    const holds = needs.map((need, index): Hold => {
      const { ledger, unit, window, dimension } = need;
      const own = before.find((one) => same(one, need));
      const lacks = missing.find((one) => same(one, need));
      const held = need.need - (lacks?.need ?? 0);
      const take = Math.max(0, held - (own?.held ?? 0));
      if (take > 0) this.#take(need, take);
      let lease = own?.lease;
      if (lacks !== undefined && lease === undefined) {
        lease = `l${this.#desk.next}.${index + 1}`;
        this.signals = put(this.signals, lease, { body: { name: "lease", id: lease, ledger, unit, window, need: lacks.need, want: lacks.want }, action: id });
      }
      return { ledger, unit, window, ...(dimension && { dimension }), need: need.need, held: Math.max(held, own?.held ?? 0), lease, total: own?.total };
    });
    // what is not needed any more stays with the action until it ends
    this.holds = put(this.holds, id, [...holds, ...before.filter((one) => !needs.some((need) => same(one, need)))]);
  }

  #take(account: Pick<Need, "ledger" | "unit" | "window">, units: number): void {
    const key = accountKey(account);
    const holding = this.#holding(key);
    if (holding === undefined) throw new Error(`nothing is held of \`${key}\``);
    this.holdings = put(this.holdings, key, { ...holding, held: holding.held + units });
  }

  /**
   * Puts what was leased into its pool, and speaks for it in the action that asked. Whoever asked and has ended
   * leaves it to the others; an amount, which is nobody else's, is given back.
   * @returns whether the action has now all that this lease was for; undefined when nobody waits for it
   */
  leased(reply: Lease, { action }: OpenSignal): boolean | undefined {
    const { ledger, unit, window, granted, total } = reply;
    const key = accountKey(reply);
    this.signals = put(this.signals, reply.id, undefined);
    if (unit === "requests") this.#forgetMinutes(reply);
    const before = this.#holding(key) ?? { ledger, unit, window, granted: 0, spent: 0, held: 0, total: 0, closed: false };
    const pool: Holding = { ...before, granted: before.granted + granted, total };
    this.holdings = put(this.holdings, key, pool);
    const holds = action === undefined ? [] : this.holdsOf(action);
    const hold = holds.find(({ lease }) => lease === reply.id);
    if (action === undefined || hold === undefined) {
      if (unit === "amount" && granted > 0) this.#giveBack(key, granted, false);
      return undefined;
    }
    const take = Math.min(hold.need - hold.held, unit === "amount" ? granted : Math.max(0, freeOf(pool)));
    this.holdings = put(this.holdings, key, { ...pool, held: pool.held + take });
    const next: Hold = { ...hold, held: hold.held + take, lease: undefined, total };
    this.holds = put(this.holds, action, holds.map((one) => (one === hold ? next : one)));
    return next.held >= next.need;
  }

  /** Requests of other minutes than this one are of no use; those that an action spoke for go when it ends. */
  #forgetMinutes({ ledger, window }: Lease): void {
    for (const [key, one] of this.#desk.state.holdings) {
      if (one.unit !== "requests" || one.ledger !== ledger || one.window >= window) continue;
      if (one.held === 0 && !this.#waits(key)) this.holdings = put(this.holdings, key, undefined);
    }
  }

  #waits(key: string): boolean {
    return [...this.#desk.state.signals.values()].some(({ body }) => body.name === "lease" && accountKey(body) === key);
  }

  #settleHolds(id: ActionId, effect: Effect, cost: number): void {
    const holds = this.holdsOf(id);
    if (holds.length === 0) return;
    this.holds = put(this.holds, id, undefined);
    for (const { held, unit, lease, ...account } of holds) {
      const key = accountKey({ ...account, unit });
      const pool = this.#holding(key);
      if (pool === undefined || held === 0) continue;
      // a request was made, whatever came of it; one that still waits for its account was none
      const spent = unit === "cost" ? Math.min(held, cost) : unit === "requests" ? (lease === undefined ? held : 0) : effect === "none" ? 0 : held;
      this.holdings = put(this.holdings, key, { ...pool, held: pool.held - held, spent: pool.spent + spent });
      if (unit === "amount" && effect === "none") this.#giveBack(key, held, false);
    }
  }

  /** Owes a return. What is given back is nobody's from now on, whenever the account hears of it. */
  #giveBack(key: string, unused: number, last: boolean): void {
    const pool = this.#holding(key);
    if (pool === undefined) return;
    const { ledger, unit, window } = pool;
    this.#returns += 1;
    const id = `r${this.#desk.first}.${this.#returns}`;
    this.signals = put(this.signals, id, { body: { name: "return", id, ledger, unit, window, unused, last }, action: undefined });
    this.holdings = put(this.holdings, key, { ...pool, granted: pool.granted - unused, closed: last });
  }

  returned(reply: SignalInput & { readonly name: "returned" }): void {
    this.signals = put(this.signals, reply.id, undefined);
    if (reply.last) this.holdings = put(this.holdings, accountKey(reply), undefined);
  }

  /**
   * A run that ended gives back what nothing in flight speaks for; and when nothing is in flight and no lease unanswered,
   * it takes leave of every account. A minute's requests expire by themselves.
   */
  close(inFlight: boolean): void {
    const { state } = this.#desk;
    if (state.holdings.size === 0 && this.holdings.size === 0) return;
    const signals = new Map([...state.signals, ...this.signals]);
    const waiting = [...signals.values()].some((open) => open?.body.name === "lease");
    for (const [key, pool] of new Map([...state.holdings, ...this.holdings])) {
      if (pool === undefined || pool.closed || pool.unit === "requests") continue;
      const free = freeOf(pool);
      if (!inFlight && !waiting) this.#giveBack(key, free, true);
      else if (free > 0) this.#giveBack(key, free, false);
    }
  }
}

const fresh = (reserved: number): Reserved => ({ reserved, used: undefined });
const plus = (sum: Spent["input"], settled: number, reserved: number) => ({ settled: sum.settled + settled, reserved: sum.reserved + reserved });
const bounded = ({ reserved, used }: Reserved, more: number | undefined) => (more === undefined ? used : Math.min(reserved, (used ?? 0) + more));
const settled = ({ reserved, used }: Reserved, effect: Effect) => (effect === "unknown" ? reserved : (used ?? (effect === "none" ? 0 : reserved)));
