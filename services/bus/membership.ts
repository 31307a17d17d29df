/**
 * One coordinator's place among those of its namespace: a sign of life each second, each written behind the one before
 * (expected sequence). Whoever takes another one for dead writes that in the same place, so that only one of the two
 * can be right: a sign of life that was taken proves that nobody has taken over what this one owns.
 */
import { randomBytes } from "node:crypto";
import type { NatsConnection } from "nats";
import type { Namespace } from "../../schemas/ids.ts";
import type { MemberRecord } from "../../schemas/lease.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { LeaseView } from "./lease-view.ts";
import { Publisher, PublishError } from "./publisher.ts";

/** Between two signs of life. */
export const BEAT_MS = 1000;
/** Silence after which others may take one for dead, and what of it the silent one takes for granted itself. */
export const SILENCE_MS = 3000;
const CERTAIN_MS = 2400;
/** What nobody renews goes by itself: the record of one that is gone, and of one whom nobody outlived. */
const KEPT_GONE = "20s";
const KEPT_UP = "600s";
const TIMEOUT_MS = 2000;

export interface MembershipOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly process: string | null;
  /** Versions of the machines that it has. */
  readonly machines: readonly string[];
  /** A sign of life was taken: everything that was owned before it is owned still. */
  readonly onCertain: () => void;
  /** Somebody else wrote there, or the record is no more: nothing is owned. */
  readonly onGone: (why: string) => void;
  readonly onTrouble: (error: Error) => void;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #publisher: Publisher;
  #view: LeaseView | undefined;
  #id: string | undefined;
  #seq = 0;
  #since = 0;
  #beat = 0;
  /** When the last sign of life that was taken was sent: on the clock that is never set, and on the one that goes on while a machine sleeps. */
  #sentAt = Number.NEGATIVE_INFINITY;
  #sentAtWall = 0;
  #inDoubt = false;
  #beating: Promise<void> | undefined;
  /** Signs of life that the stream took, of all lives of this process. */
  beats = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#publisher = new Publisher(options.nc, { timeoutMs: TIMEOUT_MS });
  }

  /** What every sign of life is noted in. */
  attach(view: LeaseView): void {
    this.#view = view;
  }

  /** Undefined while it is nobody. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether nobody can have taken over yet. Judged by clocks, at the moment of asking: a process that was frozen knows it by this first. */
  get certain(): boolean {
    return this.#id !== undefined && performance.now() - this.#sentAt < CERTAIN_MS && Date.now() - this.#sentAtWall < CERTAIN_MS;
  }

  /** Becomes somebody. @throws PublishError */
  async join(): Promise<void> {
    const id = randomBytes(6).toString("hex");
    this.#since = 0;
    this.#beat = 0;
    const [sentAt, sentAtWall] = [performance.now(), Date.now()];
    const seq = await this.#write(id, this.#record("up"), 0, KEPT_UP);
    this.#id = id;
    this.#since = seq;
    this.#inDoubt = false;
    this.#taken(seq, sentAt, sentAtWall);
  }

  /** One sign of life; those that are asked for meanwhile are this one. Never throws. */
  beat(): Promise<void> {
    return (this.#beating ??= this.#tryBeat().finally(() => (this.#beating = undefined)));
  }

  /** Says that another one is gone. @returns where that stands; undefined when the other said something meanwhile @throws PublishError */
  async bury(id: string, seq: number, record: MemberRecord): Promise<number | undefined> {
    try {
      return await this.#write(id, { ...record, life: "gone" }, seq, KEPT_GONE);
    } catch (error) {
      if (error instanceof PublishError && error.kind === "conflict") return undefined;
      throw error;
    }
  }

  /** Leaves: what it owned is free. Never throws; what could not be said is found out by the others. */
  async leave(): Promise<void> {
    const id = this.#id;
    await this.#beating;
    this.#id = undefined;
    if (id === undefined) return;
    await this.#write(id, this.#record("gone"), this.#seq, KEPT_GONE).catch(() => undefined);
  }

  close(): void {
    this.#publisher.close();
  }

  #record(life: MemberRecord["life"]): MemberRecord {
    const { process, machines } = this.#options;
    return { v: 1, life, since: this.#since, beat: this.#beat, process, machines: [...machines] };
  }

  async #tryBeat(): Promise<void> {
    const id = this.#id;
    if (id === undefined) return;
    try {
      if (this.#inDoubt) await this.#readBack(id);
      if (this.#id !== id) return;
      this.#beat += 1;
      const [sentAt, sentAtWall] = [performance.now(), Date.now()];
      const seq = await this.#write(id, this.#record("up"), this.#seq, KEPT_UP);
      if (this.#id === id) this.#taken(seq, sentAt, sentAtWall);
    } catch (error) {
      if (this.#id !== id) return;
      if (error instanceof PublishError && (error.kind === "conflict" || error.inDoubt)) this.#inDoubt = true;
      this.#options.onTrouble(error as Error);
      if (error instanceof PublishError && error.kind === "conflict") await this.#readBack(id).catch((e: unknown) => this.#options.onTrouble(e as Error));
    }
  }

  /** After a doubt: what stands there is its own, and says no more than it did; or it is gone. @throws ReadError */
  async #readBack(id: string): Promise<void> {
    const last = await this.#view?.member(id);
    if (this.#id !== id) return;
    if (last !== undefined && last.record.life === "up") {
      this.#seq = last.seq;
      this.#inDoubt = false;
      return;
    }
    this.#id = undefined;
    this.#options.onGone(last === undefined ? "its record is no more" : "others took it for dead");
  }

  #taken(seq: number, sentAt: number, sentAtWall: number): void {
    this.#seq = seq;
    this.#sentAt = sentAt;
    this.#sentAtWall = sentAtWall;
    this.beats += 1;
    if (this.#id !== undefined) this.#view?.putMember(this.#id, seq, this.#record("up"));
    this.#options.onCertain();
  }

  async #write(id: string, record: MemberRecord, expected: number, ttl: string): Promise<number> {
    const headers = { "Nats-Expected-Last-Subject-Sequence": String(expected), "Nats-TTL": ttl };
    return (await this.#publisher.publish(subjects.member(this.#options.ns, id), Buffer.from(JSON.stringify(record)), headers)).seq;
  }
}
