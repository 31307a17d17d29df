/** Watches a run from outside, event by event, as an auditor would: what must hold whatever was sent in whatever order. */
import assert from "node:assert/strict";
import { answerTo, news, touched } from "../../machines/answers.ts";
import { MAX_OPEN_ACTIONS } from "../../machines/decide.ts";
import { accountKey } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import type { RunState } from "../../machines/state.ts";
import { type Answer, answerSchema } from "../../schemas/answer.ts";
import { dispatchSchema } from "../../schemas/dispatch.ts";
import { type EventDraft, type Premise, eventData, premiseSchema } from "../../schemas/event.ts";
import type { Facts, ToolFacts } from "../../schemas/facts.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { type ReportInput, signalSchema } from "../../schemas/inputs.ts";
import { timestamp } from "../../schemas/time.ts";
import type { Told } from "./given.ts";
import { PROBE } from "./probes.ts";
import type { Taken } from "./programs.ts";

const OPEN_AFTER_END = new Set(["action.succeeded", "action.verified", "action.failed", "action.in_doubt", "action.probing", "action.probed", "budget.settled", "taint.raised", "taint.lowered"]);
/** Between the run and its accounts, for as long as something is owed. */
const LEDGER = new Set(["budget.leased", "budget.returned"]);
const ENDS = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);

/** The tool facts that a commit rests on, wherever they stand. */
function judgedOf(facts: Facts): ToolFacts | undefined {
  if (facts.kind === "tool") return facts;
  if (facts.kind === "change") return facts.tool;
  return facts.kind === "current" ? facts.again : undefined;
}

/** What the journal alone says of one action. */
interface Seen {
  at: string;
  attempt: number;
  mayDispatch: boolean;
  holder: string | undefined;
  unknown: boolean;
  repeatable: boolean;
  ended: boolean;
  /** How often the tool was asked about which attempt, and what it found last. */
  asked: number;
  askedOf: number;
  found: string | undefined;
}

const isProbed = ({ kind, body }: Told["input"]): boolean => kind === "report" && (body as ReportInput).status === "probed";
const IN_FLIGHT = new Set(["started", "in_doubt", "probing"]);

export class Watcher {
  readonly #actions = new Map<string, Seen>();
  readonly #persons = new Map<string, Set<string>>();
  readonly #warned = new Set<string>();
  /** Leased less returned, by account: what the ledger thinks that the run holds. */
  readonly #leased = new Map<string, number>();
  readonly #final = new Map<string, Answer["status"]>();
  readonly #proposals = new Set<string>();
  readonly types = new Set<string>();
  #seq = 0;
  #at = "";
  #over = false;
  #reserved = 0;
  #settled = 0;
  #wallMs = 0;

  see({ told, decision, state }: Taken): void {
    if (decision.kind === "commit") {
      const { drafts, change } = decision;
      assert.ok(drafts.length > 0, "a commit without an event");
      assert.ok(drafts.length <= 3 * MAX_OPEN_ACTIONS + 4);
      assert.equal(change.seq, this.#seq + drafts.length);
      assert.ok(change.at >= this.#at && change.at >= told.input.time);
      this.#at = change.at;
      const premise = { input: told.input.body, input_hash: canonicalDigest(told.input.body), facts: told.facts } as Premise;
      premiseSchema.parse(premise);
      for (const draft of drafts) this.#event(draft, told, state);
      if (told.input.kind === "propose") this.#proposals.add(`${told.input.actor}/${told.input.id}`);
      for (const key of touched(state, change)) assert.ok(this.#proposals.has(key));
    }
    this.#balance(state);
    this.#accounts(state);
    this.#owed(state);
    this.#answers(state);
  }

  #event(draft: EventDraft, { input, facts }: Told, state: RunState): void {
    this.#seq += 1;
    this.types.add(draft.type);
    const parsed = eventData[draft.type].safeParse(draft.data);
    assert.ok(parsed.success, `${draft.type}: ${JSON.stringify(draft.data)} ${parsed.error?.message ?? ""}`);
    const id = "action" in draft.data ? draft.data.action : undefined;
    if (this.#over && !LEDGER.has(draft.type)) {
      const inFlight = id !== undefined && this.#actions.has(id);
      assert.ok((OPEN_AFTER_END.has(draft.type) || draft.type === "approval.stale") && inFlight, `${draft.type} after the end`);
    }
    if (ENDS.has(draft.type)) this.#over = true;
    if (draft.type === "budget.reserved") this.#reserved += draft.data.cost_micro_usd;
    if (draft.type === "budget.settled") {
      this.#reserved -= draft.data.reserved_micro_usd;
      this.#settled += draft.data.cost_micro_usd;
      assert.ok(draft.data.cost_micro_usd <= draft.data.reserved_micro_usd);
    }
    if (draft.type === "budget.warned") {
      assert.ok(!this.#warned.has(draft.data.budget), "warned of twice");
      this.#warned.add(draft.data.budget);
    }
    if (draft.type === "budget.leased") this.#move(accountKey(draft.data), draft.data.granted);
    if (draft.type === "budget.returned") this.#move(accountKey(draft.data), -draft.data.unused);
    if (draft.type === "taint.lowered") assert.ok(input.kind === "control" || facts.kind === "output");
    if (draft.type === "approval.granted") {
      const persons = this.#persons.get(draft.data.request) ?? new Set();
      const person = JSON.stringify(draft.data.person);
      assert.ok(!persons.has(person), "one person, two grants");
      assert.ok(draft.data.by !== "agent-1" && draft.data.by !== "nobody");
      this.#persons.set(draft.data.request, persons.add(person));
    }
    if (draft.type === "budget.requested" || draft.type === "approval.requested") {
      const seen = this.#actions.get(draft.data.action);
      assert.equal(seen?.at, draft.from);
      if (seen !== undefined) seen.at = draft.to;
    }
    if (draft.type.startsWith("action.") && id !== undefined) this.#action(id, draft, input, facts, state);
  }

  #action(id: string, draft: EventDraft, input: Told["input"], facts: Told["facts"], state: RunState): void {
    if (draft.type === "action.proposed") {
      assert.equal(id, `a${this.#seq}`);
      const known = judgedOf(facts)?.tool;
      this.#actions.set(id, {
        at: "proposed", attempt: 0, mayDispatch: false, holder: undefined, unknown: false, ended: false,
        repeatable: known !== undefined && (known.effect === "read" || known.idempotent),
        asked: 0, askedOf: 0, found: undefined,
      });
      return;
    }
    const seen = this.#actions.get(id);
    assert.ok(seen, `${draft.type} of an action that was never proposed`);
    assert.ok(!seen.ended, `${draft.type} of an action that has ended`);
    assert.equal(draft.from, seen.at, `${draft.type} leaves a state in which the action is not`);
    seen.at = draft.to;
    switch (draft.type) {
      case "action.approved": {
        if (draft.data.by === "policy") assert.equal(judgedOf(facts)?.judgement?.decision, "allow");
        else {
          const stands = draft.data.by === "standing";
          if (stands) this.#stands(draft.data.standing, judgedOf(facts) ?? state.actions.get(id as never)?.context.basis.facts, state);
          const request = state.actions.get(id as never)?.context.rests?.request ?? "";
          const asked = state.approvals.get(request as never)?.context;
          assert.ok(asked !== undefined && (stands || asked.action === id));
          assert.equal(this.#persons.get(request)?.size, asked.count);
        }
        seen.mayDispatch = true;
        break;
      }
      case "action.validated":
        // judged anew: nothing that was said before counts
        seen.mayDispatch = false;
        break;
      case "action.dispatched":
        assert.ok(seen.mayDispatch, "dispatched without an approval");
        assert.equal(draft.data.attempt, seen.attempt + 1);
        assert.ok(!seen.unknown || seen.repeatable, "EXEC-7: repeated, and nobody knows what it did");
        Object.assign(seen, { attempt: draft.data.attempt, holder: undefined });
        break;
      case "action.started":
        assert.equal(draft.data.attempt, seen.attempt);
        assert.equal(seen.holder, undefined, "two holders of one attempt");
        assert.equal(draft.data.claim.gateway, input.actor);
        if (facts.kind === "current") this.#claimed(id, facts, state);
        seen.holder = JSON.stringify(draft.data.claim);
        break;
      case "action.succeeded":
      case "action.retrying":
      case "action.in_doubt":
        assert.notEqual(seen.holder, undefined, `${draft.type} of what was never started`);
        if (input.kind === "report" && !isProbed(input)) assert.equal(JSON.stringify((input.body as ReportInput).claim), seen.holder);
        // the holder's own word that it did nothing lifts the doubt, and so does the tool's
        if (draft.type !== "action.succeeded") seen.unknown = draft.data.error.effect === "unknown";
        if (draft.type === "action.succeeded" && isProbed(input)) assert.equal(seen.found, "done");
        if (draft.type === "action.retrying" && isProbed(input)) assert.equal(seen.found, "none");
        break;
      case "action.probing":
        assert.equal(input.kind, "due", "asked before its time");
        assert.equal(draft.data.attempt, seen.attempt);
        // counted from the first of this attempt
        seen.asked = seen.askedOf === seen.attempt ? seen.asked + 1 : 1;
        seen.askedOf = seen.attempt;
        assert.equal(draft.data.probe, seen.asked);
        assert.ok(seen.asked <= PROBE.tries, "asked more often than was declared");
        break;
      case "action.probed":
        assert.equal(draft.data.probe, seen.asked, "an answer to what nobody asked");
        seen.found = draft.data.found;
        break;
      case "action.verified":
      case "action.failed":
      case "action.denied":
      case "action.rejected":
        seen.ended = true;
        break;
      default:
        break;
    }
  }

  /** law 9: what a claim is granted on. */
  #claimed(id: string, facts: Extract<Facts, { kind: "current" }>, state: RunState): void {
    const { documents, rests } = state.actions.get(id as never)?.context ?? {};
    assert.equal(facts.guard, undefined, "begun under a stop");
    assert.deepEqual(facts.documents, documents, "begun by documents that are not in force");
    if (rests?.by === "policy" || rests?.request === undefined) return;
    const asked = state.approvals.get(rests.request)?.context;
    const counted = asked?.people.filter(({ by }) => facts.approvers?.[by] != null) ?? [];
    assert.ok(counted.length >= (asked?.count ?? Infinity), "begun without those who approved it");
  }

  /** APP-3: never wider than it was written and allowed. */
  #stands(request: string | undefined, facts: ToolFacts | undefined, state: RunState): void {
    const standing = state.standings.get(request as never);
    assert.ok(standing !== undefined && facts?.tool !== undefined);
    assert.ok(standing.uses <= standing.maxUses && standing.maxUses <= 3);
    assert.ok(standing.amount === undefined || (standing.amount.used <= standing.amount.maxTotal && standing.amount.maxTotal <= 150_000));
    assert.ok(facts.tool.effect !== "irreversible" && facts.sources === undefined && !state.marks.tainted);
    assert.deepEqual(standing.documents, facts.documents);
  }

  #move(key: string, units: number): void {
    this.#leased.set(key, (this.#leased.get(key) ?? 0) + units);
  }

  /** GUARD-7: the run's books agree with the ledger's, nothing is spent that was not leased, and nothing is stranded. */
  #accounts(state: RunState): void {
    const held = new Map<string, number>();
    for (const [id, holds] of state.holds) {
      assert.ok(state.open.has(id), "an ended action holds something");
      const waits = holds.some(({ lease }) => lease !== undefined);
      assert.equal(waits, state.actions.get(id)?.value === "reserving", "waits for an allowance that it does not need, or goes without one");
      for (const hold of holds) {
        if (hold.lease === undefined) assert.equal(hold.held, hold.need, "uncovered, or more than is needed");
        else assert.equal(state.signals.get(hold.lease)?.action, id);
        held.set(accountKey(hold), (held.get(accountKey(hold)) ?? 0) + hold.held);
      }
    }
    const owing = new Map<string, number>();
    let leases = 0;
    for (const [id, { body }] of state.signals) {
      assert.equal(id, body.id);
      if (body.name === "lease") leases += 1;
      else owing.set(accountKey(body), (owing.get(accountKey(body)) ?? 0) + body.unused);
    }
    for (const [key, pool] of state.holdings) {
      assert.ok(pool.granted >= 0 && pool.spent >= 0 && pool.spent + pool.held <= pool.granted, `overdrawn: ${JSON.stringify(pool)}`);
      assert.equal(pool.held, held.get(key) ?? 0);
      assert.equal(pool.granted, (this.#leased.get(key) ?? 0) - (owing.get(key) ?? 0), "the run's books differ from the ledger's");
      // what is over and idle is given back, whatever happened
      const idle = this.#over && state.open.size === 0 && leases === 0;
      if (pool.unit !== "requests") assert.equal(pool.closed, idle, key);
      if (pool.closed || (this.#over && pool.unit !== "requests")) assert.equal(pool.granted, pool.spent + pool.held, "stranded");
    }
    const amounts = new Map<string, number>();
    for (const { value, context } of state.actions.values()) {
      const { amount } = context.basis;
      const none = value === "denied" || value === "rejected" || (value === "failed" && context.error?.effect === "none");
      if (amount === undefined || none) continue;
      amounts.set(`${amount.currency}/${context.tool}`, (amounts.get(`${amount.currency}/${context.tool}`) ?? 0) + amount.units);
    }
    for (const [key, units] of state.amounts) assert.equal(units, amounts.get(key) ?? 0);
  }

  /** GUARD-6, and that the running sums are what the journal says. */
  #balance(state: RunState): void {
    const { spent, wall, envelope } = state;
    const held = [...state.reservations.values()].reduce((sum, one) => sum + one.reserved, 0);
    assert.deepEqual([spent.reserved, spent.settled], [this.#reserved, this.#settled]);
    assert.equal(held, spent.reserved);
    assert.ok(spent.settled + spent.reserved <= (envelope?.budget.max_cost_micro_usd ?? Infinity), "overdrawn");
    assert.ok(spent.steps <= (envelope?.budget.max_steps ?? Infinity), "too many steps");
    for (const [id, { reserved, tokens }] of state.reservations) assert.equal(reserved > 0 || tokens !== undefined, state.open.has(id));
    const tokens = (way: "input" | "output") => [...state.reservations.values()].reduce((sum, one) => sum + (one.tokens?.[way].reserved ?? 0), 0);
    assert.deepEqual([spent.input.reserved, spent.output.reserved], [tokens("input"), tokens("output")]);
    assert.ok(spent.output.settled + spent.output.reserved <= (envelope?.budget.max_output_tokens ?? Infinity), "too many tokens");
    assert.ok(wall.usedMs >= this.#wallMs, "wall time went back");
    this.#wallMs = wall.usedMs;
    const waiting = [...state.approvals.values()].some(({ value }) => value === "requested");
    assert.equal(wall.since !== undefined, state.life.value === "active" && !waiting);
    const open = [...this.#actions].filter(([, { ended }]) => !ended).map(([id]) => id);
    assert.deepEqual([...state.open].sort(), open.sort());
    assert.deepEqual([...state.asked], [...state.approvals.values()].filter(({ value }) => value === "requested").map(({ context }) => context.request));
  }

  #owed(state: RunState): void {
    const debts = owed(state);
    assert.equal(new Set(debts.map(({ key }) => key)).size, debts.length, "one key, two debts");
    for (const debt of debts) {
      if (debt.kind === "timer") {
        assert.equal(timestamp(Date.parse(debt.at)), debt.at);
        assert.ok(debt.armed >= 1 && debt.armed <= state.seq);
        assert.ok(!this.#over || IN_FLIGHT.has(state.actions.get(debt.name.slice("action:".length) as never)?.value ?? ""), `owed after the end: ${debt.name}`);
        continue;
      }
      if (debt.kind === "signal") {
        signalSchema.parse(debt.body);
        continue;
      }
      dispatchSchema.parse(debt.message);
      const { probe } = debt.message;
      if (probe === undefined) assert.equal(state.life.value, "active");
      else assert.equal(probe, this.#actions.get(debt.message.action)?.asked);
      assert.equal(this.#actions.get(debt.message.action)?.at, probe === undefined ? "dispatched" : "probing");
      assert.equal(this.#actions.get(debt.message.action)?.attempt, debt.message.attempt);
    }
  }

  /** Exactly one answer to each proposal, of its own status; a final one stays as it is. */
  #answers(state: RunState): void {
    assert.deepEqual(new Set(state.proposals.keys()), this.#proposals);
    for (const key of this.#proposals) {
      const answer = answerTo(state, key);
      assert.ok(answer, `no answer to ${key}`);
      assert.equal(`${key.slice(0, key.indexOf("/"))}/${answer.id}`, key);
      const final = this.#final.get(key);
      if (final !== undefined) assert.equal(answer.status, final);
      if (!answer.final) {
        assert.ok(["pending", "approved", "in_doubt"].includes(answer.status));
      } else if (final === undefined) {
        answerSchema.parse(answer);
        this.#final.set(key, answer.status);
      }
      if (answer.action === undefined) continue;
      const seen = this.#actions.get(answer.action);
      assert.equal(answer.final, seen?.ended);
      const at = { verified: "succeeded", failed: "failed", denied: "denied", rejected: "rejected", in_doubt: "in_doubt", probing: "in_doubt" }[seen?.at ?? ""];
      if (at !== undefined) assert.equal(answer.status, at);
      assert.equal(answer.request !== undefined, state.actions.get(answer.action)?.value === "awaiting_approval");
    }
    if (state.seq > 0) answerSchema.parse(news(state));
  }
}
