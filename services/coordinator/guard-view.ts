/**
 * The stops and revocations in force, as far as this process knows the journal (GUARD-9, ID-2). Looked up for every
 * start, proposal and claim: where nothing is stopped that costs one comparison.
 */
import type { GuardState } from "../../machines/guard.ts";
import type { EventBody, EventData } from "../../schemas/event.ts";
import type { GuardHit, Principal } from "../../schemas/facts.ts";
import type { Namespace, StopId } from "../../schemas/ids.ts";
import type { Scope } from "../../schemas/inputs.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../bus/commit.ts";
import type { StreamReader } from "../bus/journal.ts";

/** The only guard of a namespace. */
export const GUARD_NAME = "stops";

/** Who and what an input concerns. What is left out is not looked at. */
export interface Involved {
  readonly agent?: string | undefined;
  readonly version?: string | undefined;
  readonly team?: string | undefined;
  readonly tool?: string | undefined;
  readonly principal?: Pick<Principal, "issuer" | "subject"> | null | undefined;
}

/** A person as an issuer knows them. */
interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

/** Where the documents of persons are looked up. */
export interface Persons {
  /** Issuer and subject behind a NATS name; undefined when no document says so. */
  identity(name: string): Identity | undefined;
}

export class GuardView {
  readonly #ns: Namespace;
  readonly #journal: StreamReader;
  readonly #persons: Persons;
  /** Standing entries by scope, the oldest first. */
  readonly #standing = new Map<string, GuardHit[]>();
  /** Sequence in the aggregate of the last event that was taken over, and in the stream. */
  #seq = 0;
  #streamSeq = 0;

  constructor(ns: Namespace, journal: StreamReader, persons: Persons) {
    this.#ns = ns;
    this.#journal = journal;
    this.#persons = persons;
  }

  /** The guard's subject in the journal. */
  get subject(): string {
    return subjects.log(this.#ns, "guard", GUARD_NAME);
  }

  get empty(): boolean {
    return this.#standing.size === 0;
  }

  /** Reads what was added to the journal since. @throws ReadError, EventMalformed */
  async load(): Promise<void> {
    for await (const message of this.#journal.read({ subject: this.subject, fromSeq: this.#streamSeq + 1, leader: true })) {
      this.put(decodeEvent(message));
    }
  }

  /**
   * Asks the leader whether the journal holds more than is known here, and takes it over: afterwards every stop that was
   * stored before the call counts. @throws ReadError, EventMalformed
   */
  async refresh(): Promise<void> {
    const last = await this.#journal.lastOf(this.subject);
    if (last === undefined || last.seq <= this.#streamSeq) return;
    await this.load();
  }

  /** Takes the next event over; what is known is left alone. False when there is a gap before it: {@link load} fills it. */
  put({ body, streamSeq }: Pick<JournalEvent, "body" | "streamSeq">): boolean {
    if (body.seq > this.#seq + 1) return false;
    this.#streamSeq = Math.max(this.#streamSeq, streamSeq);
    if (body.seq <= this.#seq) return true;
    this.#seq = body.seq;
    this.#apply(body);
    return true;
  }

  /** Takes over what this process has just stored. @param streamSeq of its last event */
  take(state: GuardState, streamSeq: number): void {
    if (state.seq <= this.#seq) return;
    this.#standing.clear();
    for (const { value, context } of state.stops.values()) if (value === "standing") this.#add(context);
    this.#seq = state.seq;
    this.#streamSeq = Math.max(this.#streamSeq, streamSeq);
  }

  /** The oldest entry that covers any of these. */
  hit(involved: Involved): GuardHit | undefined {
    if (this.#standing.size === 0) return undefined;
    const { agent, version, team, tool, principal } = involved;
    const scopes = ["all"];
    if (agent !== undefined) {
      scopes.push(`agent:${agent}`);
      if (version !== undefined) scopes.push(`version:${agent}@${version}`);
    }
    if (team !== undefined) scopes.push(`team:${team}`);
    if (tool !== undefined) scopes.push(`tool:${tool}`);
    const found = scopes.map((scope) => this.#standing.get(scope)?.[0]);
    if (principal?.issuer !== undefined) found.push(this.#identityHit({ issuer: principal.issuer, subject: principal.subject }));
    return oldest(found);
  }

  /** The oldest entry that covers a person, under this name or another one of theirs. */
  person(name: string): GuardHit | undefined {
    if (this.#standing.size === 0) return undefined;
    const identity = this.#persons.identity(name);
    return oldest([this.#standing.get(`person:${name}`)?.[0], identity && this.#identityHit(identity)]);
  }

  /** The oldest revocation of an agent; a stop refuses its actions, not its words. */
  revokedAgent(name: string): GuardHit | undefined {
    if (this.#standing.size === 0) return undefined;
    return this.#standing.get(`agent:${name}`)?.find(({ kind }) => kind === "revocation");
  }

  #identityHit(identity: Identity): GuardHit | undefined {
    const found = [this.#standing.get(`principal:${identity.issuer}|${identity.subject}`)?.[0]];
    for (const [scope, entries] of this.#standing) {
      if (!scope.startsWith("person:")) continue;
      const named = this.#persons.identity(scope.slice("person:".length));
      if (named?.issuer === identity.issuer && named.subject === identity.subject) found.push(entries[0]);
    }
    return oldest(found);
  }

  #apply({ type, data }: EventBody): void {
    if (type === "guard.stopped") this.#add(data as EventData<"guard.stopped">);
    if (type !== "guard.lifted") return;
    const { stop, scope } = data as EventData<"guard.lifted">;
    const left = (this.#standing.get(scope) ?? []).filter((entry) => entry.stop !== stop);
    if (left.length > 0) this.#standing.set(scope, left);
    else this.#standing.delete(scope);
  }

  #add({ stop, kind, scope, reason }: { readonly stop: StopId; readonly kind: GuardHit["kind"]; readonly scope: Scope; readonly reason: string }): void {
    const entries = this.#standing.get(scope);
    const entry: GuardHit = { stop, kind, scope, reason };
    if (entries === undefined) this.#standing.set(scope, [entry]);
    else entries.push(entry);
  }
}

/** Which of several is recorded must not depend on the order in which they are looked up. */
function oldest(found: readonly (GuardHit | undefined)[]): GuardHit | undefined {
  const order = ({ stop }: GuardHit) => Number(stop?.slice(1) ?? Infinity);
  return found.reduce((first, entry) => (first === undefined || (entry !== undefined && order(entry) < order(first)) ? entry : first), undefined);
}
