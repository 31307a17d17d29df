/**
 * Events as core messages, by type and by team: for services and developers who may not read the journal (CORE-9).
 * At most once: who must not miss one reads the journal.
 */
import type { EventBody } from "../../schemas/event.ts";
import type { StartFacts } from "../../schemas/facts.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { parseLog, subjects } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { type Frame, publishFrames } from "../bus/frames.ts";
import { headerBlock, headerLine } from "../bus/headers.ts";
import type { StoredMessage, StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import type { JournalListener } from "./follower.ts";

const KNOWN = 50_000;
/** What is handed to the connection in one go. */
const AT_ONCE = 128;
/** Long enough names, but nothing that would make another subject out of it. */
const TYPE = /^signalbox\.([a-z_]+\.[a-z_]+)$/;

/** What the events of one aggregate are published under. */
interface Known {
  readonly name: string;
  /** That owns the run; undefined where there is none, as of a tool. */
  readonly team: string | undefined;
}

export class FanOut implements JournalListener {
  readonly name = "fan-out";
  readonly from: number;
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  /** By journal subject, the longest known first. */
  readonly #known = new Map<string, Known>();

  /** @param from first stream sequence to publish; the past is not published again */
  constructor(nc: NatsConnection, ns: Namespace, from: number) {
    this.#nc = nc;
    this.#ns = ns;
    this.from = from;
    this.#reader = new SegmentedReader(nc, ns);
  }

  /**
   * Two messages for each event, to whoever listens: the server does not say whether anybody does. They were a quarter of
   * this thread's time, one by one and with their headers taken apart and put together again: 9 µs each, now 2.
   */
  async take(batch: readonly StoredMessage[]): Promise<void> {
    let frames: Frame[] = [];
    for (const message of batch) {
      // no waiting in between when the aggregate is known: the client writes to the socket whenever it is waited
      const known = this.#known.get(message.subject) ?? this.#learn(message) ?? (await this.#lookUp(message));
      if (known === undefined) continue;
      this.#add(frames, message, known);
      if (frames.length < AT_ONCE) continue;
      this.#publish(frames);
      frames = [];
    }
    this.#publish(frames);
    // one round trip a batch keeps what is in flight bounded; a connection that is gone loses it, as agreed
    await this.#nc.flush().catch(() => undefined);
  }

  #add(frames: Frame[], { headers, data }: StoredMessage, { name, team }: Known): void {
    const type = TYPE.exec(headers.get("ce-type") ?? "")?.[1];
    if (type === undefined) return;
    const head = published(headers);
    frames.push({ subject: subjects.event(this.#ns, type, name), head, data });
    if (team !== undefined) frames.push({ subject: subjects.team(this.#ns, team, type, name), head, data });
  }

  #publish(frames: readonly Frame[]): void {
    if (!this.#nc.isClosed()) publishFrames(this.#nc, frames);
  }

  /** From the message alone; undefined for a run of which it is not the first. */
  #learn(message: StoredMessage): Known | undefined {
    const address = parseLog(message.subject);
    if (address === undefined) return undefined;
    if (address.kind !== "run") return this.#remember(message.subject, undefined);
    return message.headers.get("ce-id")?.endsWith(":1") === true ? this.#remember(message.subject, message) : undefined;
  }

  async #lookUp({ subject }: StoredMessage): Promise<Known | undefined> {
    return this.#remember(subject, await this.#firstOf(subject));
  }

  #remember(subject: string, first: StoredMessage | undefined): Known | undefined {
    const name = parseLog(subject)?.name;
    if (name === undefined) return undefined;
    let team: string | undefined;
    try {
      team = first && teamOf(decodeEvent(first).body);
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
    }
    const known = { name, team };
    this.#known.set(subject, known);
    const oldest = this.#known.size > KNOWN ? this.#known.keys().next().value : undefined;
    if (oldest !== undefined) this.#known.delete(oldest);
    return known;
  }

  async #firstOf(subject: string): Promise<StoredMessage | undefined> {
    for await (const first of this.#reader.read({ subject, pageSize: 1 })) return first;
    return undefined;
  }
}

function teamOf(body: EventBody): string | undefined {
  const { envelope, facts } = body.data as { envelope?: { team?: string }; facts?: StartFacts };
  return envelope?.team ?? (facts?.kind === "start" ? facts.agent?.team : undefined);
}

/** As stored, without what the server reads in them. */
function published(headers: StoredMessage["headers"]): string {
  let text = "";
  for (const [name, value] of headers) if (!name.startsWith("Nats-")) text += headerLine(name, value);
  return headerBlock(undefined, text);
}
