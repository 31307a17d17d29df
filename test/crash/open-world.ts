/** Opens a world: a server, services in processes that may be killed, tools, people, and the documents of every capability. */
import type { Rejection } from "../../schemas/answer.ts";
import type { AggregateKind } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Service } from "../../services/main.ts";
import { type Checked, checkAggregate } from "../../services/replay/journal.ts";
import { type TestActor, type TestPlane, startTestPlane } from "../harness/plane.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { Supervisor } from "./children.ts";
import { stubborn } from "./patience.ts";
import type { StartChild } from "./plane-child.ts";
import { Ledger, serveTools } from "./tools.ts";
import type { Part, World, WorldOptions } from "./world.ts";

const POLICY = `@id("all") permit (principal, action, resource);\n`;

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const plane = await startTestPlane();
  const { server, ns } = plane;
  const ledger = new Ledger();
  const documents = CAPABILITIES.flatMap((one) => one.documents({ timeoutMs: options.timeoutMs ?? 2_500, retries: options.retries ?? 4 }));
  await serveTools(server, ns, ledger, documents.flatMap((one) => ("effect" in one ? [one.name] : [])));
  const order = (roles: readonly Service[]): StartChild => ({
    do: "start",
    url: server.url,
    dataDir: server.dataDir,
    ns,
    roles,
    serverPid: server.pid,
    ackWaitMs: options.ackWaitMs ?? 2_000,
    repeatMs: 500,
  });
  const world = { serverDeaths: 0 };
  let awayUntil = Number.NEGATIVE_INFINITY;
  const restarted = async () => {
    world.serverDeaths += 1;
    awayUntil = Number.POSITIVE_INFINITY;
    await server.restart();
    awayUntil = performance.now();
  };
  const wasAway = (since: number) => since <= awayUntil;
  const layout = options.processes ?? [["coordinator", "gateway"]];
  const processes = layout.map(
    (roles) => new Supervisor({ order: () => order(roles), onServerKilled: restarted, wasAway, ...(options.standby !== undefined && { standby: options.standby }) }),
  );
  await Promise.all(processes.map((one) => one.start()));
  await plane.applyValues(documents, [POLICY, ...CAPABILITIES.map(({ policy = "" }) => policy)].join(""));
  const agents = new Map<string, TestActor>();
  for (const one of documents) if ("agent" in one) agents.set(one.agent.name, await plane.agent(one.agent.name));
  const people = {
    agents,
    approver: await plane.approver("ann"),
    second: await plane.approver("bob"),
    operator: await plane.operator("op"),
    otherOperator: await plane.operator("ada"),
  };
  const reading = await server.connect("coordinator", "harness");
  const journal = new StreamReader(reading, streamName("JOURNAL", ns));
  const rejected = new StreamReader(reading, streamName("REJECTED", ns));
  const inputs = await server.connect("provision", "harness");

  const parts = new Map<Part, [Supervisor, ...Supervisor[]]>();
  for (const [index, roles] of layout.entries()) {
    const part = roles.length > 1 ? "services" : (roles[0] as "coordinator" | "gateway");
    const process = processes[index] as Supervisor;
    const others = parts.get(part);
    if (others === undefined) parts.set(part, [process]);
    else others.push(process);
  }
  const counted = Object.defineProperty(world, "deaths", { get: () => processes.reduce((sum, { deaths }) => sum + deaths, 0) }) as typeof world & { readonly deaths: number };
  return Object.assign(counted, {
    plane,
    ledger,
    processes,
    parts,
    isDead: (gateway: string) => processes.some(({ dead }) => dead.has(gateway)),
    people,
    events: (run: string) => stubborn(() => plane.events(run)),
    rejections: (actor: string) =>
      stubborn(async () => {
        const found: Rejection[] = [];
        for await (const { data } of rejected.read({ subject: subjects.rejected(ns, actor as never) })) found.push(JSON.parse(Buffer.from(data).toString()) as Rejection);
        return found;
      }),
    journal: (kind: AggregateKind, name: string) =>
      stubborn(async () => {
        const found: JournalEvent[] = [];
        for await (const message of journal.read({ subject: subjects.log(ns, kind, name) })) found.push(decodeEvent(message));
        return found;
      }),
    check: (run: string, kind: AggregateKind = "run") => stubborn(() => checkAggregate(journal, ns, kind, run)),
    undecided: () =>
      stubborn(async () => {
        let count = 0;
        for (const kind of ["INBOX", "CONTROL"] as const) {
          const answer = await inputs.request(`$JS.API.STREAM.INFO.${streamName(kind, ns)}`, "", { timeout: 2_000 });
          count += answer.json<{ state: { messages: number } }>().state.messages;
        }
        return count;
      }),
    killServer: async () => {
      await server.kill();
      await restarted();
    },
    stop: async () => {
      await Promise.all(processes.map((one) => one.stop()));
      await plane.stop();
    },
  });
}
