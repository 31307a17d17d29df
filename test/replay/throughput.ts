/** How fast a journal is replayed and verified on this machine, and where the time goes. Run by hand: `node test/replay/throughput.ts`. */
import { chainLink } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { beginning, type Driven, recomputed, type StoredCommit } from "../../services/replay/fold.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { Replayer } from "../../services/replay/replay.ts";
import { openFirst, type OpenedEvent } from "../../services/replay/strict.ts";
import type { Namespace } from "../../schemas/ids.ts";
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

/**
 * From stored messages on: reading the inputs, the machines, and every byte but the links compared with what they
 * compute; then the same with every link computed and compared, which is the whole chain.
 *
 * @param passes over all messages, of which the mean is told; one more goes before them, unmeasured: what is asked for is
 * the speed of code that has been compiled, which a journal of a million events has behind it after a second
 */
export async function throughput(messages: readonly StoredMessage[], passes = 1): Promise<Throughput> {
  replayAlone(messages);
  await checkMessages(NS, messages);
  let [alone, whole] = [0, 0];
  for (let pass = 0; pass < passes; pass++) {
    const began = cpuMs();
    replayAlone(messages);
    const replayed = cpuMs();
    const checks = await checkMessages(NS, messages);
    whole += cpuMs() - replayed;
    alone += replayed - began;
    if (checks.some(({ replay, verify }) => replay.difference ?? verify.fault)) throw new Error("the journal is not intact");
  }
  const rate = (ms: number) => Math.round((messages.length * passes * 1000) / ms);
  return { events: messages.length, replay_events_per_s: rate(alone), replay_verified_events_per_s: rate(whole) };
}

function replayAlone(messages: readonly StoredMessage[]): void {
  const replayers = new Map<string, { readonly replayer: Replayer; readonly open: StoredMessage[]; first: OpenedEvent | undefined }>();
  for (const message of messages) {
    let one = replayers.get(message.subject);
    if (one === undefined) {
      const { ns, kind, name } = parseLog(message.subject) ?? { ns: NS, kind: "run" as const, name: "" };
      replayers.set(message.subject, (one = { replayer: new Replayer(ns as Namespace, kind, name, { links: false }), open: [], first: undefined }));
    }
    const first = (one.first ??= openFirst(message.data));
    one.open.push(message);
    if (first !== undefined && one.open.length < first.body.part[1]) continue;
    if (first === undefined || !one.replayer.proves(first, one.open)) throw new Error(`message ${message.seq} is not replayed as recorded`);
    one.first = undefined;
    one.open.length = 0;
  }
}

/** Microseconds of processor time an event for each part, measured alone. */
export function parts(messages: readonly StoredMessage[]): Record<string, number> {
  const time = (work: () => void) => {
    const began = cpuMs();
    work();
    return Math.round(((cpuMs() - began) * 100_000) / messages.length) / 100;
  };
  const commits = new Map<string, { readonly driven: Driven; readonly stored: StoredCommit[] }>();
  const firsts: StoredMessage[] = [];
  for (const message of messages) {
    const first = openFirst(message.data);
    if (first === undefined) continue;
    const { ns, kind, name } = parseLog(message.subject) ?? { ns: NS, kind: "run" as const, name: "" };
    firsts.push(message);
    const known = commits.get(message.subject) ?? { driven: beginning(ns as Namespace, kind, name, first.body.machine), stored: [] };
    known.stored.push({ events: [], first: first.body, premise: first.body.data as unknown as StoredCommit["premise"], complete: true });
    commits.set(message.subject, known);
  }
  const read = time(() => firsts.forEach(({ data }) => openFirst(data)));
  const machines = time(() => {
    for (const { driven, stored } of commits.values()) for (const one of stored) recomputed(driven, one).apply();
  });
  const hash = time(() => messages.forEach(({ subject, data }) => chainLink(subject, data)));
  return { read, machines, hash };
}

if (import.meta.main) {
  const messages = journal(Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 25));
  for (let round = 0; round < 3; round++) console.log(await throughput(messages), parts(messages));
}
