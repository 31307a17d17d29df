/**
 * A real server with the plane's accounts, and the coordinator's side of the talk with a gateway played by hand:
 * the test publishes dispatches, sees reports as they are stored in CONTROL, and publishes grants.
 */
import { canonicalBytes, canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import { contractSchema } from "../../schemas/contract.ts";
import type { Dispatch, Grant } from "../../schemas/dispatch.ts";
import { actor, type Digest, namespace, runId, type RunId, toolName } from "../../schemas/ids.ts";
import { type ReportInput, reportSchema } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { parseStoredInput, streamName, subjects } from "../../schemas/subjects.ts";
import { type Tool, toolSchema } from "../../schemas/tool.ts";
import { readBody } from "../../services/bus/body.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { dispatchConsumer } from "../../services/bus/dispatch.ts";
import { Intake } from "../../services/bus/intake.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { BuiltinAdapter, type BuiltinTool } from "../../services/gateway/adapters/builtin.ts";
import { Gateway, type GatewayOptions } from "../../services/gateway/gateway.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

export const NS = namespace("default");

/** A report as it was stored, with the run and gateway from its subject. */
export interface SeenReport extends ReportInput {
  readonly run: RunId;
  readonly gateway: string;
}

export interface Plane {
  readonly server: TestServer;
  readonly nc: NatsConnection;
  readonly documents: Documents;
  /** All reports so far, repetitions included. */
  readonly seen: readonly SeenReport[];
  applyTool(definition: Partial<Omit<Tool, "name">> & { name: string; effect: Tool["effect"] }): Promise<Digest>;
  /** Publishes a dispatch; what is given replaces what would be right. */
  dispatch(tool: string, hash: Digest, given?: Given): Promise<{ dispatch: Dispatch; seq: number }>;
  /** Waits for a report that nobody has been given yet. */
  report(matches?: (report: SeenReport) => boolean): Promise<SeenReport>;
  answer(report: SeenReport, verdict: Grant["verdict"], change?: Partial<Grant>): Promise<void>;
  /** Answers to reports from now on, without the test's doing. */
  answerAll(verdict: (report: SeenReport) => Grant["verdict"]): void;
  /** Makes the server deliver a dispatch again now. */
  redeliver(tool: string, seq: number): void;
  /** Resolves when every dispatch was acknowledged. */
  settled(): Promise<void>;
  gateway(name: string, options?: Partial<GatewayOptions> & { tools?: Record<string, BuiltinTool> }): Promise<Gateway>;
  stop(): Promise<void>;
}

export interface Given {
  readonly run?: string;
  readonly action?: string;
  readonly attempt?: number;
  readonly input?: JsonValue;
  readonly effect?: Tool["effect"];
  readonly timeoutMs?: number;
  readonly change?: Partial<Record<keyof Dispatch, unknown>>;
}

export async function startPlane(): Promise<Plane> {
  const server = await startTestServer();
  const nc = await server.connect("coordinator", "c1");
  const publisher = new Publisher(nc);
  const documents = new Documents(nc, publisher, NS);
  const dispatches = new StreamReader(nc, streamName("DISPATCH", NS));
  const intake = new Intake(nc, { stream: streamName("CONTROL", NS), consumer: "test" });
  const seen: SeenReport[] = [];
  const unclaimed: SeenReport[] = [];
  const waiting: { matches: (report: SeenReport) => boolean; resolve: (report: SeenReport) => void }[] = [];
  const gateways: Gateway[] = [];
  const effects = new Map<Digest, Tool["effect"]>();
  let runs = 0;
  let standing: ((report: SeenReport) => Grant["verdict"]) | undefined;

  const contract = await documents.put(canonicalBytes(contractSchema.parse({ agent: { name: "alice", owner: "o", team: "t", purpose: "tests" } })), "application/json");
  await intake.start((messages) => {
    for (const message of messages) {
      message.ack();
      onReport(reportOf(message));
    }
  });

  function onReport(report: SeenReport): void {
    seen.push(report);
    if (standing !== undefined) answer(report, standing(report));
    const at = waiting.findIndex(({ matches }) => matches(report));
    if (at < 0) unclaimed.push(report);
    else waiting.splice(at, 1)[0]?.resolve(report);
  }

  function answer(report: SeenReport, verdict: Grant["verdict"], change: Partial<Grant> = {}): void {
    const { id, run, action, attempt, claim } = report;
    const grant: Grant = { v: 1, run, report: id, action, attempt, claim, verdict, seq: 7, ...change };
    nc.publish(subjects.grant(NS, actor(report.gateway)), JSON.stringify(grant));
  }

  return {
    server,
    nc,
    documents,
    seen,
    answerAll: (verdict) => (standing = verdict),
    answer: async (report, verdict, change) => {
      answer(report, verdict, change);
      await nc.flush();
    },
    async applyTool(definition) {
      const tool = toolSchema.parse({
        description: "a tool",
        input: { type: "object" },
        output: {},
        adapter: { type: "builtin" },
        ...definition,
      });
      const hash = await documents.put(canonicalBytes(tool), "application/json");
      effects.set(hash, tool.effect);
      // Which event it is does not matter to a gateway: the subject names the tool.
      await publisher.publish(subjects.log(NS, "tool", tool.name), Buffer.from("tool.applied"));
      return hash;
    },
    async dispatch(tool, hash, given = {}) {
      const run = runId(given.run ?? `alice_${++runs}`);
      const action = given.action ?? "a3";
      const document = canonicalText({
        ns: NS,
        run,
        action,
        tool: toolName(tool),
        tool_hash: hash,
        contract_hash: contract,
        input: given.input ?? { n: 1 },
        principal: null,
      });
      const dispatch = {
        v: 1,
        run,
        action,
        attempt: given.attempt ?? 1,
        document,
        digest: sha256Digest(document),
        timeout_ms: given.timeoutMs ?? 30_000,
        effect: given.effect ?? effects.get(hash) ?? "write",
        ...given.change,
      } as Dispatch;
      const { seq } = await publisher.publish(subjects.dispatch(NS, tool), Buffer.from(JSON.stringify(dispatch)));
      return { dispatch, seq };
    },
    report: (matches = () => true) => {
      const at = unclaimed.findIndex(matches);
      if (at >= 0) return Promise.resolve(unclaimed.splice(at, 1)[0]!);
      return new Promise((resolve) => waiting.push({ matches, resolve }));
    },
    redeliver: (tool, seq) =>
      nc.publish(`$JS.ACK.${streamName("DISPATCH", NS)}.${dispatchConsumer(tool)}.1.${seq}.${seq}.0.0`, "-NAK"),
    async settled() {
      while ((await dispatches.info()).messages > 0);
    },
    async gateway(name, { tools = {}, ...options } = {}) {
      const connection = options.nc ?? (await server.connect("gateway", name));
      const gateway = new Gateway({
        nc: connection,
        ns: NS,
        name: actor(name),
        adapters: { builtin: new BuiltinAdapter(new Map(Object.entries(tools))) },
        ...options,
      });
      await gateway.start();
      gateways.push(gateway);
      return gateway;
    },
    async stop() {
      await Promise.all(gateways.map((gateway) => gateway.stop(0)));
      await intake.stop();
      await server.stop();
    },
  };
}

function reportOf(message: IntakeMessage): SeenReport {
  const address = parseStoredInput(message.subject);
  const body = readBody(message.data, message.headers.get("content-type"));
  if (address?.kind !== "report" || !body.ok) throw new Error(`no report: ${message.subject} ${JSON.stringify(body)}`);
  return { ...reportSchema.parse(body.value), run: runId(address.aggregate), gateway: address.actor };
}
