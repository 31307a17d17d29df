/**
 * Timers that are owed and not armed yet. Most are owed for less than a second, as the deadline of a claim is until its
 * report comes: armed at once, each was a message to the server, another from it ten seconds later, two questions about
 * what was stored before it, and an acknowledgement, all to find that nobody waits for it any more. That was a fifth of
 * the messages of an action.
 *
 * Nothing rests on what is kept here. Timers are derived: whoever takes a run over arms what its folded state owes.
 */
import type { Owed } from "../../machines/owed.ts";
import type { RunId } from "../../schemas/ids.ts";
import { millis } from "../../schemas/time.ts";

export type OwedTimer = Owed & { readonly kind: "timer" };

/** A timer waits between one and two of these before it is armed. */
const ROUND_MS = 500;
/** What is due sooner, by the run's own time, is armed at once: no timer is late for having waited. */
const SOON_MS = 3000;

export class Unarmed {
  readonly #arm: (run: RunId, debt: OwedTimer) => void;
  /** By name, as timers of one name replace each other. Of this round, and of the one before it. */
  #young = new Map<RunId, Map<string, OwedTimer>>();
  #old = new Map<RunId, Map<string, OwedTimer>>();
  #timer: NodeJS.Timeout | undefined;

  /** @param arm is told of a timer that is still owed when its time to wait is over */
  constructor(arm: (run: RunId, debt: OwedTimer) => void) {
    this.#arm = arm;
  }

  /** Puts a timer off. False when it has to be armed now. @param now the time of the run's last event */
  take(run: RunId, debt: OwedTimer, now: string): boolean {
    this.#old.get(run)?.delete(debt.name);
    if (millis(debt.at) - millis(now) < SOON_MS) {
      this.#young.get(run)?.delete(debt.name);
      return false;
    }
    const timers = this.#young.get(run);
    if (timers === undefined) this.#young.set(run, new Map([[debt.name, debt]]));
    else timers.set(debt.name, debt);
    this.#timer ??= setTimeout(() => this.#round(), ROUND_MS);
    return true;
  }

  /** Forgets timers of a run that are not among its debts any more. @param owed keys */
  keep(run: RunId, owed: ReadonlySet<string>): void {
    for (const generation of [this.#young, this.#old]) {
      const timers = generation.get(run);
      if (timers === undefined) continue;
      for (const [name, { key }] of timers) if (!owed.has(key)) timers.delete(name);
      if (timers.size === 0) generation.delete(run);
    }
  }

  /** Arms nothing any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#young.clear();
    this.#old.clear();
  }

  #round(): void {
    const due = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    this.#timer = this.#old.size > 0 ? setTimeout(() => this.#round(), ROUND_MS) : undefined;
    for (const [run, timers] of due) for (const debt of timers.values()) this.#arm(run, debt);
  }
}
