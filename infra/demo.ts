/**
 * `npm run demo`: plays the demo to its end on a plane of its own (temporary folder, free port), replays every run,
 * verifies every chain, and shows that one flipped byte is found. Ends with 0 only if all of that holds.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Namespace } from "../schemas/ids.ts";
import { patterns, streamName } from "../schemas/subjects.ts";
import { connectBus } from "../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../services/bus/journal.ts";
import { connect } from "../services/client/index.ts";
import { issueCreds } from "../services/identity/creds.ts";
import { checkMessages } from "../services/replay/journal.ts";
import { DEMO_RUN, applyDemo, cli, play, printTransitions } from "./demo/play.ts";
import { type RunningPlane, startPlane } from "./plane.ts";
import { readSettings } from "./settings.ts";

const say = (line: string) => console.log(`\nsignalbox: ${line}`);
const EXPECTED = { read: "succeeded", "small-refund": "succeeded", "large-refund": "pending", delete: "denied" };

const dataDir = await mkdtemp(join(tmpdir(), "signalbox-demo-"));
let plane: RunningPlane | undefined;
try {
  plane = await startPlane(readSettings([], { ...process.env, SIGNALBOX_DATA: dataDir, NATS_URL: "", SIGNALBOX_NATS_PORT: "" }), console.log);
  await toTheEnd(plane);
  await proven(plane);
  say("all identical, every chain intact, and the flipped byte was found");
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
  process.exitCode = 1;
} finally {
  await plane?.stop();
  await rm(dataDir, { recursive: true, force: true });
}
process.exit();

async function toTheEnd(plane: RunningPlane): Promise<void> {
  const ns = plane.settings.namespaces[0] as Namespace;
  await applyDemo(plane);
  const stopPrinting = await printTransitions(plane, ns);
  say(`the refund assistant proposes (run ${DEMO_RUN})`);
  const { statuses, waiting } = await play(plane, ns);
  if (JSON.stringify(statuses) !== JSON.stringify(EXPECTED) || waiting === undefined) {
    throw new Error(`the demo went another way: ${JSON.stringify(statuses)}`);
  }
  say("the approver reads what is asked, and approves exactly that");
  await approve(plane, waiting);
  await settled(plane, ns);
  say("which principal authorised it, which policy permitted it, what proves it");
  await must(plane, ["why", DEMO_RUN, waiting]);
  await stopPrinting();
}

/** As a person does it: the CLI prints what is asked, and somebody types yes. */
async function approve(plane: RunningPlane, action: string): Promise<void> {
  const typed = Object.assign(Readable.from(["yes\n"]), { isTTY: true });
  const code = await cli(plane, ["approve", DEMO_RUN, action], { stdin: typed });
  if (code !== 0) throw new Error(`the approval ended with ${code}`);
}

/** The agent asks again how its refund stands, and ends its run. */
async function settled(plane: RunningPlane, ns: Namespace): Promise<void> {
  const { statuses } = await play(plane, ns);
  if (statuses["large-refund"] !== "approved" && statuses["large-refund"] !== "succeeded") {
    throw new Error(`the approved refund is ${statuses["large-refund"] ?? "lost"}`);
  }
  const issued = await issueCreds(plane.keys, { role: "agent", name: "refund-assistant", ns });
  const box = await connect({ url: plane.url, creds: issued.creds });
  try {
    const run = box.agent("refund-assistant").run(DEMO_RUN.slice("refund-assistant_".length));
    const large = await run.propose({
      id: "large-refund",
      tool: "stripe.create_refund",
      input: { charge_id: "ch_1002", amount_usd: 480, reason: "goodwill" },
      why: "the customer is angry",
      confidence: 0.6,
    });
    if (large.status !== "succeeded") throw new Error(`the approved refund is ${large.status}`);
    await run.finish({ refunded_usd: 505 });
  } finally {
    await box.close();
  }
}

async function must(plane: RunningPlane, args: readonly string[]): Promise<void> {
  const code = await cli(plane, args);
  if (code !== 0) throw new Error(`signalbox ${args.join(" ")} ended with ${code}`);
}

async function proven(plane: RunningPlane): Promise<void> {
  say("every run is replayed, every chain verified");
  await must(plane, ["replay", "--all"]);
  await must(plane, ["verify", "--all"]);
  say("one byte of a copy is flipped");
  const ns = plane.settings.namespaces[0] as Namespace;
  const copy = await copied(plane, ns);
  const victim = Math.floor(copy.length / 2);
  const flipped = copy.map((message, index) => (index === victim ? { ...message, data: flip(message.data) } : message));
  const untouched = await checkMessages(ns, copy);
  if (untouched.some(({ replay, verify }) => replay.difference ?? verify.fault)) throw new Error("the copy differs before a byte was flipped");
  const found = (await checkMessages(ns, flipped)).find(({ verify }) => verify.fault !== undefined);
  if (found === undefined) throw new Error("a flipped byte was not found");
  console.log(`  found: ${found.verify.name}, event ${found.verify.fault?.seq}: ${found.verify.fault?.why}`);
}

async function copied(plane: RunningPlane, ns: Namespace): Promise<StoredMessage[]> {
  const issued = await issueCreds(plane.keys, { role: "auditor", name: "auditor", ns });
  const nc = await connectBus({ url: plane.url, name: "signalbox-demo-auditor", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  try {
    const copy: StoredMessage[] = [];
    for await (const message of new StreamReader(nc, streamName("JOURNAL", ns)).read({ subject: patterns.log(ns) })) {
      copy.push({ ...message, data: Buffer.from(message.data) });
    }
    return copy;
  } finally {
    await nc.close();
  }
}

function flip(data: Uint8Array): Uint8Array {
  const copy = Buffer.from(data);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
