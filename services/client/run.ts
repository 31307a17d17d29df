/** Agents and their runs: propose, hear the outcome, end. */
import { randomUUID } from "node:crypto";
import type { Answer } from "../../schemas/answer.ts";
import { type Actor, type Namespace, type RunId, runIdSchema } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type BudgetRequest, type Proposal, proposalSchema } from "../../schemas/proposal.ts";
import { type Reason, reason, reasonsOf } from "../../schemas/reason.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { Asker, WaitOptions } from "./ask.ts";
import { Refused, Unanswered } from "./errors.ts";
import { listen } from "./listen.ts";
import { type Outcome, outcomeOf, readAnswer } from "./outcome.ts";

/**
 * On whose behalf: a token of an issuer that the plane knows, for this agent and this run; or a function that gets one
 * for the run, asked at the start and before each tool call, so that a long run always has one that has not ended. It
 * may give the same as long as that lives. A mere name counts as claimed: such a run only reads.
 */
export type PrincipalToken = string | ((run: string) => string | Promise<string>);

export interface StartRun {
  readonly goal: string;
  /** The run's own name, without the agent's; a random one when left out. Started again, it is the same run. */
  readonly id?: string;
  readonly version?: string;
  readonly context?: { [key: string]: JsonValue };
  /** Narrows the contract's budget; a wider wish has no effect. */
  readonly budget?: BudgetRequest;
  /** The run fails when this passes. */
  readonly deadline?: Date;
  /** For whom the agent acts; sent with the start and with tool calls, never recorded. */
  readonly principal?: PrincipalToken;
}

export interface ToolCall {
  readonly tool: string;
  readonly input: JsonValue;
  readonly why?: string;
  /** 0 to 1. */
  readonly confidence?: number;
  /** Actions, by the plane's ids, whose output this rests on. */
  readonly uses?: readonly string[];
  /** Names the proposal within the run: sent again, it is not done again. A random one when left out. */
  readonly id?: string;
  /** A fresh token of the run's principal, in the place of the one that the run has. */
  readonly principal?: string;
}

/** What an agent and its runs have in common. */
interface Line {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly asker: Asker;
}

export class Agent {
  readonly name: Actor;
  readonly #line: Line;

  constructor(line: Line, name: Actor) {
    this.#line = line;
    this.name = name;
  }

  /**
   * Starts a run, or finds the one that was started with this id and the same words.
   * @throws Refused with every reason, Unanswered, NotPermitted, NotServed
   */
  async start(wish: StartRun, options: Pick<WaitOptions, "timeoutMs"> = {}): Promise<Run> {
    const run = this.run(wish.id ?? randomUUID(), wish.principal);
    await run.begin(wish, options);
    return run;
  }

  /** A run that was started before, by its own name. @throws Refused when the name is not legal */
  run(id: string, principal?: PrincipalToken): Run {
    const name = runIdSchema.safeParse(`${this.name}_${id}`);
    if (!name.success) throw new Refused(`${this.name}_${id}`, null, reasonsOf(name.error, "name.run"));
    return new Run(this.#line, this.name, name.data, principal);
  }
}

export class Run {
  /** `<agent>_<id>`. */
  readonly id: RunId;
  readonly agent: Actor;
  readonly #line: Line;
  readonly #principal: PrincipalToken | undefined;

  constructor(line: Line, agent: Actor, id: RunId, principal: PrincipalToken | undefined) {
    this.#line = line;
    this.agent = agent;
    this.id = id;
    this.#principal = principal;
  }

  /** Proposes the start; `Agent.start` does it. */
  async begin(wish: StartRun, options: Pick<WaitOptions, "timeoutMs">): Promise<void> {
    const { version, goal, context, budget, deadline } = wish;
    await this.#settle(
      {
        kind: "start",
        // One start for one run: repeated it is the same, and other words are refused.
        id: "start",
        agent: { name: this.agent, ...(version !== undefined && { version }) },
        goal,
        ...(context !== undefined && { context }),
        ...(budget !== undefined && { budget }),
        ...(deadline !== undefined && { deadline: deadline.toISOString() }),
      },
      options,
    );
  }

  /**
   * Proposes an action, and resolves with what became of it: one of the statuses of {@link Outcome}. Only trouble on
   * the way is thrown: Unanswered, NotPermitted, NotServed.
   */
  async propose(call: ToolCall, options: WaitOptions = {}): Promise<Outcome> {
    const { tool, input, why, confidence, uses, principal, id = randomUUID() } = call;
    const body = {
      kind: "tool",
      id,
      tool,
      input,
      ...(why !== undefined && { why }),
      ...(confidence !== undefined && { confidence }),
      ...(uses !== undefined && { uses: [...uses] }),
    };
    // What is at fault in it is the plane's to say, and to record.
    return outcomeOf(id, await this.#ask(body as Proposal, options, principal));
  }

  /** Records a piece of reasoning; it is never acted on. @throws Refused, Unanswered, NotPermitted, NotServed */
  note(text: string, id: string = randomUUID()): Promise<Answer> {
    return this.#settle({ kind: "note", id, text });
  }

  /** Ends the run. @throws Refused as long as actions have not ended; Unanswered, NotPermitted, NotServed */
  finish(output?: JsonValue): Promise<Answer> {
    return this.#settle({ kind: "finish", id: "finish", ...(output !== undefined && { output }) });
  }

  /** Gives the run up. @throws Refused, Unanswered, NotPermitted, NotServed */
  fail(error: JsonValue): Promise<Answer> {
    return this.#settle({ kind: "fail", id: "fail", error });
  }

  /**
   * Everything that the plane tells the agent of this run from now on; ends with the run, or when its reader leaves.
   * @throws NotPermitted
   */
  answers(): AsyncIterable<Answer> {
    const subject = subjects.out(this.#line.ns, this.agent, this.id);
    return listen(this.#line.nc, subject, (message) => readAnswer(message.data), (answer) => ENDS.has(answer.kind) && answer.final && !REFUSALS.has(answer.status));
  }

  async #settle(body: Proposal, options: Pick<WaitOptions, "timeoutMs"> = {}): Promise<Answer> {
    const parsed = proposalSchema.safeParse(body);
    if (!parsed.success) throw new Refused(this.id, body.id, reasonsOf(parsed.error));
    const answer = await this.#ask(body, options);
    if (REFUSALS.has(answer.status)) throw new Refused(this.id, body.id, answer.reasons ?? NO_REASONS);
    if (answer.status === "pending") throw new Unanswered(this.id, body.id, options.timeoutMs ?? 30_000);
    return answer;
  }

  async #ask(body: Proposal, options: WaitOptions, fresh?: string): Promise<Answer> {
    // notes and endings are the agent's own: nobody else answers for them
    const acts = body.kind === "start" || body.kind === "tool";
    const principal = acts ? (fresh ?? (await this.#token())) : undefined;
    return this.#line.asker.ask(this.agent, this.id, body, options, principal);
  }

  async #token(): Promise<string | undefined> {
    return typeof this.#principal === "function" ? this.#principal(this.id) : this.#principal;
  }
}

const NO_REASONS: readonly Reason[] = [reason("unknown", "refused without a reason")];
const REFUSALS: ReadonlySet<Answer["status"]> = new Set(["refused", "rejected", "denied"]);
/** Answers of these kinds, when they are final, are the last of a run. */
const ENDS: ReadonlySet<Answer["kind"]> = new Set(["finish", "fail", "run"]);
