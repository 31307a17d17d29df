/**
 * What Signalbox must do: id and short text of every requirement. A test that proves one cites its id in its title;
 * `test/meta` finds ids that do not exist, and lists those that no test cites.
 */
export const REQUIREMENTS = {
  "CORE-1": "Agents can only propose",
  "CORE-2": "Validation is deterministic: message schema, tool input schema, contract (is this tool allowed to this agent), structure of a plan",
  "CORE-3": "Policy decides each action: allow, deny, or ask a human",
  "CORE-4": "The gateway executes what was approved, exactly as approved (the digest of the action is checked again at dispatch), validates and sanitises the output, and only then does the agent see it",
  "CORE-5": "One XState machine per run",
  "CORE-6": "Exact replay: from the events alone, the machine reproduces every event byte for byte, with no side effects",
  "CORE-7": "A run carries an envelope through every hop: run id, agent and version, owner, team, principal, budget, policy context, trace context",
  "CORE-8": "For any action three questions are answered by one command and one page: which principal authorised it, which policy permitted it, what evidence proves what happened",
  "CORE-9": "Everybody reads only what is theirs, enforced by the broker: an agent its own runs in sanitised form, a developer their team, an auditor a namespace",
  "EXEC-1": "Plans are graphs: steps with inputs, outputs, preconditions, postconditions and dependencies",
  "EXEC-2": "A plan is type-safe end to end: a step's references resolve to outputs of its predecessors whose schema fits, and its preconditions can be met by them",
  "EXEC-3": "Steps run in dependency order, in parallel where the graph allows; each step's postcondition is verified before what depends on it starts",
  "EXEC-4": "Rollback: on failure, completed steps are compensated in reverse order, and a compensation that fails is itself visible and retried or escalated",
  "EXEC-5": "A tool or contract can demand an order (\"production deploy needs a passed smoke test in this run\"), and a plan or a single action that skips it is refused",
  "EXEC-6": "Retries with backoff and jitter, timeouts, fallbacks to another tool, per tool and contract; deadlines for the whole run",
  "EXEC-7": "At most one execution of a non-idempotent effect: an attempt whose end is unknown becomes *in doubt*, is probed or put to a human, and is never silently repeated",
  "EXEC-8": "Scheduling and scaling: work goes to any number of gateways by tool; runs are partitioned over any number of coordinators; health and readiness are visible",
  "EXEC-9": "Timers are durable: they fire after every process was restarted",
  "GUARD-1": "Reasoning loops are detected (the same action on the same state, cycles of several actions, no progress) and stop or pause the run",
  "GUARD-2": "Retry amplification is bounded: a retry budget per run, per tool and for the whole plane",
  "GUARD-3": "Context poisoning: outputs are schema-checked and scanned; data from untrusted tools is tainted, the taint follows the data into later proposals, and policy can demand a human for a write that rests on it",
  "GUARD-4": "Deadlocks between agents (waiting for each other) are detected and broken, with a clear event",
  "GUARD-5": "A circuit breaker per tool: opens on repeated failures or junk output, half-opens, closes; while open, proposals get an immediate answer",
  "GUARD-6": "Hard budgets per run: steps, tokens in and out, money, wall time, depth of delegation",
  "GUARD-7": "Hard budgets and rate limits per agent, team, project and day, exact under concurrency: reserved before the spend, settled after, never overshot, child runs included",
  "GUARD-8": "An anomaly (a sudden 5x or 10x in calls, tokens or cost) alerts, throttles or pauses the agent",
  "GUARD-9": "Emergency stop by agent, version, tool, team, principal, namespace or everything, with one command and a reason: no effect of that scope starts after it is acknowledged, queued ones included; what was in flight is listed; a second person lifts it",
  "GUARD-10": "Data carries labels (pii, phi, pci, secret, region), declared by tool output field or found by a detector; labels follow the run as taint does; a write, handoff or model call whose destination is not cleared for them is refused or redacted",
  "GUARD-11": "No silent failure: `finish` is a proposal, checked against the contract's output schema and success criteria, and against unresolved failures, in-doubt actions and empty retrievals of the run",
  "GUARD-12": "Rate and concurrency limits per tool and target over all runs and gateways; waiting is fair between teams, bounded and visible",
  "POL-1": "Policy as code in Cedar: versioned, content-addressed, schema-checked at load, tested by fixtures beside the policies, explainable",
  "POL-2": "Policies can use: agent, namespace, team, principal, tool, tags (for example pci), effect (read, write, irreversible), region, amounts, tokens, risk, confidence, taint, time, history of the run",
  "POL-3": "Read and write paths are separate; irreversible effects need explicit approval by a person or a second independent system",
  "POL-4": "Data residency: an action or model call whose region is not allowed for the data is refused",
  "POL-5": "A new policy set is tried on history before it rules: which past decisions would change, over the whole log; and in shadow beside the live one",
  "POL-6": "Policy changes are themselves proposed, reviewed, recorded and reversible",
  "APP-1": "Approval by humans as exception handlers: asked on risk, amount, low confidence or policy; otherwise not",
  "APP-2": "An approval is bound to the digest of the exact action and of what the approver was shown, is single-use, expires, and goes stale when action, contract or policy change",
  "APP-3": "Quorum (M of N, by role), no self-approval, reviewer identity taken from the credential, reason recorded, edit-then-approve as a new validated action with a diff",
  "APP-4": "Approvals survive restarts, wait for days at no cost, and can be answered from console, CLI or NATS",
  "ID-1": "A registry of agents: owner, team, purpose, capabilities, allowed tools, models, prompt templates, limits, configuration, version",
  "ID-2": "Every agent authenticates with short-lived credentials that carry only its own permissions; revocation is immediate",
  "ID-3": "Every action is on behalf of a principal, verified from a signed token; the chain of delegation is recorded",
  "ID-4": "Tools receive a short-lived, single-purpose credential for exactly this action; no shared static keys for mutating tools",
  "ID-5": "RBAC for people: operator, approver, auditor, developer, per namespace",
  "ID-6": "Credential broker: secrets of outside tools are references (file, environment, Vault or KMS adapter) that only the gateway resolves; OAuth token exchange gives the principal's own token where the tool supports it; rotation needs no restart; a static key on a mutating tool is refused unless waived by name with an end date",
  "ID-7": "No way round: an agent holds no credential that a tool or model accepts; the deployments deny agents all network but the plane, and a test shows the direct call failing",
  "ID-8": "Tools are pinned: a served or MCP tool whose schema, description or effect differs from the applied hash is quarantined with a diff; descriptions are untrusted text",
  "COORD-1": "Handoff: a run moves from one agent to another (by name or capability), with the interaction checked, recorded, rate-limited, and its payload mapped where the contract says so",
  "COORD-2": "Delegation: a child run under the parent's budget and principal; its result returns to the parent; revoking the root cascades",
  "COORD-3": "Discovery: agents find each other by capability through the registry",
  "LIFE-1": "Agent versions move draft, evaluated, canary, stable, deprecated, archived; traffic splits by weight; runs stay on the version that they started with",
  "LIFE-2": "Canary and baseline are compared on success, cost, latency and safety; the plane rolls back by itself, and a person rolls back with one call",
  "LIFE-3": "Prompts, tool sets and configuration are versioned artefacts of the contract; history of archived versions stays",
  "MODEL-1": "Model calls are governed actions: budgets, policy, residency, redaction apply",
  "MODEL-2": "Routing by risk, latency, cost and quality tier: cache, retrieval or small model first, escalate on failure, low confidence or contract rules; fallback between providers; optional cross-check by several models",
  "MODEL-3": "Tokens and money are metered per agent, version, model, team, project and principal, with prices fixed in the event at the time",
  "EVAL-1": "Golden sets made from real runs; success criteria per task; deterministic assertions and model judges",
  "EVAL-2": "Scenario simulation: scripted agents and simulated tools through the real plane",
  "EVAL-3": "Gates: a version is promoted only when its evaluation passes thresholds; regressions are named",
  "EVAL-4": "Shadow evaluation by replay of recorded runs against a new version, policy, model or machine",
  "EVAL-5": "Tool-level evaluation: each tool has its own cases, run against its real or recorded adapter",
  "OBS-1": "OpenTelemetry traces of every run (GenAI conventions), metrics (latency, cost, success) and structured logs, tied by run id; prompts and payloads only where the contract's trace level allows",
  "OBS-2": "The *why* is recorded: stated reasoning, planning steps, evidence used, state transitions",
  "OBS-3": "Alerts on latency, cost, error, safety and approval-queue objectives",
  "OBS-4": "Failure attribution: for a failed or costly run, which step, which agent version, which tool or policy",
  "OBS-5": "Questions are answered over all runs: \"agents that touched customer PII in 24 hours\", \"which version changed refund behaviour\", cost by team",
  "OBS-6": "A web console: runs, live timeline, the machine with its current state, approvals, agents, tools, policies, cost",
  "OBS-7": "Every access to labelled data records agent, principal, purpose, data subject and fields: \"who touched this patient's data and why\" is one query",
  "OBS-8": "Outcome labels (correct, reversed, overridden, business value) attach to runs and actions, later too; they feed golden sets, canaries and drift alerts against a version's own past",
  "OBS-9": "Retrievals and memory reads and writes are actions, with query, ids, scores and hits; memory keeps its taint and labels across runs",
  "AUD-1": "Tamper evidence: a hash chain per run over the stored bytes, signed checkpoints, offline verification",
  "AUD-2": "Compliance export: a self-contained file that replays and verifies with no server",
  "AUD-3": "PII: redaction by contract in logs, traces and exports; personal data can be erased (by destroying its key) while the chain still verifies",
  "AUD-4": "Every record lists who approved what, with reviewer attribution and evidence",
  "OPS-1": "Two commands on a fresh machine: `npm start` (embedded NATS, demo contracts, console) and `npm test`",
  "OPS-2": "Beyond one machine: the same code on a replicated JetStream cluster, coordinators and gateways added at will, no lost or doubled effect when any of them dies",
  "OPS-3": "Interfaces follow conventions: CloudEvents over NATS, AsyncAPI, NATS micro services, MCP on both sides, OpenTelemetry, NATS contexts and creds",
  "OPS-4": "Any language: a plain NATS client is enough to be an agent, a tool, an approver or a subscriber",
  "OPS-5": "An existing agent comes under the plane without a rewrite: any MCP client by one line of configuration; tool definitions imported from a running MCP server; a LangGraph tool node in Python and TypeScript whose resume repeats nothing; an OpenAI-compatible model endpoint",
  "OPS-6": "HTTP with OpenAPI for what NATS offers (propose, await, decide, control, query, server-sent events), with the same identities and refusals; a sidecar mode",
  "OPS-7": "Self-service: `init` writes contract, tool, policy and fixture that pass; a Git pipeline gets the diff as a comment and an exit code; observe-only mode records what would have been refused",
} as const satisfies Readonly<Record<string, string>>;

export type RequirementId = keyof typeof REQUIREMENTS;

/** The skeleton that everything else hangs on: one governed agent from proposal to exact replay. */
export const SPINE: readonly RequirementId[] = [
  "CORE-1", "CORE-2", "CORE-3", "CORE-4", "CORE-5", "CORE-6", "CORE-7", "CORE-8", "CORE-9",
  "EXEC-9", "APP-1", "APP-4", "ID-1", "GUARD-6", "OPS-1", "OPS-3", "OPS-4",
];

/** Judgement: what is allowed, who agrees, on whose behalf, and how much. */
export const JUDGEMENT: readonly RequirementId[] = [
  "POL-1", "POL-2", "POL-3", "POL-4", "POL-6", "APP-1", "APP-2", "APP-3", "APP-4", "ID-1", "ID-2", "ID-3", "ID-4", "ID-5",
  "CORE-1", "CORE-2", "CORE-3", "CORE-8", "GUARD-3", "GUARD-6", "GUARD-7", "GUARD-9", "GUARD-10", "AUD-4",
];

/** Proof: nothing lost, nothing doubled, replayed exactly, on one machine and on many, and what shows it to others. */
export const PROOF: readonly RequirementId[] = ["CORE-5", "CORE-6", "EXEC-7", "EXEC-8", "EXEC-9", "AUD-1", "AUD-2", "AUD-3", "OPS-2"];

/** Without a test that cites it, each of these fails the gate. Grows with what is built: add ids here, never take one out. */
export const MUST_BE_CITED: readonly RequirementId[] = [...new Set([...SPINE, ...JUDGEMENT, ...PROOF])];
