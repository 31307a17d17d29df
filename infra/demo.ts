/**
 * `npm run demo`: plays the demo to its end on a plane of its own (temporary folder, free port), replays every run,
 * verifies every chain, and shows that one flipped byte is found. Ends with 0 only if all of that holds.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Namespace } from "../schemas/ids.ts";
import { patterns, streamName, subjects } from "../schemas/subjects.ts";
import { EXIT } from "../services/cli/exit.ts";
import { connectBus } from "../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../services/bus/journal.ts";
import { issueCreds } from "../services/identity/creds.ts";
import { checkMessages } from "../services/replay/journal.ts";
import { CLERK_GOAL, CLERK_RUN, DEMO_GOAL, DEMO_RUN, INJECTED_RUN, LARGE_REFUND, applyDemo, asAgent, cli, play, printTransitions } from "./demo/play.ts";
import { type RunningPlane, startPlane } from "./plane.ts";
import { readSettings } from "./settings.ts";

const say = (line: string) => console.log(`\nsignalbox: ${line}`);
const EXPECTED = {
  read: "succeeded",
  classify: "succeeded",
  "small-refund": "succeeded",
  "large-refund": "pending",
  "draft-abroad": "denied",
  delete: "denied",
  "read-injected": "succeeded",
  "injected-refund": "pending",
  settled: "succeeded",
  book: "succeeded",
  "other-tool": "denied",
};

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
  say(`the agents propose (runs ${DEMO_RUN}, ${INJECTED_RUN}, ${CLERK_RUN})`);
  const { statuses, waiting } = await play(plane, ns);
  const [large, injected] = [waiting.get("large-refund"), waiting.get("injected-refund")];
  if (JSON.stringify(statuses) !== JSON.stringify(EXPECTED) || large === undefined || injected === undefined) {
    throw new Error(`the demo went another way: ${JSON.stringify(statuses)}`);
  }
  say("a refund that rests on a ticket which tells the agent what to do: the approver refuses it");
  await typed(plane, ["refuse", INJECTED_RUN, injected.action, "--reason", "the ticket asks for it, and no customer"]);
  say("the large refund is too much: the approver edits it, and it is judged anew; finance approves exactly that");
  await typed(plane, ["edit", DEMO_RUN, large.action, "--input", JSON.stringify({ ...LARGE_REFUND.input, amount_usd: 450 }), "--reason", "450 is what the order cost"]);
  const edited = await waitingNow(plane, ns);
  await typed(plane, ["approve", DEMO_RUN, edited, "--as", "demo-finance", "--reason", "checked against the order"]);
  await settled(plane, ns);
  await stopped(plane, ns);
  say("which principal authorised it, which policy permitted it, what proves it");
  await must(plane, ["why", DEMO_RUN, edited]);
  say("why the other refund asked a person, and what would have had to be different");
  await must(plane, ["policy", "explain", INJECTED_RUN, injected.action]);
  await stopPrinting();
}

/** As a person does it: the CLI prints what is asked, and somebody types yes. */
async function typed(plane: RunningPlane, args: readonly string[]): Promise<void> {
  const stdin = Object.assign(Readable.from(["yes\n"]), { isTTY: true });
  const code = await cli(plane, args, { stdin });
  // an edit leaves something that waits
  if (code !== 0 && code !== EXIT.waiting) throw new Error(`signalbox ${args.join(" ")} ended with ${code}`);
}

/** The agent asks again how its refund stands: an edited one waits in its place. */
async function waitingNow(plane: RunningPlane, ns: Namespace): Promise<string> {
  const { waiting } = await play(plane, ns);
  const action = waiting.get(LARGE_REFUND.id)?.action;
  if (action === undefined) throw new Error("the edited refund does not wait for a person");
  return action;
}

/** It hears what was refunded in the end, and ends its run. */
async function settled(plane: RunningPlane, ns: Namespace): Promise<void> {
  await asAgent(plane, ns, DEMO_RUN, DEMO_GOAL, async (run) => {
    const large = await run.propose(LARGE_REFUND);
    if (large.status !== "succeeded") throw new Error(`the approved refund is ${large.status}`);
    console.log(`  the agent is told: ${JSON.stringify(large.output)}`);
    await run.finish({ refunded_usd: 475 });
  });
}

/** One command stops an agent, and a second person lets it go on. */
async function stopped(plane: RunningPlane, ns: Namespace): Promise<void> {
  say("an operator stops the clerk; nothing of it starts any more, until a second operator lifts the stop");
  await must(plane, ["stop", "agent:ledger-clerk", "--reason", "the ledger is being closed"]);
  const propose = (id: string) =>
    asAgent(plane, ns, CLERK_RUN, CLERK_GOAL, (run) => run.propose({ id, tool: "ledger.read_settlement", input: { day: "2026-02-01" } }));
  const held = await propose("while-stopped");
  if (held.status !== "denied") throw new Error(`a stopped agent's proposal is ${held.status}`);
  await must(plane, ["lift", "s1", "--reason", "the ledger is closed", "--as", "second-operator"]);
  const free = await propose("afterwards");
  if (free.status !== "succeeded") throw new Error(`after the stop was lifted the proposal is ${free.status}`);
}

async function must(plane: RunningPlane, args: readonly string[]): Promise<void> {
  const code = await cli(plane, args);
  if (code !== 0) throw new Error(`signalbox ${args.join(" ")} ended with ${code}`);
}

async function proven(plane: RunningPlane): Promise<void> {
  say("the auditor replays every run, and verifies every chain");
  await must(plane, ["replay", "--all", "--as", "auditor"]);
  await must(plane, ["verify", "--all", "--as", "auditor"]);
  say("one byte of a copy is flipped");
  const ns = plane.settings.namespaces[0] as Namespace;
  const copy = await copied(plane, ns);
  // not the last of its chain: what binds an event is the link of the next one
  const chain = copy.flatMap(({ subject }, index) => (subject === subjects.log(ns, "run", DEMO_RUN) ? [index] : []));
  const victim = chain[Math.floor(chain.length / 2)];
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
