/** LEASES as one coordinator knows it: read from the leader, kept up by what is republished, and timed by its own clock alone. */
import type { NatsConnection, Subscription } from "nats";
import type { z } from "zod";
import type { Namespace } from "../../schemas/ids.ts";
import { type LeaseRecord, type MemberRecord, leaseSchema, memberSchema } from "../../schemas/lease.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { readHeaders } from "./headers.ts";
import { StreamReader } from "./journal.ts";

export interface SeenMember {
  /** Sequence of its record: what whoever writes there next expects. */
  readonly seq: number;
  readonly record: MemberRecord;
  /** When this process saw that record first, on its monotonic clock, ms. */
  readonly seenAt: number;
  /** Own signs of life that the stream had taken by then: nobody is silent where nobody is heard. */
  readonly seenBeat: number;
}

export interface SeenShare {
  readonly seq: number;
  readonly record: LeaseRecord;
}

export class LeaseView {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  readonly #changed: () => void;
  readonly #ownBeat: () => number;
  readonly members = new Map<string, SeenMember>();
  readonly shares = new Map<number, SeenShare>();
  #subscription: Subscription | undefined;

  /** @param ownBeat how many signs of life of this process the stream has taken */
  constructor(nc: NatsConnection, ns: Namespace, changed: () => void, ownBeat: () => number) {
    this.#nc = nc;
    this.#ns = ns;
    this.#reader = new StreamReader(nc, streamName("LEASES", ns));
    this.#changed = changed;
    this.#ownBeat = ownBeat;
  }

  /** Hears what others write from now on. */
  watch(): void {
    this.#subscription = this.#nc.subscribe(patterns.leased(this.#ns), {
      callback: (error, message) => {
        // whoever is deaf reads the stream again before long
        if (error !== null) return;
        const seq = Number(readHeaders(message).headers.get("Nats-Sequence") ?? 0);
        if (this.#put(message.subject, seq, message.data)) this.#changed();
      },
    });
  }

  stop(): void {
    this.#subscription?.unsubscribe();
  }

  /** Reads all of it from the leader; what is there no more is forgotten. @throws ReadError */
  async load(): Promise<void> {
    const found = new Set<string>();
    const known = [...this.members.keys(), ...this.shares.keys()];
    for await (const { subject, seq, data } of this.#reader.read({ subject: patterns.leases(this.#ns), leader: true })) {
      found.add(subject);
      this.#put(subject, seq, data);
    }
    // heard of meanwhile is as good as read
    for (const name of known) {
      if (typeof name === "string") {
        if (!found.has(subjects.member(this.#ns, name))) this.members.delete(name);
      } else if (!found.has(subjects.lease(this.#ns, name))) this.shares.delete(name);
    }
  }

  /** What the leader holds of a member now. @throws ReadError */
  async member(id: string): Promise<Pick<SeenMember, "seq" | "record"> | undefined> {
    const last = await this.#reader.lastOf(subjects.member(this.#ns, id));
    const record = last && read(memberSchema, last.data);
    if (last === undefined || record === undefined) {
      this.members.delete(id);
      return undefined;
    }
    this.#put(last.subject, last.seq, last.data);
    return { seq: last.seq, record };
  }

  /** What the leader holds of a share now. @throws ReadError */
  async share(share: number): Promise<SeenShare | undefined> {
    const last = await this.#reader.lastOf(subjects.lease(this.#ns, share));
    // whatever was known: a stream that was lost and made anew counts from the beginning
    this.shares.delete(share);
    if (last !== undefined) this.#put(last.subject, last.seq, last.data);
    return this.shares.get(share);
  }

  putMember(id: string, seq: number, record: MemberRecord): void {
    if (seq > (this.members.get(id)?.seq ?? 0)) this.members.set(id, { seq, record, seenAt: performance.now(), seenBeat: this.#ownBeat() });
  }

  putShare(share: number, seq: number, record: LeaseRecord): void {
    if (seq > (this.shares.get(share)?.seq ?? 0)) this.shares.set(share, { seq, record });
  }

  /** Whether it said something new. */
  #put(subject: string, seq: number, data: Uint8Array): boolean {
    const [, , , kind, name = ""] = subject.split(".");
    if (kind === "member") {
      const before = this.members.get(name);
      const record = read(memberSchema, data);
      if (record === undefined) return false;
      this.putMember(name, seq, record);
      // that somebody still lives changes nothing
      return before?.record.life !== record.life;
    }
    const record = read(leaseSchema, data);
    if (kind !== "share" || record === undefined) return false;
    this.putShare(Number(name), seq, record);
    return true;
  }
}

/** Undefined for what is none; nobody but coordinators may write there. */
function read<T>(schema: z.ZodType<T>, data: Uint8Array): T | undefined {
  try {
    return schema.safeParse(JSON.parse(Buffer.from(data).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
