/**
 * The messages of the plane without the plane: what a coordinator and a gateway take, store and send for a governed
 * action, in the same streams, with the same consumers, batches and acknowledgements, and nothing decided. Events are
 * those that the plane stored before, under other names; no chain is hashed, no machine stepped, no policy asked, no
 * document checked, nothing indexed or fanned out.
 */
import { parseStoredInput, SHARES, patterns, streamName, subjects } from "../../schemas/subjects.ts";
import type { Actor, Namespace, RunId } from "../../schemas/ids.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { type DispatchMessage, DispatchQueue } from "../../services/bus/dispatch.ts";
import { Intake } from "../../services/bus/intake.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { type BatchMessage, Publisher } from "../../services/bus/publisher.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { FORBIDDEN_ABOVE } from "./documents.ts";
import { serveParent } from "./processes.ts";

/** What the plane stored for one input. */
export interface Template {
  readonly events: readonly { readonly data: Uint8Array; readonly headers: Readonly<Record<string, string>> }[];
  /** The action document that was dispatched. */
  readonly document?: string;
}
/** By what the input is: see {@link kindOf} and the recording in `floor.ts`. */
export type Templates = Readonly<Record<string, Template>>;

export interface FloorOrder {
  readonly url: string;
  readonly dataDir: string;
  readonly keyNamespaces: readonly Namespace[];
  readonly ns: Namespace;
  readonly part: "deciding" | "carrying out";
  readonly templates: Templates;
}

interface Proposal {
  readonly id: string;
  readonly kind: string;
  readonly tool?: string;
  readonly input?: { readonly amount_usd: number };
}
interface Report {
  readonly id: string;
  readonly action: string;
  readonly status: string;
  readonly claim: { readonly gateway: string; readonly nonce: string };
}

const BATCH_INPUTS = 200;
const LANES = 2;
const LIMIT = 1000;
const GATEWAY = "gateway-floor" as Actor;
const JSON_BODY = { "content-type": "application/json" };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

let nc: NatsConnection | undefined;

serveParent({
  start: async ({ url, dataDir, keyNamespaces, ns, part, templates }: FloorOrder) => {
    const role = part === "deciding" ? "coordinator" : "gateway";
    const name = part === "deciding" ? "floor" : GATEWAY;
    const keys = await openKeys(dataDir, keyNamespaces);
    const { creds, inboxPrefix } = await issueCreds(keys, { role, name, ...(role === "gateway" && { ns }) });
    nc = await connectBus({ url, name, creds, inboxPrefix });
    if (part === "deciding") await decide(nc, ns, templates);
    else await carryOut(nc, ns);
  },
  stop: async () => nc?.close(),
});

function kindOf(body: Proposal): string {
  if (body.kind !== "tool") return body.kind;
  return (body.input?.amount_usd ?? 0) > FORBIDDEN_ABOVE ? "denied" : (body.tool ?? "");
}

async function decide(bus: NatsConnection, ns: Namespace, templates: Templates): Promise<void> {
  const publisher = new Publisher(bus);
  const lasts = new Map<string, number>();
  const waiting: { message: IntakeMessage; run: RunId; subject: string; template: Template; after: () => Promise<unknown> }[] = [];
  let lanes = 0;

  const outcome = (run: RunId, agent: Actor, id: string, kind: string, status: string, final: boolean) => {
    const answer = { v: 1, run, id, kind, status, final, seq: 1, at: "2026-01-01T00:00:00.000Z", ...(final && kind === "tool" && { output: { ok: true } }) };
    return publisher.publish(subjects.out(ns, agent, run), json(answer), JSON_BODY);
  };
  const agentOf = (run: RunId) => run.slice(0, run.lastIndexOf("_")) as Actor;
  const proposed = (run: RunId, body: Proposal, kind: string, document: string) => {
    const agent = agentOf(run);
    if (body.kind !== "tool") return outcome(run, agent, body.id, body.kind, body.kind === "start" ? "started" : "completed", true);
    if (kind === "denied") return outcome(run, agent, body.id, "tool", "denied", true);
    const action = body.id.replace("-", "");
    const dispatch = { v: 1, run, action, attempt: 1, document, digest: "sha256:00", timeout_ms: 5000, effect: kind === "noop.write" ? "write" : "read" };
    return Promise.all([
      publisher.publish(subjects.dispatch(ns, kind), json(dispatch), { ...JSON_BODY, "Nats-Msg-Id": `${run}/${action}.1` }),
      outcome(run, agent, body.id, "tool", "approved", false),
    ]);
  };
  const reported = (run: RunId, body: Report) => {
    const grant = { v: 1, run, report: body.id, action: body.action, attempt: 1, claim: body.claim, verdict: body.status === "started" ? "granted" : "recorded", seq: 1 };
    bus.publish(subjects.grant(ns, GATEWAY), json(grant));
    if (body.status === "started") return Promise.resolve();
    return outcome(run, agentOf(run), body.action.replace("a", "a-"), "tool", "succeeded", true);
  };

  const take = (messages: IntakeMessage[]) => {
    for (const message of messages) {
      const address = parseStoredInput(message.subject);
      const run = address?.aggregate as RunId;
      const subject = subjects.log(ns, "run", run);
      if (address?.kind === "propose") {
        const body = JSON.parse(Buffer.from(message.data).toString()) as Proposal;
        const kind = kindOf(body);
        const template = templates[kind] as Template;
        waiting.push({ message, run, subject, template, after: () => proposed(run, body, kind, template.document ?? "") });
      } else {
        const body = decode(message.data) as unknown as Report;
        const template = templates[body.status === "started" ? "started" : body.claim.nonce === "reading-00" ? "read" : "written"] as Template;
        waiting.push({ message, run, subject, template, after: () => reported(run, body) });
      }
    }
    while (lanes < LANES && waiting.length > 0) void commit();
  };
  const commit = async (): Promise<void> => {
    lanes += 1;
    while (waiting.length > 0) {
      const taken = waiting.splice(0, BATCH_INPUTS);
      const messages: BatchMessage[] = [];
      const fenced = new Set<string>();
      for (const { subject, template } of taken) {
        for (const [index, { data, headers }] of template.events.entries()) {
          const fence = index === 0 && !fenced.has(subject) ? { expectLastSubjectSequence: lasts.get(subject) ?? 0 } : {};
          messages.push({ subject, data, headers, ...fence });
        }
        fenced.add(subject);
      }
      const { seq } = await publisher.batch(messages);
      messages.forEach(({ subject }, index) => lasts.set(subject, seq - messages.length + index + 1));
      for (const { message, after } of taken) void after().then(() => message.ack());
      // as the coordinator: one batch in one round
      await new Promise(setImmediate);
    }
    lanes -= 1;
  };
  for (let share = 0; share < SHARES; share++) {
    for (const stream of ["CONTROL", "INBOX"] as const) {
      const intake = new Intake(bus, { stream: streamName(stream, ns), consumer: `share-${share}-1000000`, filter: patterns.inputsOf(ns, share), memory: true, supersedes: () => true });
      await intake.start(take);
    }
  }
}

async function carryOut(bus: NatsConnection, ns: Namespace): Promise<void> {
  const publisher = new Publisher(bus);
  const waiting = new Map<string, () => void>();
  bus.subscribe(subjects.grant(ns, GATEWAY), {
    callback: (_, { data }) => {
      const { run, report } = JSON.parse(Buffer.from(data).toString()) as { run: string; report: string };
      waiting.get(`${run} ${report}`)?.();
    },
  });
  const report = async (run: RunId, action: string, status: string, nonce: string, more: object = {}) => {
    const id = `${action}.1.${status}.0123456789abcdef`;
    const key = `${run} ${id}`;
    const answered = new Promise<void>((resolve) => waiting.set(key, resolve));
    await publisher.publish(subjects.input(ns, "report", GATEWAY, run), encode({ id, action, attempt: 1, claim: { gateway: GATEWAY, nonce }, status, ...more }), { "content-type": "application/msgpack" });
    await answered;
    waiting.delete(key);
  };
  const onMessage = async (message: DispatchMessage) => {
    const { run, action, effect } = JSON.parse(Buffer.from(message.data).toString()) as { run: RunId; action: string; effect: string };
    const nonce = effect === "write" ? "writing-00" : "reading-00";
    if (effect === "write") await report(run, action, "started", nonce);
    await report(run, action, "succeeded", nonce, { output: { ok: true } });
    message.ack();
  };
  for (const tool of ["noop.read", "noop.write"]) await new DispatchQueue(bus, { ns, tool, limit: LIMIT, onMessage: (message) => void onMessage(message) }).start();
}
