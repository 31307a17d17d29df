/** Writes journal events by hand, sealed as the coordinator seals them, so that readers are tested without it. */
import type { Cause, EventDraft, Premise } from "../../schemas/event.ts";
import { type AggregateKind, type Digest, type Namespace, namespace } from "../../schemas/ids.ts";
import { canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import { NO_FACTS } from "../../schemas/facts.ts";
import { type ChainHead, EMPTY_CHAIN, type SealedEvent, seal } from "../../services/bus/commit.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Publisher } from "../../services/bus/publisher.ts";

export const NS: Namespace = namespace("default");
const HASH = sha256Digest("") as Digest;

type Loose = { type: EventDraft["type"]; from?: string; to?: string; data?: Record<string, unknown> };

export class JournalWriter {
  readonly #publisher: Publisher | undefined;
  readonly #heads = new Map<string, ChainHead>();
  #inputs = 0;

  /** Without a connection it only seals. */
  constructor(nc?: NatsConnection) {
    this.#publisher = nc && new Publisher(nc);
  }

  seal(kind: AggregateKind, name: string, drafts: readonly Loose[], premise: Partial<Premise> = {}, cause: Partial<Cause> = {}): SealedEvent[] {
    this.#inputs += 1;
    const at = new Date(Date.UTC(2026, 0, 1) + this.#inputs * 1000).toISOString();
    const sealed = seal({ ns: NS, kind, name }, this.#heads.get(`${kind}/${name}`) ?? EMPTY_CHAIN, {
      drafts: drafts.map((draft) => ({ from: "active", to: "active", data: {}, ...draft }) as EventDraft),
      at,
      machine: "1",
      cause: { id: `i${this.#inputs}`, kind: "propose", actor: "refunds", time: at, ...cause },
      premise: { input: {}, input_hash: HASH, facts: NO_FACTS, ...premise },
    });
    this.#heads.set(`${kind}/${name}`, sealed.head);
    return sealed.events;
  }

  /** One commit; returns the stream sequence of its last event. */
  async commit(kind: AggregateKind, name: string, drafts: readonly Loose[], premise: Partial<Premise> = {}, cause: Partial<Cause> = {}): Promise<number> {
    const stored = await this.#publisher!.batch(this.seal(kind, name, drafts, premise, cause));
    return stored.seq;
  }

  close(): void {
    this.#publisher?.close();
  }
}

export function started(team = "Customer Ops", agent = "refunds"): Loose {
  return {
    type: "run.started",
    from: "admitting",
    data: {
      goal: "make the customer whole",
      envelope: { agent: { name: agent, version: "1.0.0" }, owner: "ops", team, principal: { subject: "kim", verified: false }, documents: {}, budget: {} },
    },
  };
}

export function proposed(action: string, tool = "stripe.refund"): Loose {
  return { type: "action.proposed", to: "proposed", data: { action, proposal: `p-${action}`, tool, agent: "refunds" } };
}

export function requested(run: string, action: string, request: string, tool = "stripe.refund"): Loose {
  const view = canonicalText({ action, action_document: { action, input: { amount: 480 }, run, tool }, request });
  return {
    type: "approval.requested",
    from: "validated",
    to: "awaiting_approval",
    data: { action, request, view, digest: sha256Digest(view), role: "approver", count: 1, expires_at: "2026-02-01T00:00:00.000Z" },
  };
}

export const granted = (action: string, request: string, grants = 1, count = 1): Loose => ({
  type: "approval.granted",
  from: "requested",
  to: grants >= count ? "granted" : "requested",
  data: { action, request, by: "sam", digest: HASH, grants, count },
});
