/** What built-in tools did to their small worlds: the place where one sees that nothing was done twice. */
import { appendFile, mkdir, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import type { JsonValue } from "../../../schemas/json.ts";

export interface Effect {
  /** The idempotency key of the call. */
  readonly key: string;
  readonly tool: string;
  readonly input: JsonValue;
  readonly output: JsonValue;
}

export interface EffectLedger {
  /** Effects in the order in which they took place. */
  readonly effects: readonly Effect[];
  /** Lets an effect take place, or gives back the one that took place under the same key. */
  take(key: string, tool: string, input: JsonValue, act: () => JsonValue): Promise<Effect>;
  /** The effect that took place under a key, given when it is kept; undefined, at once, when none did. */
  find(key: string): Promise<Effect> | undefined;
}

export class MemoryLedger implements EffectLedger {
  readonly #effects: Effect[] = [];
  readonly #byKey = new Map<string, Effect>();

  get effects(): readonly Effect[] {
    return this.#effects;
  }

  async take(key: string, tool: string, input: JsonValue, act: () => JsonValue): Promise<Effect> {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const effect = { key, tool, input, output: act() };
    this.restore(effect);
    return effect;
  }

  find(key: string): Promise<Effect> | undefined {
    const known = this.#byKey.get(key);
    return known && Promise.resolve(known);
  }

  get(key: string): Effect | undefined {
    return this.#byKey.get(key);
  }

  /** Counts an effect that took place before. */
  restore(effect: Effect): void {
    this.#effects.push(effect);
    this.#byKey.set(effect.key, effect);
  }
}

/** The same in a file of JSON lines: what was done before a restart is known after it. */
export class FileLedger implements EffectLedger {
  readonly #path: string;
  readonly #memory: MemoryLedger;
  #unwritten = "";
  /** The append that will hold what is unwritten now; effects that wait together are synced together. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, memory: MemoryLedger) {
    this.#path = path;
    this.#memory = memory;
  }

  /** Opens or begins a ledger. A last line that a crash cut off is no effect. */
  static async open(path: string): Promise<FileLedger> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const memory = new MemoryLedger();
    for (const line of text.split("\n").slice(0, -1)) if (line !== "") memory.restore(JSON.parse(line) as Effect);
    // its rest must not run into the next line
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole !== text) await truncate(path, Buffer.byteLength(whole));
    return new FileLedger(path, memory);
  }

  get effects(): readonly Effect[] {
    return this.#memory.effects;
  }

  /** Resolves when the effect is on disk; also for a repetition, which may come while the first is being written. */
  async take(key: string, tool: string, input: JsonValue, act: () => JsonValue): Promise<Effect> {
    const known = this.#memory.get(key);
    if (known !== undefined) {
      await this.#kept();
      return known;
    }
    const effect = { key, tool, input, output: act() };
    // known and waiting to be written in one go: whoever finds it meanwhile waits with it
    this.#memory.restore(effect);
    this.#unwritten += `${JSON.stringify(effect)}\n`;
    await this.#write();
    return effect;
  }

  find(key: string): Promise<Effect> | undefined {
    const known = this.#memory.get(key);
    return known && this.#kept().then(() => known);
  }

  /** What is in memory now is on disk when this resolves. */
  #kept(): Promise<void> {
    return this.#next ?? this.#last;
  }

  #write(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    // appends go one behind the other
    const written = this.#last
      .catch(() => undefined)
      .then(() => {
        this.#last = written;
        this.#next = undefined;
        const text = this.#unwritten;
        this.#unwritten = "";
        return appendFile(this.#path, text, { flush: true });
      });
    return (this.#next = written);
  }
}
