/**
 * The working copy of one decision: reads see what this decision already changed, the state itself stays as it was.
 * It numbers the events as they are drafted, and keeps money and wall time in step with them.
 */
import type { Envelope, EventDraft } from "../schemas/event.ts";
import { type ActionId, type Digest, type RequestId, requestId } from "../schemas/ids.ts";
import { canonicalText, sha256Digest } from "../schemas/canonical.ts";
import { millis, plusMillis } from "../schemas/time.ts";
import { actionMachine, ENDED } from "./action.ts";
import type { ActionContext, ActionEvent, ActionInput } from "./action-rules.ts";
import { effectOf } from "./amounts.ts";
import { type ApprovalContext, type ApprovalEvent, approvalMachine } from "./approval.ts";
import type { Marks } from "./marks.ts";
import { type Desk, Purse } from "./purse.ts";
import { RUN_ENDED, type RunEvent, runMachine } from "./run.ts";
import type { StandingApproval } from "./standing.ts";
import type { Approval, Change, ProposalRecord, RunState } from "./state.ts";
import { type Effect, type Snapshot, begin, step } from "./step.ts";
import { approvalView } from "./view.ts";

/** A machine was sent something that its state does not know. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
}

type Untimed<E> = E extends unknown ? Omit<E, "at" | "seq" | "held" | "over"> : never;

export class Work implements Desk {
  readonly drafts: EventDraft[] = [];
  readonly state: RunState;
  readonly at: string;
  readonly set: { -readonly [K in keyof Change["set"]]: Change["set"][K] } = {};
  readonly purse: Purse;
  readonly standings = new Map<RequestId, StandingApproval | undefined>();
  readonly #actions = new Map<ActionId, Snapshot<ActionContext>>();
  readonly #approvals = new Map<RequestId, Approval>();
  readonly #proposals = new Map<string, ProposalRecord>();
  readonly #inputs = new Map<string, Digest>();

  constructor(state: RunState, at: string) {
    this.state = state;
    this.at = at;
    this.purse = new Purse(this);
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
  get envelope(): Envelope | undefined {
    return this.set.envelope ?? this.state.envelope;
  }
  get marks(): Marks {
    return this.set.marks ?? this.state.marks;
  }

  action(id: ActionId): Snapshot<ActionContext> | undefined {
    return this.#actions.get(id) ?? this.state.actions.get(id);
  }
  /** The action that was proposed last. */
  lastAction(): Snapshot<ActionContext> | undefined {
    const [id] = [...this.state.actions.keys(), ...this.#actions.keys()].slice(-1);
    return id === undefined ? undefined : this.action(id);
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
  act(id: ActionId, event: Untimed<ActionEvent>): boolean {
    const action = this.action(id);
    if (action === undefined) return false;
    const timed = { ...event, at: this.at, seq: this.first, held: this.held, over: this.over } as ActionEvent;
    const taken = step(actionMachine, action, timed);
    if (taken === undefined) return false;
    this.#actions.set(id, taken.next);
    this.#record(taken.effects, id);
    if (taken.next.value === "retrying" && taken.next.context.error?.effect === "unknown") this.purse.useAll(id);
    if (ENDED.has(taken.next.value)) this.purse.settle(taken.next.context, effectOf(taken.next.value, taken.next.context));
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

  #record(effects: readonly Effect[], id?: ActionId): void {
    for (const effect of effects) {
      if (effect.type === "took") this.draft(effect.params as EventDraft);
      else if (effect.type === "requestApproval" && id !== undefined) {
        this.#request(id, effect.params as { role: string; count: number; ttlMs: number });
      } else throw new Error(`a machine asked for \`${effect.type}\`, which nobody carries out`);
    }
  }

  #request(id: ActionId, { role, count, ttlMs }: { role: string; count: number; ttlMs: number }): void {
    const request = requestId(this.next);
    const action = this.action(id)?.context;
    if (action === undefined) throw new Error("an approval was requested for no action");
    const expires = plusMillis(this.at, ttlMs);
    const text = canonicalText({ ...approvalView(this, action), request, role, count, expires_at: expires });
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
    if (this.purse.spent !== undefined) this.set.spent = this.purse.spent;
    const { reservations, holdings, holds, signals, amounts } = this.purse;
    return {
      seq: this.state.seq + this.drafts.length,
      at: this.at,
      set: this.set,
      actions: this.#actions,
      approvals: this.#approvals,
      proposals: this.#proposals,
      inputs: this.#inputs,
      reservations,
      holdings,
      holds,
      signals,
      standings: this.standings,
      amounts,
    };
  }
}
