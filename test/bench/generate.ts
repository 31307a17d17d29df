/**
 * Journals of any size in a short time: runs made in memory by the machines, the judgement and the sealing that the
 * plane has, on the benchmark's own documents, and appended in large batches. What they hold is what a plane that did
 * all this would have stored, byte for byte; `replay` finds no difference.
 */
import { type RunInput, decide } from "../../machines/decide.ts";
import { type RunState, emptyRun, evolve } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { Contract } from "../../schemas/contract.ts";
import { type Facts, NO_FACTS, type StartFacts } from "../../schemas/facts.ts";
import { type ActionId, type Actor, type Namespace, type RunId, actor, runId } from "../../schemas/ids.ts";
import { microUsd } from "../../schemas/money.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { timestamp } from "../../schemas/time.ts";
import type { Tool } from "../../schemas/tool.ts";
import { type ChainHead, EMPTY_CHAIN, type SealedEvent, seal } from "../../services/bus/commit.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { DEMO_ISS } from "../../services/identity/demo-issuer.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { toolFacts } from "../../services/policy/tool-facts.ts";
import { loadPath } from "../../services/registry/load.ts";
import { Validators } from "../../services/registry/validate.ts";
import type { InForce } from "../../services/registry/view.ts";
import { chainAfter, chained } from "../../services/replay/fold.ts";
import { AGENTS, agentName } from "./documents.ts";

/** One run's life. */
export interface Script {
  /** Carried out to their end: reads, seven events each. */
  readonly actions: number;
  /** `finish` ends it; `owed` leaves it with a write that is dispatched and that no gateway has heard of. */
  readonly end: "finish" | "owed" | "open";
}

export interface Made {
  readonly events: readonly SealedEvent[];
  readonly state: RunState;
  readonly head: ChainHead;
}

const TEXT = "The customer was charged twice for one order and asks for the money back. ".repeat(3);

export class RunMaker {
  readonly #ns: Namespace;
  readonly #contracts = new Map<string, InForce<Contract>>();
  readonly #tools = new Map<string, InForce<Tool>>();
  readonly #judging = { validators: new Validators(), judge: new PolicyJudge() };
  #policy: InForce<PolicySet> | undefined;
  #inputs = 0;

  private constructor(ns: Namespace) {
    this.#ns = ns;
  }

  /** @param folder documents as `writeDocuments` left them */
  static async of(ns: Namespace, folder: string): Promise<RunMaker> {
    const maker = new RunMaker(ns);
    const { documents } = await loadPath(folder);
    for (const document of documents) {
      const { kind, name, digest, value } = document;
      if (kind === "agent") maker.#contracts.set(name, { digest, value });
      if (kind === "tool") maker.#tools.set(name, { digest, value });
      if (kind === "policy") maker.#policy = { digest, value };
    }
    return maker;
  }

  /** @param began when it was started, ms since the epoch */
  make(run: RunId, agent: Actor, { actions, end }: Script, began: number, segment = 1): Made {
    const state = emptyRun(this.#ns, run, CURRENT_VERSION);
    const events: SealedEvent[] = [];
    let head = EMPTY_CHAIN;
    let time = began;
    const tell = (kind: "propose" | "report", by: string, body: { readonly id: string; readonly [key: string]: unknown }) => {
      const at = timestamp((time += 5));
      const input = { kind, actor: by, id: body.id, time: at, traceparent: undefined, hash: canonicalDigest(body), body } as unknown as RunInput;
      const facts = this.#facts(state, input);
      const decision = decide(state, input, facts);
      if (decision.kind !== "commit") throw new Error(`${run}, ${body.id}: ${JSON.stringify(decision)}`);
      const cause = chained({ id: body.id, kind, actor: by, time: at }, chainAfter(state, decision.change));
      evolve(state, decision.change);
      const sealed = seal({ ns: this.#ns, kind: "run", name: run, segment }, head, { drafts: decision.drafts, at: decision.change.at, machine: CURRENT_VERSION, cause, premise: { input: body as never, input_hash: input.hash, facts } });
      head = sealed.head;
      for (const event of sealed.events) events.push(event);
    };
    const act = (tool: string, id: string) => {
      const n = ++this.#inputs;
      tell("propose", agent, { kind: "tool", id, tool, input: { ticket: `T-${n}`, amount_usd: n % 250, customer: { id: `cus_${n % 5000}`, country: "NL" }, labels: ["refund"], text: TEXT }, why: "the ticket asks for it" });
    };
    tell("propose", agent, { kind: "start", id: "start", agent: { name: agent }, goal: "do nothing, quickly" });
    for (let n = 1; n <= actions; n++) {
      act("noop.read", `a-${n}`);
      const action = [...state.actions.keys()].at(-1) as ActionId;
      tell("report", "gateway-bench", { id: `${action}.1`, action, attempt: 1, claim: { gateway: "gateway-bench", nonce: "nonce-0001" }, status: "succeeded", output: { ok: true } });
    }
    if (end === "finish") tell("propose", agent, { kind: "finish", id: "finish", output: { actions } });
    if (end === "owed") act("noop.write", "owed");
    return { events, state, head };
  }

  #facts(state: RunState, input: RunInput): Facts {
    if (input.kind === "propose" && input.body.kind === "start") return this.#startFacts(input.actor, input.time);
    if (input.kind === "propose" && input.body.kind === "tool") return this.#toolFacts(state, input.body, input.time);
    if (input.kind === "report") return { kind: "output", faults: [], engine: "bench", marks: { tainted: false, labels: [], cleanses: false } };
    return NO_FACTS;
  }

  #startFacts(agent: string, time: string): StartFacts {
    const contract = this.#contracts.get(agent);
    if (contract === undefined || this.#policy === undefined) throw new Error(`no documents for ${agent}`);
    const { name, version, owner, team, purpose } = contract.value.agent;
    const { max_steps, max_cost_usd_per_run, max_wall_seconds } = contract.value.budgets;
    return {
      kind: "start",
      documents: { contract: contract.digest, policy: this.#policy.digest },
      agent: { name, ...(version !== undefined && { version }), owner, team, purpose },
      budgets: {
        ...(max_steps !== undefined && { max_steps }),
        ...(max_cost_usd_per_run !== undefined && { max_cost_micro_usd: microUsd(max_cost_usd_per_run) }),
        ...(max_wall_seconds !== undefined && { max_wall_ms: max_wall_seconds * 1000 }),
      },
      principal: { subject: "user-1", issuer: DEMO_ISS, verified: true, expires_at: timestamp(Date.parse(time) + 86_400_000) },
    };
  }

  #toolFacts(state: RunState, body: ToolProposal, time: string): Facts {
    return toolFacts(this.#judging, { contract: this.#contracts.get(state.holder), tool: this.#tools.get(body.tool), policy: this.#policy }, state, body, time);
  }
}

/** The agent of the n-th generated run, and the run's name; `part` tells one generation from another. */
export function nameOf(part: string, n: number): { agent: Actor; run: RunId } {
  // runs at equal distances are those of all agents
  const agent = actor(agentName((n + Math.floor(n / 7)) % AGENTS));
  return { agent, run: runId(`${agent}_${part}${n}`) };
}

const BATCH = 1000;

/** Where runs are put, and when they were started, ms since the epoch. */
export interface Place {
  readonly segment: number;
  readonly began: number;
}

/**
 * Appends runs to a journal. They follow each other, which is as they lie when few run at a time.
 * @param script of the n-th run
 * @returns events appended
 */
export async function generate(nc: NatsConnection, maker: RunMaker, part: string, runs: number, script: (n: number) => Script, place?: Place): Promise<number> {
  const publisher = new Publisher(nc, { timeoutMs: 60_000 });
  const { segment, began } = place ?? { segment: 1, began: Date.now() - 60_000 };
  let appended = 0;
  let batch: SealedEvent[] = [];
  let under: Promise<unknown> = Promise.resolve();
  const send = async () => {
    // one batch is stored while the next is made
    await under;
    const events = batch;
    batch = [];
    under = publisher.batch(events);
    under.catch(() => undefined);
    appended += events.length;
    await new Promise(setImmediate);
  };
  for (let n = 0; n < runs; n++) {
    const { agent, run } = nameOf(part, n);
    const { events } = maker.make(run, agent, script(n), began, segment);
    if (batch.length + events.length > BATCH) await send();
    for (const event of events) batch.push(event);
  }
  if (batch.length > 0) await send();
  await under;
  publisher.close();
  return appended;
}
