/** How fast a journal is replayed and verified on this machine, and where the time goes. Run by hand: `node test/replay/throughput.ts`. */
import { decodeEvent } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { ChainVerifier, Replayer } from "../../services/replay/replay.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { NS, office } from "./recorded.ts";

/** Runs of `actions` governed actions each, five events an action (amounts of nothing lease nothing), interleaved as many agents at once would leave them. */
export function journal(runs: number, actions: number): StoredMessage[] {
  const recorder = office();
  const names = Array.from({ length: runs }, (_, index) => `clerk_run-${index}`);
  for (const run of names) recorder.start(run);
  for (let action = 0; action < actions; action++) {
    for (const run of names) {
      recorder.propose(run, `t${action}`, "t.write", { amount: 0, number: action % 100, customer: `cus_${action}`, reason: "an ordinary reason of ordinary length" });
      recorder.carryOut(run);
    }
  }
  return recorder.messages;
}

/** Time of this process's own: what else runs on the machine does not count, collecting garbage on another core does. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Events a second of processor time. */
export interface Throughput {
  readonly events: number;
  readonly replay_events_per_s: number;
  readonly replay_verified_events_per_s: number;
}

/** Everything from stored messages on: decoding, the machines, sealing again, comparing; then the same with chains and headers. */
export async function throughput(messages: readonly StoredMessage[]): Promise<Throughput> {
  const replayers = new Map<string, Replayer>();
  const began = cpuMs();
  for (const message of messages) {
    let replayer = replayers.get(message.subject);
    if (replayer === undefined) {
      const { kind, name } = parseLog(message.subject) ?? { kind: "run" as const, name: "" };
      replayers.set(message.subject, (replayer = new Replayer(NS, kind, name)));
    }
    const difference = replayer.push(decodeEvent(message));
    if (difference !== undefined) throw new Error(JSON.stringify(difference));
  }
  const replayed = cpuMs();
  const checks = await checkMessages(NS, messages);
  const verified = cpuMs();
  if (checks.some(({ replay, verify }) => replay.difference ?? verify.fault)) throw new Error("the journal is not intact");
  const rate = (ms: number) => Math.round((messages.length * 1000) / ms);
  return { events: messages.length, replay_events_per_s: rate(replayed - began), replay_verified_events_per_s: rate(verified - replayed) };
}

/** Microseconds an event for each part, measured alone. */
export function parts(messages: readonly StoredMessage[]): Record<string, number> {
  const time = (work: () => void) => {
    const began = cpuMs();
    work();
    return Math.round(((cpuMs() - began) * 100_000) / messages.length) / 100;
  };
  let events: ReturnType<typeof decodeEvent>[] = [];
  const decode = time(() => (events = messages.map(decodeEvent)));
  const chain = time(() => {
    const verifiers = new Map<string, ChainVerifier>();
    for (const event of events) {
      let verifier = verifiers.get(event.subject);
      if (verifier === undefined) verifiers.set(event.subject, (verifier = new ChainVerifier(parseLog(event.subject)?.kind ?? "run", event.body.run)));
      verifier.push(event);
    }
  });
  const replay = time(() => {
    const replayers = new Map<string, Replayer>();
    for (const event of events) {
      let replayer = replayers.get(event.subject);
      if (replayer === undefined) replayers.set(event.subject, (replayer = new Replayer(NS, parseLog(event.subject)?.kind ?? "run", event.body.run)));
      replayer.push(event);
    }
  });
  return { decode, chain, replay };
}

if (import.meta.main) {
  const messages = journal(Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 25));
  for (let round = 0; round < 3; round++) console.log(await throughput(messages), parts(messages));
}
