/**
 * Events as core messages, by type and by team: for services and developers who may not read the journal (CORE-9).
 * At most once: who must not miss one reads the journal.
 */
import type { EventBody } from "../../schemas/event.ts";
import type { StartFacts } from "../../schemas/facts.ts";
import { type Namespace, type RunId } from "../../schemas/ids.ts";
import { parseLog, streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { encodeHeaders } from "../bus/headers.ts";
import { type StoredMessage, StreamReader } from "../bus/journal.ts";
import type { JournalListener } from "./follower.ts";

const KNOWN_TEAMS = 50_000;
/** Long enough names, but nothing that would make another subject out of it. */
const TYPE = /^signalbox\.([a-z_]+\.[a-z_]+)$/;

export class FanOut implements JournalListener {
  readonly name = "fan-out";
  readonly from: number;
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  /** Least recently used first. */
  readonly #teams = new Map<string, string | undefined>();

  /** @param from first stream sequence to publish; the past is not published again */
  constructor(nc: NatsConnection, ns: Namespace, from: number) {
    this.#nc = nc;
    this.#ns = ns;
    this.from = from;
    this.#reader = new StreamReader(nc, streamName("JOURNAL", ns));
  }

  async take(batch: readonly StoredMessage[]): Promise<void> {
    for (const message of batch) await this.#publish(message);
    // one round trip a batch keeps what is in flight bounded; a connection that is gone loses it, as agreed
    await this.#nc.flush().catch(() => undefined);
  }

  async #publish(message: StoredMessage): Promise<void> {
    const address = parseLog(message.subject);
    const type = TYPE.exec(message.headers.get("ce-type") ?? "")?.[1];
    if (address === undefined || type === undefined || this.#nc.isClosed()) return;
    const headers = encodeHeaders(published(message.headers), "");
    this.#nc.publish(subjects.event(this.#ns, type, address.name), message.data, { headers });
    if (address.kind !== "run") return;
    const team = await this.#team(address.name as RunId, message);
    if (team === undefined) return;
    this.#nc.publish(subjects.team(this.#ns, team, type, address.name), message.data, { headers });
  }

  /** The team that owns a run, from its first event. */
  async #team(run: RunId, message: StoredMessage): Promise<string | undefined> {
    if (this.#teams.has(run)) {
      const team = this.#teams.get(run);
      this.#teams.delete(run);
      this.#teams.set(run, team);
      return team;
    }
    let team: string | undefined;
    const first = message.headers.get("ce-id")?.endsWith(":1") === true ? message : await this.#firstOf(message.subject);
    try {
      team = first && teamOf(decodeEvent(first).body);
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
    }
    this.#teams.set(run, team);
    if (this.#teams.size > KNOWN_TEAMS) for (const oldest of this.#teams.keys()) {
      this.#teams.delete(oldest);
      break;
    }
    return team;
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
function published(headers: StoredMessage["headers"]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of headers) if (!name.startsWith("Nats-")) out[name] = value;
  return out;
}
