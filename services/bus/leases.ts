/**
 * Which shares of a namespace's inputs this coordinator owns. Each share is owned by one at a time: it is taken from
 * nobody, or from somebody who is gone, by whoever writes the next record of it (expected sequence). Those that are up
 * have as many each, one more for the older ones; who has too many hands over, who has too few takes what is free.
 * No clocks of different machines are compared: silence is counted on one's own, in one's own signs of life.
 */
import type { NatsConnection } from "nats";
import type { Namespace } from "../../schemas/ids.ts";
import type { LeaseRecord, MemberRecord } from "../../schemas/lease.ts";
import { SHARES, subjects } from "../../schemas/subjects.ts";
import { LeaseView, type SeenMember } from "./lease-view.ts";
import { BEAT_MS, Membership, SILENCE_MS } from "./membership.ts";
import { isProcessGone, ownProcess } from "./own-process.ts";
import { Publisher, PublishError } from "./publisher.ts";

export interface LeasesOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  /** Which process this is, for others on the same machine; null: they may find out by its silence alone. Default: {@link ownProcess}. */
  readonly process?: string | null;
  /** Versions of the machines that this coordinator has, oldest first. */
  readonly machines: readonly string[];
  /** A share is owned: take its inputs. @param epoch names the consumers. What it throws is tried again. */
  readonly take: (share: number, epoch: number) => Promise<void>;
  /** A share is to be handed over: end what is under way. Resolves when nothing of it is in hand. Never throws. */
  readonly drain: (share: number) => Promise<void>;
  /** A share is owned no more: drop what is in hand. */
  readonly drop: (share: number, why: string) => void;
  /** These were taken one after the other, and all of their inputs are coming. */
  readonly taken: (shares: readonly number[]) => void;
  /** Ownership is certain again, after it may not have been. */
  readonly certain: () => void;
  readonly onTrouble: (what: string, error: Error) => void;
}

/** How often it is looked whether a process on this machine is gone. */
const TICK_MS = 250;
/** Own signs of life that the stream must have taken while another one gave none: while the stream takes none, nobody is heard. */
const SILENT_BEATS = 3;
/** What was republished may have been missed. */
const RELOAD_MS = 5000;
const TIMEOUT_MS = 2000;
const RETRY_MS = 500;
const FAREWELL_MS = 1000;

/** Of a release that did not say. */
const UNSAID: readonly string[] = ["1", "2"];

const machinesOf = (record: MemberRecord): readonly string[] => record.machines ?? UNSAID;
const hasAll = (record: MemberRecord, needs: readonly string[]): boolean => needs.every((machine) => machinesOf(record).includes(machine));

export class Leases {
  readonly #options: LeasesOptions;
  readonly #publisher: Publisher;
  readonly #membership: Membership;
  readonly #view: LeaseView;
  /** Epochs of the shares that are owned. */
  readonly #owned = new Map<number, number>();
  readonly #releasing = new Set<number>();
  /** Versions that were found missing here, by share; until somebody is told. */
  readonly #needs = new Map<number, Set<string>>();
  #ticker: NodeJS.Timeout | undefined;
  #balancing: Promise<void> | undefined;
  #again = false;
  #beatAt = Number.NEGATIVE_INFINITY;
  #readAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** Whoever waits until it is certain whether it still owns what it did. */
  #waiting: (() => void)[] = [];

  constructor(options: LeasesOptions) {
    this.#options = options;
    const { nc, ns } = options;
    this.#publisher = new Publisher(nc, { timeoutMs: TIMEOUT_MS });
    this.#membership = new Membership({
      nc,
      ns,
      process: options.process === undefined ? ownProcess() : options.process,
      machines: options.machines,
      onCertain: () => this.#settled(),
      onGone: (why) => this.#lost(why),
      onTrouble: (error) => this.#trouble("a sign of life was not taken", error),
    });
    this.#view = new LeaseView(nc, ns, () => this.#balanceSoon(), () => this.#membership.beats);
    this.#membership.attach(this.#view);
  }

  /** Shares that are owned, as far as this process has heard. */
  get owned(): ReadonlySet<number> {
    return new Set(this.#owned.keys());
  }

  owns(share: number): boolean {
    return this.#owned.has(share);
  }

  /** Whether nobody can own what this process believes to own. Asked before whatever the journal does not fence. */
  get certain(): boolean {
    return this.#membership.certain;
  }

  /**
   * The newest version of the machines that every coordinator has that is up: what begins with it may be anybody's. Its
   * own newest where they have none in common.
   */
  get common(): string {
    const { machines } = this.#options;
    const others = this.#up().map(([, { record }]) => machinesOf(record));
    return machines.findLast((machine) => others.every((has) => has.includes(machine))) ?? machines.at(-1) ?? "";
  }

  /** In this share is something that only a coordinator with that version drives: it is left to one, as soon as there is any. */
  lacks(share: number, machine: string): void {
    const needs = this.#needs.get(share);
    if (needs?.has(machine) === true) return;
    this.#needs.set(share, new Set(needs).add(machine));
    this.#balanceSoon();
  }

  /** Resolves at once, or as soon as it is certain what is owned; false when it is stopped before. */
  async sure(): Promise<boolean> {
    while (!this.certain && !this.#stopped) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return !this.#stopped;
  }

  /**
   * Joins, and takes what is free and its due. Resolves when the inputs of these shares are coming; that may be none.
   * @throws what the stream or `take` refused with
   */
  async start(): Promise<void> {
    const first = (async () => {
      this.#view.watch();
      await this.#membership.join();
      this.#beatAt = performance.now();
      this.#ticker = setInterval(() => this.#tick(), TICK_MS);
      void this.#watch();
      await this.#balance(true);
    })();
    // whatever is heard meanwhile is looked at behind it
    this.#balancing = first.finally(() => (this.#balancing = undefined));
    await this.#balancing;
    this.#balanceSoon();
  }

  /** Leaves; the shares are free at once. What is in hand must have been dropped before. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#ticker);
    this.#owned.clear();
    this.#settled();
    await Promise.race([this.#leave(), new Promise((resolve) => setTimeout(resolve, FAREWELL_MS).unref())]);
    this.#view.stop();
    this.#membership.close();
    this.#publisher.close();
  }

  /** The consumers of an owner of another time are in the way: the share is owned on under a later epoch. @throws PublishError, Error when it is not owned */
  async raise(share: number, beyond: number): Promise<number> {
    const epoch = beyond + 1;
    const seen = this.#view.shares.get(share);
    const claimed = seen !== undefined && this.owns(share) && this.#ownerOf(share) === null && (await this.#claim(share, epoch, seen.seq));
    if (!claimed || !this.owns(share)) throw new Error(`share \`${share}\` is owned by somebody else`);
    this.#owned.set(share, epoch);
    return epoch;
  }

  async #leave(): Promise<void> {
    await this.#balancing?.catch(() => undefined);
    await this.#membership.leave();
  }

  #tick(): void {
    const now = performance.now();
    if (now - this.#beatAt >= BEAT_MS - TICK_MS / 2) {
      this.#beatAt = now;
      void this.#membership.beat();
    }
    this.#balanceSoon();
  }

  async #watch(): Promise<void> {
    for await (const status of this.#options.nc.status()) {
      if (this.#stopped) return;
      if (status.type !== "reconnect") continue;
      // others may have come, gone and taken meanwhile
      this.#readAt = Number.NEGATIVE_INFINITY;
      void this.#membership.beat();
    }
  }

  async #load(): Promise<void> {
    this.#readAt = performance.now();
    await this.#view.load();
  }

  #balanceSoon(): void {
    this.#again = true;
    if (this.#stopped || this.#balancing !== undefined) return;
    this.#balancing = (async () => {
      try {
        while (this.#again && !this.#stopped) {
          this.#again = false;
          await this.#balance(false);
        }
      } catch (error) {
        this.#trouble("shares could not be balanced", error as Error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } finally {
        this.#balancing = undefined;
      }
    })();
  }

  /** @param strict a share that cannot be taken is an error, and not tried again */
  async #balance(strict: boolean): Promise<void> {
    if (performance.now() - this.#readAt > RELOAD_MS) await this.#load();
    if (this.#membership.id === undefined) {
      await this.#membership.join();
      this.#beatAt = performance.now();
    }
    // without it nobody can be told from the dead, and nothing is taken
    if (!this.certain) return;
    await this.#bury();
    const quota = this.#quota();
    const owned = [...this.#owned.keys()].filter((share) => !this.#releasing.has(share)).sort((a, b) => b - a);
    const unfit = owned.filter((share) => !this.#mayOwn(share));
    const surplus = owned.filter((share) => !unfit.includes(share) && !this.#isExclusive(share)).slice(0, Math.max(0, owned.length - unfit.length - quota));
    for (const share of [...unfit, ...surplus]) void this.#release(share);
    const free: number[] = [];
    for (let share = 0; share < SHARES; share++) {
      if (!this.#isFree(share) || !this.#mayOwn(share)) continue;
      // what not everybody can drive is taken by whoever can, beyond any due
      if (this.#owned.size + free.length < quota || this.#isExclusive(share)) free.push(share);
    }
    const took = (await Promise.all(free.map((share) => this.#take(share, strict)))).filter((share) => share !== undefined);
    if (took.length > 0) this.#options.taken(took);
  }

  /** Those whose process is gone, or who have been silent while this one was heard. */
  async #bury(): Promise<void> {
    const now = performance.now();
    for (const [id, { seq, record, seenAt, seenBeat }] of this.#view.members) {
      if (record.life === "gone" || id === this.#membership.id) continue;
      const silent = now - seenAt > SILENCE_MS && this.#membership.beats - seenBeat >= SILENT_BEATS;
      if (!silent && !isProcessGone(record.process)) continue;
      const buried = await this.#membership.bury(id, seq, record);
      if (buried === undefined) await this.#view.member(id);
      else this.#view.putMember(id, buried, { ...record, life: "gone" });
    }
  }

  #up(): [string, SeenMember][] {
    return [...this.#view.members].filter(([, { record }]) => record.life === "up");
  }

  #needsOf(share: number): readonly string[] {
    return [...new Set([...(this.#view.shares.get(share)?.record.needs ?? []), ...(this.#needs.get(share) ?? [])])];
  }

  /** Whether some of those that are up lack what the share needs. */
  #isExclusive(share: number): boolean {
    const needs = this.#needsOf(share);
    return needs.length > 0 && this.#up().some(([, { record }]) => !hasAll(record, needs));
  }

  /** Who has what it needs; or, while nobody has, anybody: the rest of the share goes on. */
  #mayOwn(share: number): boolean {
    const needs = this.#needsOf(share);
    if (needs.every((machine) => this.#options.machines.includes(machine))) return true;
    return !this.#up().some(([, { record }]) => hasAll(record, needs));
  }

  /** How many shares are this one's due: all alike, and of what is left over the older ones one more each. */
  #quota(): number {
    const up = this.#up();
    const age = ([, { seq, record }]: (typeof up)[number]) => record.since || seq;
    const place = up.sort((a, b) => age(a) - age(b)).findIndex(([id]) => id === this.#membership.id);
    if (place < 0) return 0;
    return Math.floor(SHARES / up.length) + (place < SHARES % up.length ? 1 : 0);
  }

  #isFree(share: number): boolean {
    if (this.#owned.has(share)) return false;
    const owner = this.#ownerOf(share);
    return owner === null || this.#view.members.get(owner)?.record.life !== "up";
  }

  /** Null also for what this one let go of and could not say so. */
  #ownerOf(share: number): string | null {
    const owner = this.#view.shares.get(share)?.record.owner ?? null;
    return owner === this.#membership.id ? null : owner;
  }

  /** @returns the share once its inputs are coming */
  async #take(share: number, strict: boolean): Promise<number | undefined> {
    // what is heard from now on makes the claim fail, and does not make it another one's
    const seen = this.#view.shares.get(share);
    const owner = this.#ownerOf(share);
    // of whom nothing is known here something may be known there
    if (owner !== null && (await this.#view.member(owner))?.record.life === "up") return undefined;
    const epoch = (seen?.record.epoch ?? 0) + 1;
    if (!(await this.#claim(share, epoch, seen?.seq ?? 0))) return undefined;
    if (this.#stopped) return undefined;
    this.#owned.set(share, epoch);
    try {
      await this.#options.take(share, epoch);
      return this.#owned.has(share) ? share : undefined;
    } catch (error) {
      if (strict) throw error;
      this.#trouble(`share \`${share}\` cannot be taken`, error as Error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      await this.#release(share);
      return undefined;
    }
  }

  /** Ends what is under way, and lets go. */
  async #release(share: number): Promise<void> {
    const epoch = this.#owned.get(share);
    if (epoch === undefined || this.#releasing.has(share)) return;
    this.#releasing.add(share);
    const owner = this.#membership.id;
    try {
      await this.#options.drain(share);
      if (this.#owned.get(share) !== epoch) return;
      this.#owned.delete(share);
      const seen = this.#view.shares.get(share);
      if (seen !== undefined && seen.record.owner === owner) {
        const needs = this.#needsOf(share);
        await this.#record(share, { ...seen.record, owner: null, ...(needs.length > 0 && { needs: [...needs] }) }, seen.seq);
        this.#needs.delete(share);
      }
    } catch (error) {
      // it is taken again, or by somebody else when this one is gone
      this.#trouble(`share \`${share}\` was not handed over`, error as Error);
      await this.#view.share(share).catch(() => undefined);
    } finally {
      this.#releasing.delete(share);
    }
  }

  /** Writes itself down as the owner, behind what it has seen. False when somebody else was first. @throws PublishError, ReadError */
  async #claim(share: number, epoch: number, expected: number): Promise<boolean> {
    const owner = this.#membership.id;
    if (owner === undefined) return false;
    const { needs } = this.#view.shares.get(share)?.record ?? {};
    const record: LeaseRecord = { v: 1, owner, epoch, ...(needs !== undefined && { needs }) };
    try {
      await this.#record(share, record, expected);
      return true;
    } catch (error) {
      if (!(error instanceof PublishError) || (error.kind !== "conflict" && !error.inDoubt)) throw error;
      const stands = (await this.#view.share(share))?.record;
      return stands?.owner === owner && stands.epoch === epoch;
    }
  }

  async #record(share: number, record: LeaseRecord, expected: number): Promise<void> {
    const headers = { "Nats-Expected-Last-Subject-Sequence": String(expected) };
    const { seq } = await this.#publisher.publish(subjects.lease(this.#options.ns, share), Buffer.from(JSON.stringify(record)), headers);
    this.#view.putShare(share, seq, record);
  }

  #settled(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
    if (!this.#stopped) this.#options.certain();
  }

  #lost(why: string): void {
    const shares = [...this.#owned.keys()];
    this.#owned.clear();
    for (const share of shares) this.#options.drop(share, why);
    this.#settled();
    // as somebody else, with what is free then
    this.#readAt = Number.NEGATIVE_INFINITY;
    this.#balanceSoon();
  }

  #trouble(what: string, error: Error): void {
    if (!this.#stopped) this.#options.onTrouble(what, error);
  }
}
