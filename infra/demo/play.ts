/**
 * The demo: two agents with a client and a credential each. Their proposals have fixed ids, so that playing it again,
 * also after a crash in the middle, asks how each of them stands and does nothing twice.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { type NatsConnection, connectBus } from "../../services/bus/connection.ts";
import { formatEvent } from "../../services/cli/format.ts";
import { type Io, paintFor } from "../../services/cli/io.ts";
import { runCli } from "../../services/cli/main.ts";
import { type Outcome, type Run, type ToolCall, connect } from "../../services/client/index.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { DEMO_AUDIENCE, DEMO_ISS, issuePrincipalToken, openIssuerKey, writeDemoIssuer } from "../../services/identity/demo-issuer.ts";
import type { RunningPlane } from "../plane.ts";

export const DEMO_RUN = "refund-assistant_demo";
/** The same agent with a ticket that was written to talk it into something. */
export const INJECTED_RUN = "refund-assistant_demo-injected";
/** The other team. */
export const CLERK_RUN = "ledger-clerk_demo";
export const DEMO_GOAL = "Resolve ticket T-1001: the customer was charged twice";
export const CLERK_GOAL = "Book what the card network settled and nobody booked";
const DOCUMENTS = ["people", "budgets", "tools", "contracts", "policies"].map((folder) => join(import.meta.dirname, folder));
const TOKEN_SECONDS = 900;

export interface Played {
  /** Status of each proposal, by its id. */
  readonly statuses: Readonly<Record<string, string>>;
  /** What waits for a person, by the proposal's id. */
  readonly waiting: ReadonlyMap<string, { readonly run: string; readonly action: string }>;
}

/** Runs the CLI as a person would, on this plane's data folder. Returns its exit code. */
export function cli(plane: RunningPlane, args: readonly string[], io: Partial<Io> = {}): Promise<number> {
  return runCli(args, {
    env: { ...process.env, SIGNALBOX_DATA: plane.settings.dataDir, NATS_URL: plane.url, NATS_CREDS: "", NATS_CONTEXT: "" },
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    signal: new AbortController().signal,
    ...io,
  });
}

/** Applies the demo's documents and its issuer; those that are in force already stay as they are. */
export async function applyDemo(plane: RunningPlane): Promise<void> {
  const issuer = await writeDemoIssuer(plane.settings.dataDir);
  const apply = (...files: string[]) => cli(plane, ["apply", "--yes", ...files], { stdout: { write: () => true } });
  const code = await apply(issuer, ...DOCUMENTS);
  if (code === 0) return;
  if (code !== 5) throw new Error("the demo's documents were not applied");
  // on a data folder of an earlier version the set in force is changed by review, and those who review are new as well
  await apply(issuer, DOCUMENTS[0] as string);
  console.log("signalbox: the demo's documents have changed, and wait for an approver: signalbox approvals");
}

/** Prints every transition of the namespace as it is stored, until the returned function is called. */
export async function printTransitions(plane: RunningPlane, ns: Namespace): Promise<() => Promise<void>> {
  const issued = await issueCreds(plane.keys, { role: "auditor", name: "auditor", ns });
  const nc: NatsConnection = await connectBus({ url: plane.url, name: "signalbox-demo-printer", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  const paint = paintFor(process.stdout, process.env);
  nc.subscribe(patterns.liveOfKind(ns, "run"), {
    callback: (error, message) => {
      if (error !== null) return;
      const event = decodeEvent({ subject: message.subject, data: message.data, seq: 0, time: 0, headers: new Map() });
      console.log(`  ${formatEvent(event, paint)}`);
      const { run, type, data } = event.body;
      if (type === "approval.requested") {
        console.log(paint.yellow(`  ↳ waits for a person: npx signalbox approve ${run} ${String(data["action"])}`));
      }
    },
  });
  await nc.flush();
  return () => nc.close();
}

/** One agent at work: its credential, a token of the principal for this one run, and the run. */
export async function asAgent<T>(plane: RunningPlane, ns: Namespace, run: string, goal: string, work: (run: Run) => Promise<T>): Promise<T> {
  const name = run.slice(0, run.indexOf("_"));
  const issued = await issueCreds(plane.keys, { role: "agent", name, ns });
  const box = await connect({ url: plane.url, creds: issued.creds });
  try {
    const key = await openIssuerKey(plane.settings.dataDir);
    const sub = name === "ledger-clerk" ? "month-end@example.com" : "customer-care@example.com";
    const principal = issuePrincipalToken(key, { iss: DEMO_ISS, aud: DEMO_AUDIENCE, sub, agent: name, run, ttlSeconds: TOKEN_SECONDS });
    return await work(await box.agent(name).start({ id: run.slice(name.length + 1), goal, principal }));
  } finally {
    await box.close();
  }
}

/** What both agents propose, and how each of it stands. */
export async function play(plane: RunningPlane, ns: Namespace): Promise<Played> {
  const statuses: Record<string, string> = {};
  const waiting = new Map<string, { run: string; action: string }>();
  const proposing =
    (run: Run) =>
    async (proposal: ToolCall & { id: string }, wait: "verdict" | "result" = "result"): Promise<Outcome> => {
      const outcome = await run.propose(proposal, { wait });
      statuses[proposal.id] = outcome.status;
      if (outcome.status === "pending" && outcome.action !== undefined) waiting.set(proposal.id, { run: run.id, action: outcome.action });
      return outcome;
    };
  await asAgent(plane, ns, DEMO_RUN, DEMO_GOAL, (run) => refunds(proposing(run)));
  await asAgent(plane, ns, INJECTED_RUN, "Resolve ticket T-1002", (run) => injected(proposing(run)));
  await asAgent(plane, ns, CLERK_RUN, CLERK_GOAL, (run) => settlement(proposing(run)));
  return { statuses, waiting };
}

type Propose = (proposal: ToolCall & { id: string }, wait?: "verdict" | "result") => Promise<Outcome>;

export const LARGE_REFUND = {
  id: "large-refund",
  tool: "stripe.create_refund",
  input: { charge_id: "ch_1002", amount_usd: 480, reason: "goodwill" },
  why: "the customer is angry",
  confidence: 0.6,
} as const;

/** A ticket makes everything after it tainted, until something that cannot be talked into anything has looked at it. */
async function refunds(propose: Propose): Promise<void> {
  await propose({ id: "read", tool: "zendesk.read_ticket", input: { ticket_id: "T-1001" } });
  const kind = await propose({ id: "classify", tool: "zendesk.classify_ticket", input: { ticket_id: "T-1001" } });
  await propose({
    id: "small-refund",
    tool: "stripe.create_refund",
    input: { charge_id: "ch_1001", amount_usd: 25, reason: "duplicate_charge" },
    why: "the ticket shows two charges for one order",
    ...(kind.action !== undefined && { uses: [kind.action] }),
  });
  await propose(LARGE_REFUND, "verdict");
  await propose({ id: "draft-abroad", tool: "model.draft_reply", input: { prompt: "thank them", max_tokens: 400 } });
  await propose({ id: "delete", tool: "crm.delete_customer", input: { customer_id: "cus_1001" }, why: "they asked to be forgotten" });
}

/** The refund is small, and does not say what it rests on. It waits for a person all the same. */
async function injected(propose: Propose): Promise<void> {
  await propose({ id: "read-injected", tool: "zendesk.read_ticket", input: { ticket_id: "T-1002" } });
  await propose({ id: "injected-refund", tool: "stripe.create_refund", input: { charge_id: "ch_6666", amount_usd: 95 }, why: "the ticket asks for it", confidence: 1 }, "verdict");
}

async function settlement(propose: Propose): Promise<void> {
  await propose({ id: "settled", tool: "ledger.read_settlement", input: { day: "2026-01-31" } });
  await propose({ id: "book", tool: "ledger.post_entry", input: { account: "1200", amount_eur: 240, text: "card settlement" } });
  await propose({ id: "other-tool", tool: "zendesk.read_ticket", input: { ticket_id: "T-1001" }, why: "curious" });
}
