/** The shares that this coordinator owns, and the inputs of each: taken, drained and dropped as the leases say. */
import type { Logger } from "pino";
import { type Namespace } from "../../schemas/ids.ts";
import { streamName } from "../../schemas/subjects.ts";
import { configurationFaults } from "../bus/configured.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import { Leases } from "../bus/leases.ts";
import { ProvisioningFailed } from "../bus/streams.ts";
import type { Desk } from "./desk.ts";
import type { Lanes } from "./lanes.ts";
import type { Outbox } from "./outbox.ts";
import { pause } from "./pause.ts";
import { Share } from "./share.ts";
import type { Sweeper } from "./sweep.ts";

export interface SharesOptions {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  /** As {@link Leases} takes it. */
  readonly process?: string | null;
  readonly machines: readonly string[];
  readonly lanes: Lanes;
  readonly desk: Desk;
  readonly outbox: Outbox;
  readonly sweeper: Sweeper;
  /** There may be something to decide. */
  readonly wake: () => void;
  readonly log: Logger;
}

const FAREWELL_MS = 1000;

export class Shares {
  readonly #options: SharesOptions;
  readonly #leases: Leases;
  readonly #open = new Map<number, Share>();

  constructor(options: SharesOptions) {
    this.#options = options;
    const { nc, ns, machines, sweeper, wake, log } = options;
    this.#leases = new Leases({
      nc,
      ns,
      machines,
      ...(options.process !== undefined && { process: options.process }),
      take: (share, epoch) => this.#take(share, epoch),
      drain: (share) => this.#drain(share),
      drop: (share, why) => this.#drop(share, why),
      taken: (shares) => {
        log.info({ shares }, "these shares are owned");
        void sweeper.sweep(shares);
      },
      certain: wake,
      onTrouble: (what, error) => log.warn({ error: error.message }, what),
    });
  }

  /** Those whose inputs come here. */
  get owned(): ReadonlySet<number> {
    return this.#leases.owned;
  }

  /** Whether nobody else can own them by now: asked before anything is decided. */
  get certain(): boolean {
    return this.#leases.certain;
  }

  /** As {@link Leases.common}. */
  get commonMachine(): string {
    return this.#leases.common;
  }

  /** As {@link Leases.lacks}. */
  lacks(share: number, machine: string): void {
    this.#leases.lacks(share, machine);
  }

  /** Waits until that is certain, before what no journal fences; false when it is stopped before. */
  sure(): Promise<boolean> {
    return this.#leases.sure();
  }

  /** Joins the others. Resolves when its due is owned, as far as it is free, and its inputs are coming. @throws ApiError, PublishError, ReadError, ProvisioningFailed */
  async start(): Promise<void> {
    await this.#provisioned();
    await this.#leases.start();
  }

  /** Everything that is owed may have to be paid again. */
  sweep(): void {
    void this.#options.sweeper.sweep(this.owned);
  }

  /** Leaves everything undecided to the next owners, and tells them that they may take it. */
  async stop(): Promise<void> {
    const left = Promise.all([...this.#open.values()].map((share) => share.leave()));
    // a server that is away deletes nothing: the next owner does
    await Promise.race([left, pause(FAREWELL_MS)]);
    this.#open.clear();
    await this.#leases.stop();
  }

  /** Where streams of before put inputs into partitions nobody looks again once a share is taken. */
  async #provisioned(): Promise<void> {
    const { nc, ns } = this.#options;
    for (const kind of ["INBOX", "CONTROL"] as const) {
      if (!(await configurationFaults(nc, kind, ns)).includes("subject_transform")) continue;
      throw new ProvisioningFailed(
        `the stream \`${streamName(kind, ns)}\` does not store inputs in the shares that this release takes them from`,
        "provision the namespace with this release first, as `npm start` does",
      );
    }
  }

  async #take(number: number, epoch: number): Promise<void> {
    const { nc, ns, lanes, desk, outbox, wake, log } = this.#options;
    const share: Share = new Share({
      nc,
      ns,
      number,
      log,
      onInputs: (messages) => {
        desk.take(messages);
        wake();
      },
      onDue: (due) => {
        lanes.push(due);
        wake();
      },
      onDropped: () => {
        lanes.suspect(number);
        // what waits in a lane comes again; what is in a turn is looked at when the turn has landed
        lanes.forget((arrival) => !arrival.message.inHand);
      },
      onUnshared: (signal: IntakeMessage) => outbox.passOn(signal),
      raise: (beyond) => this.#leases.raise(number, beyond),
    });
    this.#open.set(number, share);
    await share.start(epoch);
  }

  async #drain(number: number): Promise<void> {
    this.#options.log.info({ share: number }, "a share is handed over");
    const share = this.#open.get(number);
    await share?.drain();
    this.#forget(number, share);
  }

  #drop(number: number, why: string): void {
    this.#options.log.warn({ share: number, why }, "a share is owned no more");
    const share = this.#open.get(number);
    void share?.stop();
    this.#forget(number, share);
  }

  #forget(number: number, share: Share | undefined): void {
    if (this.#open.get(number) !== share) return;
    this.#open.delete(number);
    this.#options.sweeper.drop(number);
    this.#options.lanes.drop(number);
  }
}
