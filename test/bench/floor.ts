/**
 * What the messages of a governed action cost by themselves: the same load, the same streams and the same messages,
 * with nothing decided in between (`floor-plane.ts`). What is left of a goal above this is what the plane may take.
 */
import { patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import { SERVICES } from "../../services/main.ts";
import { hundredth, tenth } from "./figures.ts";
import type { Template, Templates } from "./floor-plane.ts";
import type { Loaded } from "./load.ts";
import { cpuSeconds } from "./processes.ts";
import { NS, type Sync, World } from "./world.ts";

/** Messages that the server was sent and that it sent, for one action. */
export interface Traffic {
  readonly in: number;
  readonly out: number;
}
export interface Floor {
  readonly sync: Sync;
  readonly in_flight: number;
  readonly actions_per_s: number;
  /** Processor milliseconds for each action. */
  readonly cpu_ms_per_action: Readonly<Record<"deciding" | "carrying_out" | "server" | "load", number>>;
  /** Of the plane and of what stands in for it: the one has the read model's and the feeds' besides. */
  readonly messages_per_action: { readonly plane: Traffic; readonly floor: Traffic };
  readonly faults: readonly string[];
}

export interface FloorPlan {
  readonly inFlight: number;
  readonly seconds: number;
  readonly policies: number;
}

const WARM = { inFlight: 64, seconds: 3, runs: 0 };

export async function measureFloor(sync: Sync, { inFlight, seconds, policies }: FloorPlan, binary: string, say: (line: string) => void): Promise<Floor> {
  const world = await World.begin({ sync, binary });
  try {
    const plane = await world.plane(SERVICES);
    await world.applyDocuments(policies, false);
    const load = await world.load();
    const closed = async (options: { inFlight: number; seconds: number; runs: number }) => {
      const before = await traffic(world);
      const loaded = await load.ask<Loaded>({ do: "closed", options });
      const after = await traffic(world);
      return { ...loaded, messages: { in: tenth((after.in - before.in) / loaded.seen.length), out: tenth((after.out - before.out) / loaded.seen.length) } };
    };
    const governed = await closed(WARM);
    await plane.stop();
    const templates = await recorded(await world.journal());
    const parts = { deciding: await world.floor("deciding", templates), carrying_out: await world.floor("carrying out", templates) };
    await closed(WARM);
    const pids: Readonly<Record<keyof Floor["cpu_ms_per_action"], number>> = { deciding: parts.deciding.pid, carrying_out: parts.carrying_out.pid, server: world.server.pid, load: load.pid };
    const used = () => Object.entries(pids).map(([who, pid]): [string, number] => [who, cpuSeconds(pid)]);
    const before = used();
    const { seen, from, until, messages } = await closed({ inFlight, seconds, runs: 0 });
    const cpu = Object.fromEntries(used().map(([who, spent], index) => [who, hundredth(((spent - (before[index]?.[1] ?? 0)) * 1000) / seen.length)]));
    const faults = seen.filter(({ kind, status }) => status !== (kind === "denied" ? "denied" : "succeeded")).map(({ run, id, status }) => `${run}/${id} was told \`${status}\``);
    const done = seen.filter(({ kind, ended }) => kind !== "denied" && ended >= from && ended < until);
    const floor: Floor = {
      sync,
      in_flight: inFlight,
      actions_per_s: Math.round((done.length * 1000) / (until - from)),
      cpu_ms_per_action: cpu as Floor["cpu_ms_per_action"],
      messages_per_action: { plane: governed.messages, floor: messages },
      faults,
    };
    say(`${sync}: the messages alone: ${JSON.stringify(floor)}`);
    return floor;
  } finally {
    await world.end();
  }
}

async function traffic({ server }: World): Promise<Traffic> {
  const { in_msgs, out_msgs } = (await (await fetch(`${server.monitorUrl}/varz`)).json()) as { in_msgs: number; out_msgs: number };
  return { in: in_msgs, out: out_msgs };
}

/** One commit of every kind that the load brings about, as it was stored. */
async function recorded(journal: StreamReader): Promise<Templates> {
  const templates: Record<string, Template> = {};
  const wanted = new Set(["start", "noop.read", "noop.write", "denied", "finish", "started", "read", "written"]);
  let open: { data: Uint8Array; headers: Record<string, string>; type: string }[] = [];
  let input: Readonly<Record<string, unknown>> = {};
  for await (const message of journal.read({ subject: patterns.logOfKind(NS, "run"), pageSize: 2000 })) {
    const { body } = decodeEvent(message);
    const [index, last] = body.part;
    if (index === 1) {
      open = [];
      input = body.data["input"] as typeof input;
    }
    open.push({ data: Buffer.from(message.data), headers: Object.fromEntries([...message.headers].filter(([name]) => !name.startsWith("Nats-"))), type: body.type });
    if (index < last) continue;
    const kind = kindOf(body.cause.kind, input, open.map(({ type }) => type));
    if (kind === undefined || !wanted.delete(kind)) continue;
    const document = kind.startsWith("noop.") ? JSON.stringify({ ns: NS, run: body.run, action: "a1", tool: input["tool"], tool_hash: HASH, contract_hash: HASH, input: input["input"], principal: { issuer: "https://issuer.example", subject: "user-1" } }) : undefined;
    templates[kind] = { events: open.map(({ data, headers }) => ({ data, headers })), ...(document !== undefined && { document }) };
    if (wanted.size === 0) return templates;
  }
  throw new Error(`the plane stored nothing of ${[...wanted].join(", ")}`);
}

const HASH = `sha256:${"0".repeat(64)}`;

function kindOf(cause: string, input: Readonly<Record<string, unknown>>, types: readonly string[]): string | undefined {
  if (cause === "propose") return input["kind"] !== "tool" ? String(input["kind"]) : types.includes("action.denied") ? "denied" : String(input["tool"]);
  if (cause !== "report") return undefined;
  if (input["status"] === "started") return "started";
  // a read is claimed by its report
  return types.includes("action.started") ? "read" : "written";
}
