/** Sends a change of documents, and follows its run to the end, or to where it waits for people. */
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { Digest, RequestId } from "../../schemas/ids.ts";
import { actor, runId, type RunId } from "../../schemas/ids.ts";
import type { EventBody, EventData, EventType } from "../../schemas/event.ts";
import type { Reason } from "../../schemas/reason.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import { Documents } from "../bus/documents.ts";
import { StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import type { Publisher } from "../bus/publisher.ts";
import { BUILT_IN_AGENT } from "../registry/built-in.ts";
import type { LoadedDocument } from "../registry/load.ts";
import { CliError, EXIT } from "./exit.ts";
import { notStored, rejectionOf } from "./send.ts";
import type { Session } from "./session.ts";

/** How a change stands. */
export type ChangeState =
  | { readonly state: "under_way" }
  | { readonly state: "waiting"; readonly action: string; readonly role: string; readonly count: number; readonly grants: number; readonly expires_at: string }
  | { readonly state: "applied"; readonly documents: readonly AppliedDocument[] }
  | { readonly state: "refused" | "denied" | "failed" | "in_doubt"; readonly reasons: readonly Reason[] };

export interface AppliedDocument {
  readonly kind: string;
  readonly name: string;
  readonly document: Digest;
  readonly version: number;
  readonly outcome: "applied" | "in_force";
}

export interface Sent {
  readonly run: RunId;
  readonly state: ChangeState;
}

export interface ChangeOptions {
  readonly reason: string | undefined;
  /** Also waits for the people who are asked. */
  readonly wait: boolean;
  /** What is in force now: the same documents over another base are another change. */
  readonly base: readonly number[];
}

/** Until a change that nothing is heard of is given up; it goes on without us. */
const PATIENCE_MS = 30_000;
const LOOK_AGAIN_MS = 1_000;
/** Ends of earlier changes with the same content. */
const MAX_AGAIN = 1000;

/** @throws CliError when the plane does not take it, or nothing is heard of it in time */
export async function sendChange(session: Session, publisher: Publisher, documents: readonly LoadedDocument[], options: ChangeOptions): Promise<Sent> {
  await store(session, publisher, documents);
  const { run, open } = await runFor(session, documents, options.base);
  const following = new Following(session, run);
  try {
    await session.nc.flush();
    if (!open) {
      const body = {
        id: run.slice(run.indexOf("_") + 1),
        documents: documents.map(({ kind, name, digest }) => ({ kind, name, document: digest })),
        ...(options.reason !== undefined && { reason: options.reason }),
      };
      following.sent = body.id;
      const subject = subjects.input(session.ns, "apply", actor(session.name), run);
      await publisher.publish(subject, Buffer.from(JSON.stringify(body)), { "content-type": "application/json" }).catch((error: unknown) => {
        throw notStored(session, error);
      });
    }
    return { run, state: await following.settled(options.wait) };
  } finally {
    following.end();
  }
}

async function store(session: Session, publisher: Publisher, documents: readonly LoadedDocument[]): Promise<void> {
  const documentStore = new Documents(session.nc, publisher, session.ns);
  const stored = new StreamReader(session.nc, streamName("DOCUMENTS", session.ns));
  for (const document of documents) {
    // an operator may not ask the leader, as the store does about what is there already
    const there = await stored.lastDirect(subjects.document(session.ns, document.digest.slice("sha256:".length)));
    if (there !== undefined) continue;
    await documentStore.put(document.bytes, "application/json").catch((error: unknown) => {
      throw notStored(session, error);
    });
  }
}

/** The same change over the same base is the same run: whoever repeats a command whose answer was lost finds it again. */
async function runFor(session: Session, documents: readonly LoadedDocument[], base: readonly number[]): Promise<{ run: RunId; open: boolean }> {
  const content = canonicalDigest({ documents: documents.map(({ kind, name, digest }) => [kind, name, digest]), base: [...base] }).slice("sha256:".length);
  const journal = new SegmentedReader(session.nc, session.ns);
  for (let again = 1; again <= MAX_AGAIN; again++) {
    const run = runId(`${BUILT_IN_AGENT}_c${content.slice(0, 20)}${again === 1 ? "" : `-${again}`}`);
    const events = await eventsOf(session, journal, run);
    if (events.length === 0) return { run, open: false };
    if (!events.some(({ type }) => ENDS.has(type))) return { run, open: true };
  }
  throw new CliError(EXIT.failed, "this change was made too often");
}

const ENDS: ReadonlySet<EventType> = new Set<EventType>(["run.refused", "run.completed", "run.failed", "run.cancelled"]);

async function eventsOf({ ns }: Session, journal: StreamReader, run: RunId): Promise<EventBody[]> {
  const events: EventBody[] = [];
  for await (const message of journal.read({ subject: subjects.log(ns, "run", run) })) events.push(decodeEvent(message).body);
  return events;
}

/** Looks at the run whenever something is heard of it, and once a second: what is heard may be lost. */
class Following {
  readonly #session: Session;
  readonly #run: RunId;
  readonly #journal: StreamReader;
  readonly #heard: { unsubscribe(): void }[];
  #rejected: readonly Reason[] | undefined;
  #wake: () => void = () => undefined;
  /** The input's id, once it is sent: a rejection of it is then ours. */
  sent: string | undefined;

  constructor(session: Session, run: RunId) {
    this.#session = session;
    this.#run = run;
    const { nc, ns } = session;
    this.#journal = new SegmentedReader(nc, ns);
    const onEvent = nc.subscribe(subjects.live(ns, "run", run), { callback: () => this.#wake() });
    const onRejection = nc.subscribe(subjects.rejected(ns, actor(session.name)), {
      callback: (error, message) => {
        const rejection = error === null ? rejectionOf(message.data) : undefined;
        if (rejection === undefined || rejection.id !== this.sent || rejection.kind !== "apply") return;
        this.#rejected = rejection.reasons;
        this.#wake();
      },
    });
    this.#heard = [onEvent, onRejection];
  }

  async settled(waitForPeople: boolean): Promise<ChangeState> {
    let heard = performance.now();
    for (let known = -1; ; ) {
      if (this.#rejected !== undefined) return { state: "refused", reasons: this.#rejected };
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const events = await eventsOf(this.#session, this.#journal, this.#run);
      const state = changeState(events);
      if (state.state === "waiting" ? !waitForPeople : state.state !== "under_way") return state;
      if (events.length > known || state.state === "waiting") heard = performance.now();
      known = events.length;
      if (performance.now() - heard > PATIENCE_MS) {
        const who = events.length === 0 ? "coordinator" : "gateway";
        throw new CliError(EXIT.failed, `the plane has the change \`${this.#run}\` and does not go on with it`, `the role \`${who}\` must run; the change goes on when it does: signalbox show ${this.#run}`);
      }
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([woken, new Promise<void>((resolve) => (timer = setTimeout(resolve, LOOK_AGAIN_MS)))]);
      clearTimeout(timer);
    }
  }

  end(): void {
    for (const subscription of this.#heard) subscription.unsubscribe();
  }
}

/** How a change stands after these events of its run. */
export function changeState(events: readonly EventBody[]): ChangeState {
  let state: ChangeState = { state: "under_way" };
  let asked: { request: RequestId; data: EventData<"approval.requested">; grants: number } | undefined;
  for (const { type, data } of events) {
    const reasons = (data["reasons"] ?? []) as readonly Reason[];
    switch (type) {
      case "run.refused":
        return { state: "refused", reasons };
      case "action.rejected":
        state = { state: "refused", reasons };
        break;
      case "approval.requested":
        asked = { request: data["request"] as RequestId, data: data as EventData<"approval.requested">, grants: 0 };
        state = waiting(asked);
        break;
      case "approval.granted":
        if (asked !== undefined && asked.request === data["request"]) state = waiting((asked = { ...asked, grants: Number(data["grants"]) }));
        break;
      case "action.approved":
      case "action.retrying":
        state = { state: "under_way" };
        break;
      case "action.denied": {
        const { by } = data as EventData<"action.denied">;
        // an approver put another change in its place: that one is followed
        state = by === "edit" ? { state: "under_way" } : { state: "denied", reasons: reasons.length > 0 ? reasons : [{ code: `change.${by}`, message: DENIALS[by] ?? "it was denied" }] };
        break;
      }
      case "action.succeeded":
        state = { state: "applied", documents: ((data["output"] as { documents?: AppliedDocument[] } | null)?.documents ?? []) };
        break;
      case "action.failed":
      case "action.in_doubt": {
        const { error } = data as EventData<"action.failed">;
        state = { state: type === "action.failed" ? "failed" : "in_doubt", reasons: [{ code: error.code, message: error.message }] };
        break;
      }
      case "run.cancelled":
        return { state: "denied", reasons: [{ code: "run.cancelled", message: `\`${String(data["by"])}\` cancelled it` }] };
      default:
    }
  }
  return state;
}

const DENIALS: Readonly<Record<string, string>> = {
  person: "those who were asked refused it",
  expiry: "nobody answered in time",
  stop: "an emergency stop covers it",
};

function waiting({ data, grants }: { data: EventData<"approval.requested">; grants: number }): ChangeState {
  const { action, role, count, expires_at } = data as EventData<"approval.requested"> & { action: string };
  return { state: "waiting", action, role, count, grants, expires_at };
}
