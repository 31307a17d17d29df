/**
 * The working copy of one decision: reads see what this decision already changed, the state itself stays as it was.
 * It numbers the events as they are drafted, and keeps money and wall time in step with them.
 */
import type { EventDraft } from "../schemas/event.ts";
import { type ActionId, type Digest, type RequestId, requestId } from "../schemas/ids.ts";
import { canonicalText, sha256Digest } from "../schemas/canonical.ts";
import { millis, plusMillis } from "../schemas/time.ts";
import { actionMachine, ENDED } from "./action.ts";
import type { ActionContext, ActionEvent, ActionInput } from "./action-rules.ts";
import { type ApprovalContext, type ApprovalEvent, approvalMachine } from "./approval.ts";
import { RUN_ENDED, type RunEvent, runMachine } from "./run.ts";
import type { Approval, Change, ProposalRecord, Reservation, RunState } from "./state.ts";
import { type Effect, type Snapshot, begin, step } from "./step.ts";

/** A machine was sent something that its state does not know. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
}

type Untimed<E> = E extends unknown ? Omit<E, "at" | "seq" | "held" | "over"> : never;

export class Work {
  readonly drafts: EventDraft[] = [];
  readonly state: RunState;
  readonly at: string;
  readonly set: { -readonly [K in keyof Change["set"]]: Change["set"][K] } = {};
  readonly #actions = new Map<ActionId, Snapshot<ActionContext>>();
  readonly #approvals = new Map<RequestId, Approval>();
  readonly #proposals = new Map<string, ProposalRecord>();
  readonly #inputs = new Map<string, Digest>();
  readonly #reservations = new Map<ActionId, Reservation>();

  constructor(state: RunState, at: string) {
    this.state = state;
    this.at = at;
  }

  /** Sequence that the next draft will have. */
  get next(): number {
    return this.state.seq + this.drafts.length + 1;
  }
  /** Sequence of the commit's first event. */
  get first(): number {
    return this.state.seq + 1;
  }
  get life(): string {
    return (this.set.life ?? this.state.life).value;
  }
  get held(): boolean {
    return this.life === "paused";
  }
  get over(): boolean {
    return RUN_ENDED.has(this.life);
  }

  action(id: ActionId): Snapshot<ActionContext> | undefined {
    return this.#actions.get(id) ?? this.state.actions.get(id);
  }
  approval(id: RequestId): Approval | undefined {
    return this.#approvals.get(id) ?? this.state.approvals.get(id);
  }
  /** Actions that have not ended, oldest first. */
  openActions(): ActionId[] {
    const ids = new Set([...this.state.open, ...this.#actions.keys()]);
    return [...ids].filter((id) => !ENDED.has(this.action(id)?.value ?? ""));
  }
  /** Requests that nobody has answered yet, oldest first. */
  openRequests(): RequestId[] {
    const ids = new Set([...this.state.asked, ...this.#approvals.keys()]);
    return [...ids].filter((id) => this.approval(id)?.value === "requested");
  }
  remember(key: string, hash: Digest): void {
    this.#inputs.set(key, hash);
  }
  propose(key: string, record: ProposalRecord): void {
    this.#proposals.set(key, record);
  }

  draft(draft: EventDraft): void {
    this.drafts.push(draft);
  }

  run(event: RunEvent): void {
    const taken = step(runMachine, this.set.life ?? this.state.life, event);
    if (taken === undefined) throw new NotTaken(`run ${this.life} does not take ${event.type}`);
    this.set.life = taken.next;
    this.#record(taken.effects);
  }

  beginAction(input: ActionInput): void {
    this.#actions.set(input.id, begin<ActionContext>(actionMachine, input).next);
  }

  /** Sends an action its event. False when its state does not know the event: the sender is then refused. */
  act(id: ActionId, event: Untimed<ActionEvent>, view?: (request: RequestId, digest: Digest) => unknown): boolean {
    const action = this.action(id);
    if (action === undefined) return false;
    const timed = { ...event, at: this.at, seq: this.first, held: this.held, over: this.over } as ActionEvent;
    const taken = step(actionMachine, action, timed);
    if (taken === undefined) return false;
    this.#actions.set(id, taken.next);
    this.#record(taken.effects, id, view);
    // nobody knows what this attempt cost, and another one follows
    if (taken.next.value === "retrying" && taken.next.context.error?.effect === "unknown") this.use(id, Infinity);
    if (ENDED.has(taken.next.value)) this.#settle(id, taken.next.context);
    return true;
  }

  answer(id: RequestId, event: Untimed<ApprovalEvent>): string | undefined {
    const approval = this.approval(id);
    if (approval === undefined) return undefined;
    const taken = step(approvalMachine, approval, { ...event, at: this.at } as ApprovalEvent);
    if (taken === undefined) return undefined;
    this.#approvals.set(id, { ...taken.next, view: approval.view });
    this.#record(taken.effects);
    return taken.next.value;
  }

  /** Everything that was not begun comes to its end with the run. */
  close(why: string): void {
    for (const id of this.openRequests()) this.answer(id, { type: "STALE", reason: why });
    for (const id of this.openActions()) this.act(id, { type: "CANCEL", reason: why });
  }

  reserve(id: ActionId, cost: number): void {
    this.#reservations.set(id, { reserved: cost, used: undefined });
    const spent = this.#spent();
    this.set.spent = { ...spent, reserved: spent.reserved + cost };
    this.draft({ type: "budget.reserved", from: this.life, to: this.life, data: { action: id, cost_micro_usd: cost } });
  }

  /** What an attempt says it cost, bounded by what was reserved for the action. */
  use(id: ActionId, cost: number): void {
    const held = this.#reservations.get(id) ?? this.state.reservations.get(id);
    if (held !== undefined) this.#reservations.set(id, { ...held, used: Math.min(held.reserved, (held.used ?? 0) + cost) });
  }

  #spent() {
    return this.set.spent ?? this.state.spent;
  }

  /**
   * An ended action gives back what it did not use. One that did something, or of which nobody knows what it did,
   * keeps all unless it said what it cost: a tool that is silent about money must not be free (GUARD-6).
   */
  #settle(id: ActionId, context: ActionContext): void {
    const held = this.#reservations.get(id) ?? this.state.reservations.get(id);
    if (held === undefined || held.reserved === 0) return;
    const effect = context.attempt === 0 ? "none" : (context.error?.effect ?? "done");
    const cost = effect === "unknown" ? held.reserved : (held.used ?? (effect === "none" ? 0 : held.reserved));
    this.#reservations.set(id, { reserved: 0, used: cost });
    const spent = this.#spent();
    this.set.spent = { ...spent, settled: spent.settled + cost, reserved: spent.reserved - held.reserved };
    this.draft({
      type: "budget.settled",
      from: this.life,
      to: this.life,
      data: { action: id, cost_micro_usd: cost, reserved_micro_usd: held.reserved },
    });
  }

  #record(effects: readonly Effect[], id?: ActionId, view?: (request: RequestId, digest: Digest) => unknown): void {
    for (const effect of effects) {
      if (effect.type === "took") this.draft(effect.params as EventDraft);
      else if (effect.type === "requestApproval" && id !== undefined && view !== undefined) {
        this.#request(id, view, effect.params as { role: string; count: number; ttlMs: number });
      } else throw new Error(`a machine asked for \`${effect.type}\`, which nobody carries out`);
    }
  }

  #request(
    id: ActionId,
    view: (request: RequestId, digest: Digest) => unknown,
    { role, count, ttlMs }: { role: string; count: number; ttlMs: number },
  ): void {
    const request = requestId(this.next);
    const action = this.action(id)?.context;
    if (action?.digest === undefined) throw new Error("an approval was requested for an action without a document");
    const expires = plusMillis(this.at, ttlMs);
    const text = canonicalText({ ...(view(request, action.digest) as object), role, count, expires_at: expires });
    const digest = sha256Digest(text);
    const context: ApprovalContext = {
      request,
      action: id,
      digest,
      role,
      count,
      grants: [],
      people: [],
      timer: { at: expires, armed: this.first },
    };
    this.#approvals.set(request, { ...begin<ApprovalContext>(approvalMachine, context).next, view: text });
    this.draft({
      type: "approval.requested",
      from: "validated",
      to: "awaiting_approval",
      data: { action: id, request, view: text, digest, role, count, expires_at: expires },
    });
  }

  /** Wall time stands while a person is being waited for and while the run is paused. */
  #clock(): void {
    const runs = this.life === "active" && this.openRequests().length === 0;
    const wall = this.set.wall ?? this.state.wall;
    if (runs && wall.since === undefined) this.set.wall = { ...wall, since: this.at, armed: this.first };
    if (!runs && wall.since !== undefined) {
      this.set.wall = { ...wall, usedMs: wall.usedMs + millis(this.at) - millis(wall.since), since: undefined };
    }
  }

  change(): Change {
    this.#clock();
    return {
      seq: this.state.seq + this.drafts.length,
      at: this.at,
      set: this.set,
      actions: this.#actions,
      approvals: this.#approvals,
      proposals: this.#proposals,
      inputs: this.#inputs,
      reservations: this.#reservations,
      holdings: new Map(),
      holds: new Map(),
      signals: new Map(),
      standings: new Map(),
      amounts: new Map(),
    };
  }
}
