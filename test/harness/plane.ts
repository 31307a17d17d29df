/** A plane for a test: a real server, coordinators of one's own, documents applied, and people to talk to it. */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import type { Answer, Rejection } from "../../schemas/answer.ts";
import { type Actor, type Digest, type Namespace, actor, runId } from "../../schemas/ids.ts";
import { type InputKind, aggregateToken, patterns, subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { type NatsConnection, headers } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Coordinator, type CoordinatorOptions } from "../../services/coordinator/coordinator.ts";
import { CHANGE_ACTOR } from "../../services/identity/permissions.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { loadPath } from "../../services/registry/load.ts";
import type { StoredDocument } from "../../services/registry/kinds.ts";
import { type TestIssuer, type TestPerson, personDocument, testIssuer } from "./issuer.ts";
import { type TestServer, type TestServerOptions, startTestServer } from "./server.ts";

export interface TestPlane {
  readonly server: TestServer;
  readonly ns: Namespace;
  /** Whose tokens the plane believes: applied with the first documents. */
  readonly issuer: TestIssuer;
  coordinator(options?: Partial<CoordinatorOptions>): Promise<Coordinator>;
  /** Applies files and folders as the operator would, one by one, and waits until they are in force. */
  apply(...paths: string[]): Promise<void>;
  /** The same with documents given as values; the policy set `default` when its text, or its files, are given. */
  applyValues(values: readonly object[], policy?: string | Readonly<Record<string, string>>): Promise<void>;
  /** Every start that it sends brings a token of the principal `kim` for this run, unless told otherwise. */
  agent(name: string, options?: AgentOptions): Promise<TestActor>;
  /** A person with a credential and, unless `null` is given, a document: of {@link CAST}, or applied now. */
  approver(name: string, person?: TestPerson | null): Promise<TestActor>;
  operator(name?: string): Promise<TestActor>;
  /** All events of a run so far. */
  events(run: string): Promise<JournalEvent[]>;
  /** Resolves when the run has an event of this type that fits. */
  event(run: string, type: string | RegExp, fits?: (event: JournalEvent) => boolean): Promise<JournalEvent>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  /** Subject of the tokens; `null`: its starts bring none. Default `kim`. */
  readonly principal?: string | null;
}

/** Persons whose documents are applied with the first documents: each holds every role that tests ask for. */
export const CAST = ["ann", "bob", "ada"] as const;

/** Somebody with a credential of their own and the wire. */
export interface TestActor {
  readonly name: Actor;
  readonly nc: NatsConnection;
  /** Publishes an input and waits for storage. A string or bytes are sent as they are. */
  send(kind: InputKind, aggregate: string, body: unknown, more?: { headers?: Record<string, string> }): Promise<void>;
  /** Sends a proposal and waits for an answer to its id that fits (default: a final one). */
  propose(run: string, body: { id: string; [key: string]: unknown }, fits?: (answer: Answer) => boolean): Promise<Answer>;
  /**
   * Sends an input and waits for what is said to it next: an answer that is final or asks a person, or a rejection.
   * @param about what the wait ends with, when it is another answer
   */
  hear(kind: InputKind, run: string, body: { id: string; [key: string]: unknown }, more?: { headers?: Record<string, string> }, about?: (answer: Answer) => boolean): Promise<Heard>;
  answer(run: string, fits: (answer: Answer) => boolean): Promise<Answer>;
  rejection(fits: (rejection: Rejection) => boolean): Promise<Rejection>;
  readonly answers: readonly Answer[];
  readonly rejections: readonly Rejection[];
}

/** What an actor was told: status and codes of the reasons; `turned away` is what never entered a journal. */
export interface Heard {
  readonly status: string;
  readonly codes: readonly string[];
  readonly answer?: Answer;
  readonly rejection?: Rejection;
}

const log = (): Logger => pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "silent" });
const DEMO = new URL("../../infra/demo/", import.meta.url).pathname;
export const DEMO_DOCUMENTS = [`${DEMO}tools`, `${DEMO}contracts`, `${DEMO}policies/default`];
const PATIENCE_MS = Number(process.env["SIGNALBOX_TEST_PATIENCE_MS"] ?? 15_000);
const REVIEWED: ReadonlySet<string> = new Set(["policy", "person", "issuer"]);

/** @param options of the server that is started; or a server that runs already, and is stopped with the plane */
export async function startTestPlane(options: TestServerOptions | { readonly server: TestServer } = {}): Promise<TestPlane> {
  const server = "server" in options ? options.server : await startTestServer(options);
  const ns = server.namespaces[0] as Namespace;
  const issuer = testIssuer();
  /** Documents of people and issuer that are in force, by name. */
  const known = new Set<string>();
  let changer: TestActor | undefined;
  const stops: (() => Promise<void>)[] = [];
  const reading = await server.connect("auditor", "test-auditor");
  const journal = new SegmentedReader(reading, ns);

  const actorOf = async (role: ActorRole, name: string, tokens?: TokenOf) => testActor(server, ns, role, name, tokens);
  const events = async (run: string) => {
    const found: JournalEvent[] = [];
    for await (const message of journal.read({ subject: subjects.log(ns, "run", run) })) found.push(decodeEvent(message));
    return found;
  };
  /** Who judges and who is believed is changed by review, once a policy set rules (POL-6): as the gateway that carries a change out. */
  const applyOne = async (operator: TestActor, document: StoredDocument): Promise<void> => {
    const token = aggregateToken(document.kind, document.name);
    const documents = new Documents(operator.nc, new Publisher(operator.nc), ns);
    const digest: Digest = await documents.put(document.bytes, "application/json");
    const live = operator.nc.subscribe(subjects.live(ns, document.kind, document.name), { max: 1 });
    await operator.nc.flush();
    const sender = REVIEWED.has(document.kind) ? (changer ??= await actorOf("gateway", CHANGE_ACTOR)) : operator;
    await sender.send("apply", token, { id: randomUUID(), document: digest });
    await withPatience(first(live), () => `\`${token}\` was not applied: ${JSON.stringify(sender.rejections.slice(-3))}`);
  };
  const applyPaths = async (paths: readonly string[]): Promise<void> => {
    const operator = await actorOf("operator", "test-operator");
    for (const path of paths) {
      const loaded = await loadPath(path);
      if (loaded.faults.length > 0) throw new Error(JSON.stringify(loaded.faults, null, 2));
      for (const document of loaded.documents) await applyOne(operator, document);
    }
  };
  const applyValues: TestPlane["applyValues"] = async (values, policy) => {
    const folder = await mkdtemp(join(tmpdir(), "signalbox-documents-"));
    try {
      for (const [index, value] of values.entries()) await writeFile(join(folder, `${index}.yaml`), JSON.stringify(value));
      const files = typeof policy === "string" ? { "all.cedar": policy } : policy;
      if (files !== undefined) await mkdir(join(folder, "default"));
      for (const [name, text] of Object.entries(files ?? {})) await writeFile(join(folder, "default", name), text);
      await applyPaths([folder]);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  const introduce = async (): Promise<void> => {
    if (known.has(issuer.name)) return;
    known.add(issuer.name);
    for (const name of CAST) known.add(name);
    await applyValues([issuer.document, ...CAST.map((name) => personDocument(name))]);
  };
  const plane: TestPlane = {
    server,
    ns,
    issuer,
    coordinator: async (more = {}) => {
      const nc = await server.connect("coordinator", `c-${randomUUID().slice(0, 8)}`);
      const coordinator = new Coordinator({ nc, ns, log: log(), personal: await openPersonalMaster(server.dataDir), ...more });
      await coordinator.start();
      stops.push(() => coordinator.stop());
      return coordinator;
    },
    apply: async (...paths) => {
      await introduce();
      await applyPaths(paths);
    },
    applyValues: async (values, policy) => {
      await introduce();
      await applyValues(values, policy);
    },
    agent: (name, { principal: subject = "kim" } = {}) =>
      actorOf("agent", name, subject === null ? undefined : (run) => issuer.token({ agent: name, run, subject })),
    approver: async (name, person = {}) => {
      if (person !== null && !known.has(name)) {
        known.add(name);
        await applyValues([personDocument(name, person)]);
      }
      return actorOf("approver", name);
    },
    operator: (name = "op") => actorOf("operator", name),
    events,
    event: async (run, type, fits = () => true) => {
      const live = reading.subscribe(subjects.live(ns, "run", run));
      try {
        // a connection that is away subscribes when it is back, before it reads the journal
        await reading.flush().catch(() => undefined);
        const wanted = (event: JournalEvent) => (typeof type === "string" ? event.body.type === type : type.test(event.body.type)) && fits(event);
        const stored = (await events(run)).find(wanted);
        if (stored !== undefined) return stored;
        const next = async (): Promise<JournalEvent> => {
          for await (const message of live) {
            const event = decodeEvent({ subject: message.subject, data: message.data, seq: 0, time: 0, headers: new Map() });
            if (wanted(event)) return event;
          }
          throw new Error("the live tail ended");
        };
        return await withPatience(next(), `run \`${run}\` has no \`${String(type)}\``);
      } finally {
        live.unsubscribe();
      }
    },
    stop: async () => {
      for (const stop of stops.reverse()) await stop();
      await server.stop();
    },
  };
  return plane;
}

type ActorRole = "agent" | "approver" | "operator" | "gateway";
type TokenOf = (run: string) => string;

async function testActor(server: TestServer, ns: Namespace, role: ActorRole, name: string, tokenOf?: TokenOf): Promise<TestActor> {
  const nc = await server.connect(role, name);
  const publisher = new Publisher(nc);
  const who = actor(name);
  const answers: Answer[] = [];
  const rejections: Rejection[] = [];
  const waiting = new Set<() => void>();
  const heard = () => {
    for (const wake of [...waiting]) wake();
  };
  const listen = <T>(subject: string, list: T[]) =>
    nc.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null || message.data.length === 0) return;
        list.push(JSON.parse(Buffer.from(message.data).toString()) as T);
        heard();
      },
    });
  if (role !== "gateway" || who === CHANGE_ACTOR) listen(role === "gateway" ? patterns.rejectedStored(ns).replace("*", who) : subjects.rejected(ns, who), rejections);
  if (role === "agent") listen(`${subjects.out(ns, who, "*").slice(0, -1)}>`, answers);
  await nc.flush();

  const until = <T>(list: readonly T[], fits: (item: T) => boolean, what: string): Promise<T> => untilFound(() => list.find(fits), what);
  const untilFound = <T>(find: () => T | undefined, what: string): Promise<T> =>
    withPatience(
      new Promise<T>((resolve) => {
        const look = () => {
          const found = find();
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
      () => `${name} heard nothing that fits: ${what}\nanswers: ${JSON.stringify(answers.slice(-5))}\nrejections: ${JSON.stringify(rejections.slice(-5))}`,
    );
  const send: TestActor["send"] = async (kind, aggregate, body, more = {}) => {
    const data = typeof body === "string" ? Buffer.from(body) : body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    const token = kind === "propose" && isStart(body) ? tokenOf?.(aggregate) : undefined;
    await publisher.publish(subjects.input(ns, kind, who, aggregate), data, { ...(token !== undefined && { "signalbox-principal": token }), ...more.headers });
  };
  return {
    name: who,
    nc,
    send,
    answers,
    rejections,
    hear: async (kind, run, body, more = {}, about = ({ final, request }) => final || request !== undefined) => {
      const [answered, rejected] = [answers.length, rejections.length];
      await send(kind, run, body, more);
      return untilFound((): Heard | undefined => {
        const answer = answers.slice(answered).find((one) => one.run === run && one.id === body.id && about(one));
        if (answer !== undefined) return { status: answer.status, codes: (answer.reasons ?? []).map(({ code }) => code), answer };
        const rejection = rejections.slice(rejected).find((one) => one.run === run && (one.id === undefined || one.id === body.id));
        return rejection && { status: "turned away", codes: rejection.reasons.map(({ code }) => code), rejection };
      }, `what is said to ${body.id} on ${run}`);
    },
    answer: (run, fits) => until(answers, (answer) => answer.run === run && fits(answer), `an answer on ${run}`),
    rejection: (fits) => until(rejections, fits, "a rejection"),
    propose: async (run, body, fits = (answer) => answer.final) => {
      await send("propose", runId(run), body);
      return until(answers, (answer) => answer.run === run && answer.id === body.id && fits(answer), `an answer to ${body.id}`);
    },
  };
}

const isStart = (body: unknown): boolean => typeof body === "object" && body !== null && "kind" in body && body.kind === "start";

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** Waits for an event and not for a while; the limit only turns a hang into a failure with a reason. */
export async function withPatience<T>(wanted: Promise<T>, failure: string | (() => string), ms = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(typeof failure === "string" ? failure : failure())), ms);
  });
  try {
    return await Promise.race([wanted, limit]);
  } finally {
    clearTimeout(timer);
  }
}
