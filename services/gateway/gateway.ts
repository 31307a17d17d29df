/**
 * The gateway: the only part of the plane that touches the world. It executes what was approved, exactly as it was
 * approved (CORE-4), and anything but a read only after its own claim was granted (law 9, EXEC-7).
 *
 * One dispatch, from top to bottom, is {@link Gateway.#carryOut}.
 */
import { randomBytes } from "node:crypto";
import { type Logger, pino } from "pino";
import { GRANT_WITHHELD, type Grant } from "../../schemas/dispatch.ts";
import { type Actor, type Namespace, toolNameSchema } from "../../schemas/ids.ts";
import type { Claim, ReportInput, ToolError } from "../../schemas/inputs.ts";
import { parseLog, patterns, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import { DispatchQueue, type DispatchMessage, MAX_DISPATCHES_IN_HAND } from "../bus/dispatch.ts";
import { Documents } from "../bus/documents.ts";
import { listSubjects } from "../bus/listing.ts";
import { Publisher } from "../bus/publisher.ts";
import { BUILT_IN_TOOL } from "../registry/built-in.ts";
import type { PersonalMaster } from "../identity/sealing.ts";
import type { ToolTokens } from "../identity/tool-token.ts";
import { Validators } from "../registry/validate.ts";
import type { Adapter, Adapters } from "./adapters/adapter.ts";
import { NatsAdapter } from "./adapters/nats.ts";
import { RegistryAdapter } from "./adapters/registry.ts";
import { attemptKey, Attempts, type OpenAttempt } from "./attempts.ts";
import { type CheckedDispatch, checkDispatch } from "./check.ts";
import { Definitions } from "./definitions.ts";
import { type Call, execute, timeLeft } from "./execute.ts";
import { type Ending, endingOf, failed, type OutputTools } from "./output.ts";
import { type Found, foundOf, notDone, probe } from "./probe.ts";
import { type PersonalCall, PersonalGate } from "./personal.ts";
import { Reporter, Stopped } from "./reports.ts";

export interface GatewayOptions {
  /** Logged in with the role `gateway`. */
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  /** The actor that its reports come from, and its credential is for. */
  readonly name: Actor;
  /** By adapter type; `nats` and `registry` are there unless they are given. A tool whose adapter is missing fails with effect none. */
  readonly adapters?: Adapters;
  readonly logger?: Logger;
  /** Mints the tokens that tools are called with (ID-4). Without it they are called without one. */
  readonly tokens?: ToolTokens;
  /** Opens the keys of data subjects. Without it a call with personal fields fails, and nothing was done. */
  readonly personal?: PersonalMaster;
  /** Tells two lives of one gateway apart; 8 to 64 characters `[A-Za-z0-9._:-]`. Random when left out. */
  readonly nonce?: string;
  /** Dispatches of one tool that are in hand at a time. */
  readonly concurrency?: number;
  /** Until an unanswered report is sent again; doubled each time, up to 30 s. */
  readonly repeatMs?: number;
  /** Only for consumers that do not exist yet. */
  readonly ackWaitMs?: number;
}

/** Of a dispatch that can be carried out, or can only be reported on. */
type Readable = Exclude<CheckedDispatch, { kind: "unreadable" }>;

const FIRST_REPEAT_MS = 2_000;
const DRAIN_MS = 10_000;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #adapters: Adapters;
  readonly #logger: Logger;
  readonly #claim: Claim;
  readonly #reporter: Reporter;
  readonly #documents: Documents;
  readonly #definitions: Definitions;
  readonly #personal: PersonalGate;
  readonly #validators = new Validators();
  readonly #attempts = new Attempts();
  readonly #queues = new Map<string, DispatchQueue>();
  readonly #halt = new AbortController();
  #live: Subscription | undefined;
  #stopping = false;

  constructor(options: GatewayOptions) {
    const { nc, ns, name } = options;
    this.#options = options;
    this.#adapters = { nats: new NatsAdapter(nc), registry: new RegistryAdapter(nc), ...options.adapters };
    this.#claim = { gateway: name, nonce: options.nonce ?? randomBytes(12).toString("hex") };
    this.#logger = (options.logger ?? pino({ enabled: false })).child({ gateway: name, ns });
    const publisher = new Publisher(nc);
    this.#documents = new Documents(nc, publisher, ns);
    this.#definitions = new Definitions(this.#documents);
    const onTrouble = (error: unknown) => this.#logger.error({ err: error }, "keys of personal data cannot be had");
    this.#personal = new PersonalGate({ nc, ns, publisher, documents: this.#documents, name, master: options.personal, onTrouble });
    this.#reporter = new Reporter({ nc, publisher, ns, name, logger: this.#logger, firstRepeatMs: options.repeatMs ?? FIRST_REPEAT_MS });
  }

  /** Tools whose dispatches it asks for. */
  get tools(): readonly string[] {
    return [...this.#queues.keys()];
  }

  /** Attempts that are being carried out or reported on. */
  get inHand(): number {
    return this.#attempts.openCount;
  }

  /** Why dispatches would wait for another gateway; undefined when it asks for those of every tool that it knows. */
  get unready(): string | undefined {
    if (this.#stopping) return "stopping";
    const unasked = [...this.#queues].filter(([, queue]) => !queue.asking).map(([tool]) => tool);
    if (unasked.length === 0) return undefined;
    return `no dispatches are asked for of ${unasked.slice(0, 3).map((tool) => `\`${tool}\``).join(", ")}${unasked.length > 3 ? ` and ${unasked.length - 3} more` : ""}`;
  }

  /**
   * Finds the tools of the namespace and asks for their dispatches; a tool that is applied later is found as well.
   * @throws ApiError, or the client's error, when registry or queues cannot be reached
   */
  async start(): Promise<void> {
    const { nc, ns } = this.#options;
    this.#reporter.start();
    // Listened to before the list is read, so that no tool falls between the two.
    this.#live = nc.subscribe(patterns.liveOfKind(ns, "tool"), {
      callback: (error, message) => {
        if (error !== null) return;
        const tool = toolOf(message.subject);
        if (tool !== undefined) this.#serve(tool).catch((cause: unknown) => this.#logger.error({ tool, err: cause }, "a tool cannot be served"));
      },
    });
    await nc.flush();
    await this.#personal.start();
    await this.#findTools();
    void this.#watch();
    this.#logger.info({ tools: this.#queues.size }, "the gateway is up");
  }

  /** Takes nothing new, gives what is in hand `drainMs` to end, and leaves the rest to other gateways. */
  async stop(drainMs: number = DRAIN_MS): Promise<void> {
    this.#stopping = true;
    this.#live?.unsubscribe();
    for (const queue of this.#queues.values()) queue.pause();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([this.#attempts.idle(), late]);
    clearTimeout(timer);
    this.#halt.abort();
    this.#personal.stop();
    this.#reporter.stop();
    for (const queue of this.#queues.values()) queue.stop();
    await this.#options.nc.flush().catch(() => undefined);
    this.#logger.info({ abandoned: this.#attempts.openCount }, "the gateway is down");
  }

  async #findTools(): Promise<void> {
    const { nc, ns } = this.#options;
    const logs = await listSubjects(nc, streamName("JOURNAL", ns), patterns.logOfKind(ns, "tool"));
    // changes of documents are every gateway's to carry out, also before there is any document
    const tools = [BUILT_IN_TOOL, ...logs.map(toolOf)];
    await Promise.all(tools.map((tool) => (tool === undefined ? undefined : this.#serve(tool))));
  }

  async #serve(tool: string): Promise<void> {
    if (this.#stopping || this.#queues.has(tool)) return;
    const { nc, ns, ackWaitMs, concurrency } = this.#options;
    const queue = new DispatchQueue(nc, {
      ns,
      tool,
      limit: concurrency ?? MAX_DISPATCHES_IN_HAND,
      ...(ackWaitMs !== undefined && { ackWaitMs }),
      onMessage: (message) => this.#onDispatch(tool, message),
      onTrouble: (error) => this.#logger.warn({ tool, err: error }, "asking for dispatches failed; trying again"),
    });
    this.#queues.set(tool, queue);
    try {
      await queue.start();
    } catch (error) {
      this.#queues.delete(tool);
      throw error;
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.#options.nc.status()) {
      if (this.#stopping) return;
      if (status.type !== "reconnect") continue;
      for (const queue of this.#queues.values()) queue.renew();
      this.#reporter.repeat();
      this.#personal.load().catch((error: unknown) => this.#logger.error({ err: error }, "erasures cannot be read"));
      this.#findTools().catch((error: unknown) => this.#logger.error({ err: error }, "the registry cannot be read"));
    }
  }

  #onDispatch(tool: string, message: DispatchMessage): void {
    const checked = checkDispatch(this.#options.ns, tool, message.data);
    if (checked.kind === "unreadable") {
      this.#logger.error({ tool, seq: message.seq, why: checked.why }, "a dispatch cannot be read");
      // Whoever owes it dispatches it again; kept, it would come for ever.
      message.discard();
      return;
    }
    const { run, action, attempt } = headOf(checked);
    const asked = probeOf(checked);
    // a question about an attempt is not the attempt
    const key = asked === undefined ? attemptKey(run, action, attempt) : `${attemptKey(run, action, attempt)} probe ${asked}`;
    const taken = this.#attempts.take(key, message);
    if (taken.kind === "ended") message.ack();
    else if (taken.kind === "open") taken.attempt.repeat();
    else void this.#attend(key, taken.attempt, checked);
  }

  async #attend(key: string, attempt: OpenAttempt, checked: Readable): Promise<void> {
    let remember = false;
    try {
      remember = await this.#carryOut(attempt, checked);
      attempt.ack();
    } catch (error) {
      // Not acknowledged: it comes again, to this gateway or another.
      if (!(error instanceof Stopped)) this.#logger.error({ attempt: key, err: error }, "an attempt could not be carried out");
    } finally {
      this.#attempts.end(key, remember);
    }
  }

  /** @returns whether this process must not carry it out again */
  async #carryOut(open: OpenAttempt, checked: Readable): Promise<boolean> {
    if (checked.kind === "fit" && checked.dispatch.probe !== undefined) return this.#probe(open, checked, checked.dispatch.probe);
    const head = headOf(checked);
    const read = checked.kind === "fit" ? checked.dispatch.effect === "read" : checked.read;
    let error: ToolError | undefined = checked.kind === "unfit" ? checked.error : undefined;
    const prepared = checked.kind === "fit" ? await this.#prepare(checked) : undefined;
    if (prepared !== undefined && "error" in prepared) error = prepared.error;

    let timeoutMs = checked.kind === "fit" ? checked.dispatch.timeout_ms : 0;
    // A failure before the call needs a claim too: the plane hears only the holder.
    if (!read) {
      const claimedAt = performance.now();
      const grant = await this.#report(open, checked, "started", { status: "started" });
      if (grant.verdict !== "granted") {
        this.#logger.info({ ...head, code: grant.code }, "the claim was refused");
        // the claim stands in the journal, and so did a stop by then: the plane hears that nothing was begun
        if (grant.code !== GRANT_WITHHELD) return false;
        error = { code: "guard.stopped", message: "it was stopped before its claim was granted", effect: "none" };
      }
      timeoutMs = timeLeft(timeoutMs, performance.now() - claimedAt);
      if (timeoutMs <= 0) error ??= { code: "claim.late", message: "the claim was granted too late to act on it", effect: "none" };
    }

    let ending: Ending;
    let executed = false;
    if (error !== undefined || prepared === undefined || "error" in prepared || checked.kind === "unfit") {
      ending = failed(error ?? { code: "dispatch.invalid", message: "the dispatch cannot be carried out", effect: "none" });
    } else {
      executed = true;
      ending = await this.#call(checked, prepared, timeoutMs);
    }
    const { verdict, code } = await this.#report(open, checked, "ended", ending);
    this.#logger.info({ ...head, status: ending.status, error: ending.error?.code, verdict, code }, "an attempt has ended");
    return verdict === "recorded" || (executed && !read);
  }

  /** Asks what became of an attempt in doubt. @returns that this process has no need to ask it again */
  async #probe(open: OpenAttempt, checked: Readable & { kind: "fit" }, number: number): Promise<boolean> {
    const prepared = await this.#prepare(checked);
    const found = "error" in prepared ? notDone(number, "unknown", prepared.error) : await this.#ask(checked, prepared, number);
    const { verdict, code } = await this.#report(open, checked, `probe-${number}`, found);
    this.#logger.info({ ...headOf(checked), probe: number, found: found.probe?.found, verdict, code }, "a tool was asked what became of an attempt");
    return true;
  }

  async #ask(checked: Readable & { kind: "fit" }, prepared: Prepared, number: number): Promise<Found> {
    const call = this.#callOf(checked, prepared, checked.dispatch.timeout_ms);
    try {
      return await foundOf(number, await probe(call), call, this.#outputTools(prepared.personal));
    } catch (cause) {
      this.#logger.error({ ...headOf(checked), err: cause }, "an output could not be stored");
      return notDone(number, "unknown", { code: "output.not_stored", message: "the tool gave a large output, which could not be stored" });
    }
  }

  async #prepare(checked: Readable & { kind: "fit" }): Promise<Prepared | { readonly error: ToolError }> {
    const { dispatch, document } = checked;
    let definition;
    try {
      definition = await this.#definitions.get(document.tool_hash);
    } catch (cause) {
      this.#logger.error({ ...headOf(checked), tool: document.tool, hash: document.tool_hash, err: cause }, "a tool's definition cannot be read");
      return { error: { code: "tool.definition", message: "the definition of the tool cannot be read", effect: "none" } };
    }
    if (definition.name !== document.tool || definition.effect !== dispatch.effect) {
      return { error: { code: "tool.mismatch", message: "the definition is of another tool or effect than the dispatch", effect: "none" } };
    }
    const adapter = this.#adapters[definition.adapter.type];
    if (adapter === undefined) {
      return { error: { code: "adapter.missing", message: `this gateway has no adapter \`${definition.adapter.type}\``, effect: "none" } };
    }
    const personal = await this.#personal.prepare(document, definition, `${document.action}.${dispatch.attempt}.${this.#claim.nonce}`);
    if (personal === undefined) return { definition, adapter };
    return "error" in personal ? personal : { definition, adapter, personal };
  }

  async #call(checked: Readable & { kind: "fit" }, prepared: Prepared, timeoutMs: number): Promise<Ending> {
    const { definition, personal } = prepared;
    const result = await execute(this.#callOf(checked, prepared, timeoutMs));
    try {
      return await endingOf(personal === undefined ? result : personal.cleared(result), checked.document.tool_hash, definition, this.#outputTools(personal));
    } catch (cause) {
      this.#logger.error({ ...headOf(checked), err: cause }, "an output could not be stored");
      return failed({ code: "output.not_stored", message: "the tool succeeded, and its large output could not be stored", effect: "done" });
    }
  }

  #callOf({ dispatch, document: approved }: Readable & { kind: "fit" }, { definition, adapter, personal }: Prepared, timeoutMs: number): Call {
    const { ns, tokens } = this.#options;
    const document = personal === undefined ? approved : { ...approved, input: personal.input };
    return { ns, dispatch, document, definition, adapter, tokens, timeoutMs, stopped: this.#halt.signal };
  }

  #outputTools(personal: PersonalCall | undefined): OutputTools {
    return { seal: personal?.seal, validators: this.#validators, documents: this.#documents, maxPayload: this.#options.nc.info?.max_payload ?? 0 };
  }

  /** One id for each of the reports of an attempt, so that a second life of either is seen as the same or refused. */
  #report(open: OpenAttempt, checked: Readable, what: "started" | "ended" | `probe-${number}`, ending: Ending | Found): Promise<Grant> {
    const { run, action, attempt } = headOf(checked);
    const id = `${action}.${attempt}.${what}.${this.#claim.nonce}`;
    const report: ReportInput = { id, action, attempt, claim: this.#claim, ...ending };
    const traceparent = checked.kind === "fit" ? checked.dispatch.traceparent : undefined;
    const send = () => this.#reporter.report(run, report, traceparent);
    const answer = send();
    open.repeat = () => void send().catch(() => undefined);
    return answer.finally(() => (open.repeat = () => undefined));
  }
}

interface Prepared {
  readonly definition: Awaited<ReturnType<Definitions["get"]>>;
  readonly adapter: Adapter;
  readonly personal?: PersonalCall;
}

function headOf(checked: Readable) {
  const { run, action, attempt } = checked.kind === "fit" ? checked.dispatch : checked.head;
  return { run, action, attempt };
}

/** Of a dispatch that asks: for which time. One that cannot be read otherwise is no question. */
function probeOf(checked: Readable): number | undefined {
  return checked.kind === "fit" ? checked.dispatch.probe : undefined;
}

function toolOf(subject: string): string | undefined {
  const name = parseLog(subject)?.name;
  return toolNameSchema.safeParse(name).data;
}
