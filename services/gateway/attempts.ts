/**
 * What this process knows of the attempts that it was given. One process never executes an attempt twice, however
 * often its dispatch comes: while it is being carried out there is one of it, and afterwards its key is remembered.
 */
import type { DispatchMessage } from "../bus/dispatch.ts";

/** Keys of ended attempts that are remembered; the plane refuses a second claim long after they are forgotten. */
const REMEMBERED = 65_536;

export function attemptKey(run: string, action: string, attempt: number): string {
  return `${run} ${action} ${attempt}`;
}

/** An attempt that is being carried out, and every dispatch that asked for it. */
export class OpenAttempt {
  readonly #messages = new Map<number, DispatchMessage>();
  /** Sends the report again that is waiting for its answer, if one is. */
  repeat: () => void = () => undefined;

  add(message: DispatchMessage): void {
    this.#messages.set(message.seq, message);
  }

  ack(): void {
    for (const message of this.#messages.values()) message.ack();
  }
}

export class Attempts {
  readonly #open = new Map<string, OpenAttempt>();
  readonly #ended = new Set<string>();
  #idle: (() => void)[] = [];

  get openCount(): number {
    return this.#open.size;
  }

  /**
   * - `begun`: carry it out, and tell {@link end} when that is over
   * - `open`: it is under way; the message will be acknowledged with the others
   * - `ended`: nothing is left to do
   */
  take(key: string, message: DispatchMessage): { readonly kind: "begun" | "open"; readonly attempt: OpenAttempt } | { readonly kind: "ended" } {
    const open = this.#open.get(key);
    if (open !== undefined) {
      open.add(message);
      return { kind: "open", attempt: open };
    }
    if (this.#ended.has(key)) return { kind: "ended" };
    const attempt = new OpenAttempt();
    attempt.add(message);
    this.#open.set(key, attempt);
    return { kind: "begun", attempt };
  }

  /** @param remember it must not be carried out again by this process */
  end(key: string, remember: boolean): void {
    this.#open.delete(key);
    if (remember) {
      this.#ended.add(key);
      if (this.#ended.size > REMEMBERED) for (const oldest of this.#ended) {
        this.#ended.delete(oldest);
        break;
      }
    }
    if (this.#open.size === 0) {
      for (const resolve of this.#idle) resolve();
      this.#idle = [];
    }
  }

  /** Resolves when nothing is being carried out. */
  idle(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
