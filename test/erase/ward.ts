/** A plane with tools that know persons: what they were called with, what they give, and where on the disk a text stands. */
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonValue } from "../../schemas/json.ts";
import { actor } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { streamName } from "../../schemas/subjects.ts";
import { BuiltinAdapter } from "../../services/gateway/adapters/builtin.ts";
import type { AdapterRequest, AdapterResult } from "../../services/gateway/adapters/adapter.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { openPersonalMaster, type PersonalMaster } from "../../services/identity/sealing.ts";
import { type TestActor, type TestPlane, startTestPlane, withPatience } from "../harness/plane.ts";
import type { TestServerOptions } from "../harness/server.ts";

const text = { type: "string" };
const tool = (name: string, effect: string, input: object, output: object, more: object = {}) => ({
  name,
  description: `${name} of the tests`,
  effect,
  adapter: "builtin",
  trusted: true,
  timeout_ms: 5000,
  input: { type: "object", additionalProperties: false, properties: input, ...more },
  output: { type: "object", additionalProperties: false, properties: output },
});

/** `customer` says who it is about, wherever it stands. */
export const TOOLS = [
  { ...tool("crm.find", "read", { customer: text }, { customer: text, email: { ...text, format: "email" }, notes: { type: "array", items: text } }), personal: [{ path: "email", subject: "customer" }, { path: "notes", subject: "customer" }] },
  { ...tool("mail.send", "write", { customer: text, to: { ...text, format: "email" }, subject: text }, { id: text, said: text }, { required: ["to"] }), personal: [{ path: "to", subject: "customer" }], clearance: ["pii"] },
  { ...tool("crm.save", "write", { customer: text, email: text }, { email: text }), personal: [{ path: "email", subject: "customer" }], clearance: ["pii"] },
  // marked by the contract alone
  { ...tool("sms.send", "write", { customer: text, number: text }, { id: text }), clearance: ["pii"] },
  tool("plain.write", "write", { text }, { ok: { type: "boolean" } }),
] as const;

export const CONTRACT = {
  agent: { name: "clerk", owner: "owner", team: "team", purpose: "to be tested" },
  tools: {
    allowlist: [
      { name: "crm.find" },
      { name: "mail.send", requires_approval: false },
      { name: "sms.send", personal: [{ path: "number", subject: "customer" }] },
      { name: "plain.write" },
      { name: "crm.save" },
    ],
  },
};
/** The same agent, asked about every mail. */
export const CAREFUL = { ...CONTRACT, agent: { ...CONTRACT.agent, name: "careful" }, tools: { allowlist: [{ name: "crm.find" }, { name: "mail.send", requires_approval: true }] } };
const POLICY = `@id("all") permit (principal, action, resource);\n`;

export interface Ward extends TestPlane {
  readonly master: PersonalMaster;
  readonly clerk: TestActor;
  readonly careful: TestActor;
  /** What tools were given, in order. */
  readonly calls: { readonly tool: string; readonly input: JsonValue }[];
  /** What a tool does next, instead of its usual answer. */
  next(tool: string, act: (request: AdapterRequest) => AdapterResult | Promise<AdapterResult>): void;
  gateway(): Promise<Gateway>;
  /** The documents above: in force already, unless no coordinator was started. */
  documents(): Promise<void>;
  /** Resolves when everything that came in is decided, and out of its stream. */
  drained(): Promise<void>;
  begin(agent: TestActor, run: string): Promise<void>;
  /** Files of the data folder that hold a text: the server's store, and whatever else lies there. */
  holding(text: string): Promise<string[]>;
  erasures(): Promise<JournalEvent[]>;
  /** Erases a subject as an operator does, and waits until the journal says that it was done. */
  erase(subject: string): Promise<void>;
}

export async function startWard(options: TestServerOptions & { coordinator?: boolean } = {}): Promise<Ward> {
  const plane = await startTestPlane(options);
  const { server, ns } = plane;
  const master = await openPersonalMaster(server.dataDir);
  if (options.coordinator !== false) await plane.coordinator({ personal: master });
  const documents = () => plane.applyValues([...TOOLS, CONTRACT, CAREFUL], POLICY);
  if (options.coordinator !== false) await documents();
  const calls: Ward["calls"][number][] = [];
  const acts = new Map<string, (request: AdapterRequest) => AdapterResult | Promise<AdapterResult>>();
  const usual: Readonly<Record<string, (input: { [key: string]: JsonValue }) => JsonValue>> = {
    "crm.find": ({ customer }) => ({ customer: customer ?? "", email: `${String(customer)}@planted.example`, notes: [`note on ${String(customer)}`] }),
    "mail.send": () => ({ id: "m1" }),
    "sms.send": () => ({ id: "s1" }),
    "plain.write": () => ({ ok: true }),
    "crm.save": ({ email }) => ({ email: email ?? "" }),
  };
  const tools = new Map(
    Object.entries(usual).map(([name, answer]) => [
      name,
      (request: AdapterRequest) => {
        calls.push({ tool: name, input: request.input });
        const act = acts.get(name);
        acts.delete(name);
        return act === undefined ? { ok: true as const, output: answer(request.input as { [key: string]: JsonValue }) } : act(request);
      },
    ]),
  );
  const gateways: Gateway[] = [];
  const journal = new StreamReader(await server.connect("auditor", "ward-auditor"), streamName("JOURNAL", ns));
  const erasures: Ward["erasures"] = async () => {
    const found: JournalEvent[] = [];
    for await (const message of journal.read({ subject: subjects.log(ns, "erasure", "subjects") })) found.push(decodeEvent(message));
    return found;
  };
  const operator = await plane.operator("eraser-op");
  const ward: Ward = {
    ...plane,
    master,
    clerk: await plane.agent("clerk"),
    careful: await plane.agent("careful"),
    calls,
    next: (name, act) => void acts.set(name, act),
    gateway: async () => {
      const name = actor(`g-${randomUUID().slice(0, 8)}`);
      const gateway = new Gateway({ nc: await server.connect("gateway", name), ns, name, personal: master, adapters: { builtin: new BuiltinAdapter(tools as never) }, repeatMs: 500 });
      await gateway.start();
      gateways.push(gateway);
      return gateway;
    },
    begin: async (agent, run) => {
      const { status } = await agent.propose(run, { kind: "start", id: "start", agent: { name: agent.name }, goal: "test" });
      if (status !== "started") throw new Error(`the run is ${status}`);
    },
    documents,
    drained: async () => {
      const nc = await server.connect("provision", `drain-${randomUUID().slice(0, 8)}`);
      const left = async (kind: "INBOX" | "CONTROL") => (await nc.request(`$JS.API.STREAM.INFO.${streamName(kind, ns)}`, "", { timeout: 5000 })).json<{ state: { messages: number } }>().state.messages;
      while ((await left("INBOX")) + (await left("CONTROL")) > 0);
      await nc.close();
    },
    holding: (wanted) => holding(server.dataDir, wanted),
    erasures,
    erase: async (subject) => {
      const live = operator.nc.subscribe(subjects.live(ns, "erasure", "subjects"));
      await operator.nc.flush();
      const id = randomUUID();
      await operator.send("control", "erasure:subjects", { verb: "erase", id, subject, reason: "asked for" });
      const done = (async () => {
        let key: unknown;
        for await (const message of live) {
          const { body } = decodeEvent({ subject: message.subject, data: message.data, seq: 0, time: 0, headers: new Map() });
          if (body.type === "erasure.requested" && body.cause.id === id) key = body.data["key"];
          if (body.type === "erasure.completed" && body.data["key"] === key) return;
        }
      })();
      await withPatience(done, () => `the subject was not erased: ${JSON.stringify(operator.rejections)}`);
      live.unsubscribe();
    },
    stop: async () => {
      for (const gateway of gateways) await gateway.stop(0);
      await plane.stop();
    },
  };
  return ward;
}

/** Every file below a folder whose bytes hold the text, in UTF-8, UTF-16 or base64. */
export async function holding(folder: string, wanted: string): Promise<string[]> {
  const forms = [Buffer.from(wanted), Buffer.from(wanted, "utf16le"), ...[0, 1, 2].map((shift) => inBase64(wanted, shift))];
  const found: string[] = [];
  for await (const path of filesBelow(folder)) {
    const bytes = await readFile(path).catch(gone(Buffer.alloc(0)));
    if (forms.some((form) => bytes.includes(form))) found.push(path.slice(folder.length + 1));
  }
  return found;
}

/** What the server drops meanwhile, as the folder of a batch, holds nothing. */
const gone =
  <T>(instead: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code !== "ENOENT") throw error;
    return instead;
  };

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(gone([]))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

/** The characters that a text always gives in base64, at one of the three places where it may begin. */
function inBase64(wanted: string, shift: number): Buffer {
  const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(wanted)]).toString("base64");
  return Buffer.from(encoded.slice(4, -4));
}
