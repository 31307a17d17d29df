/**
 * The demo: a refund assistant with a real client and a credential of its own. Its proposals have fixed ids, so that
 * playing it again, also after a crash in the middle, asks how each of them stands and does nothing twice.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { type NatsConnection, connectBus } from "../../services/bus/connection.ts";
import { formatEvent } from "../../services/cli/format.ts";
import { type Io, paintFor } from "../../services/cli/io.ts";
import { runCli } from "../../services/cli/main.ts";
import { connect } from "../../services/client/index.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import type { RunningPlane } from "../plane.ts";

export const DEMO_RUN = "refund-assistant_demo";
const DOCUMENTS = ["tools", "contracts", "policies"].map((folder) => join(import.meta.dirname, folder));

export interface Played {
  /** Status of each proposal, by its id. */
  readonly statuses: Readonly<Record<string, string>>;
  /** The action that waits for a person, while it does. */
  readonly waiting: string | undefined;
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

/** Applies the demo's documents; those that are in force already stay as they are. */
export async function applyDemo(plane: RunningPlane): Promise<void> {
  const code = await cli(plane, ["apply", ...DOCUMENTS], { stdout: { write: () => true } });
  if (code !== 0) throw new Error("the demo's documents were not applied");
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

/** Proposes a read, a small refund, a refund above the contract's limit, and deleting a customer. */
export async function play(plane: RunningPlane, ns: Namespace): Promise<Played> {
  const issued = await issueCreds(plane.keys, { role: "agent", name: "refund-assistant", ns });
  const box = await connect({ url: plane.url, creds: issued.creds });
  try {
    const run = await box.agent("refund-assistant").start({
      id: DEMO_RUN.slice("refund-assistant_".length),
      goal: "Resolve ticket T-1001: the customer was charged twice",
      principal: "customer-care@example.com",
    });
    const ticket = await run.propose({ id: "read", tool: "zendesk.read_ticket", input: { ticket_id: "T-1001" } });
    const small = await run.propose({
      id: "small-refund",
      tool: "stripe.create_refund",
      input: { charge_id: "ch_1001", amount_usd: 25, reason: "charged twice" },
      why: "the ticket shows two charges for one order",
      ...(ticket.action !== undefined && { uses: [ticket.action] }),
    });
    const large = await run.propose(
      {
        id: "large-refund",
        tool: "stripe.create_refund",
        input: { charge_id: "ch_1002", amount_usd: 480, reason: "goodwill" },
        why: "the customer is angry",
        confidence: 0.6,
      },
      { wait: "verdict" },
    );
    const removal = await run.propose({ id: "delete", tool: "crm.delete_customer", input: { customer_id: "cus_1001" }, why: "they asked to be forgotten" });
    return {
      statuses: { read: ticket.status, "small-refund": small.status, "large-refund": large.status, delete: removal.status },
      waiting: large.status === "pending" ? large.action : undefined,
    };
  } finally {
    await box.close();
  }
}
