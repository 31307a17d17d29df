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
import { encodeHeaders } from "../bus/headers.ts";
import type { StoredMessage, StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import type { JournalListener } from "./follower.ts";

const KNOWN_TEAMS = 50_000;
const UNKNOWN = Symbol("a team that has to be looked up");
/** Long enough names, but nothing that would make another subject out of it. */
const TYPE = /^signalbox\.([a-z_]+\.[a-z_]+)$/;

export class FanOut implements JournalListener {
  readonly name = "fan-out";
  readonly from: number;
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  /** By journal subject, least recently used first. */
  readonly #teams = new Map<string, string | undefined>();

  /** @param from first stream sequence to publish; the past is not published again */
  constructor(nc: NatsConnection, ns: Namespace, from: number) {
    this.#nc = nc;
    this.#ns = ns;
    this.from = from;
    this.#reader = new SegmentedReader(nc, ns);
  }

  async take(batch: readonly StoredMessage[]): Promise<void> {
    for (const message of batch) {
      // no waiting in between when the team is known: the client writes to the socket whenever it is waited
      const team = this.#knownTeam(message);
      this.#publish(message, team === UNKNOWN ? await this.#lookUp(message) : team);
    }
    // one round trip a batch keeps what is in flight bounded; a connection that is gone loses it, as agreed
    await this.#nc.flush().catch(() => undefined);
  }

  #publish(message: StoredMessage, team: string | undefined): void {
    const address = parseLog(message.subject);
    const type = TYPE.exec(message.headers.get("ce-type") ?? "")?.[1];
    if (address === undefined || type === undefined || this.#nc.isClosed()) return;
    const headers = encodeHeaders(published(message.headers), "");
    this.#nc.publish(subjects.event(this.#ns, type, address.name), message.data, { headers });
    if (team !== undefined) this.#nc.publish(subjects.team(this.#ns, team, type, address.name), message.data, { headers });
  }

  /** The team that owns the event's run; undefined where there is none, as of a tool. */
  #knownTeam(message: StoredMessage): string | undefined | typeof UNKNOWN {
    const { subject } = message;
    if (parseLog(subject)?.kind !== "run") return undefined;
    if (this.#teams.has(subject)) {
      const team = this.#teams.get(subject);
      this.#teams.delete(subject);
      this.#teams.set(subject, team);
      return team;
    }
    return message.headers.get("ce-id")?.endsWith(":1") === true ? this.#remember(subject, message) : UNKNOWN;
  }

  async #lookUp(message: StoredMessage): Promise<string | undefined> {
    return this.#remember(message.subject, await this.#firstOf(message.subject));
  }

  #remember(subject: string, first: StoredMessage | undefined): string | undefined {
    let team: string | undefined;
    try {
      team = first && teamOf(decodeEvent(first).body);
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
    }
    this.#teams.set(subject, team);
    const oldest = this.#teams.size > KNOWN_TEAMS ? this.#teams.keys().next().value : undefined;
    if (oldest !== undefined) this.#teams.delete(oldest);
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
