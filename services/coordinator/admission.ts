/**
 * How many inputs of one kind an actor may have judged (law 6). Beyond it nothing is journalled and nothing is listed one by
 * one: one counted record a second. Time is the server's, on the stored inputs; this process has no clock of its own.
 */
export interface Quota {
  /** Inputs per second that an actor may sustain. */
  readonly perSecond: number;
  /** Inputs that it may send at once after a rest. */
  readonly burst: number;
}
export const DEFAULT_QUOTA: Quota = { perSecond: 1000, burst: 4000 };

interface Bucket {
  tokens: number;
  /** Server time of the last input, in ms. */
  at: number;
  /** Refused since the last record. */
  refused: number;
  recordedAt: number;
}

export type Admission = { readonly admitted: true } | { readonly admitted: false; /** Make a record of so many. */ readonly record: number };

const RECORD_EVERY_MS = 1000;
const MAX_ACTORS = 100_000;
/** Inputs that come once more are older than what was seen; older than by this, it is the clock that went back. */
const MAX_AHEAD_MS = 60_000;

export class Admissions {
  readonly #quota: Quota;
  readonly #buckets = new Map<string, Bucket>();

  constructor(quota: Quota = DEFAULT_QUOTA) {
    this.#quota = quota;
  }

  /**
   * @param sender kind and actor
   * @param time server time on the input, in ms
   */
  admit(sender: string, time: number): Admission {
    const { perSecond, burst } = this.#quota;
    let bucket = this.#buckets.get(sender);
    if (bucket === undefined) {
      bucket = { tokens: burst, at: time, refused: 0, recordedAt: 0 };
      if (this.#buckets.size >= MAX_ACTORS) this.#buckets.clear();
      this.#buckets.set(sender, bucket);
    }
    // a server's clock that was ahead for a moment must not leave a sender without quota until it gets there
    if (bucket.at - time > MAX_AHEAD_MS) Object.assign(bucket, { at: time, recordedAt: 0 });
    const elapsed = Math.max(0, time - bucket.at);
    bucket.tokens = Math.min(burst, bucket.tokens + (elapsed * perSecond) / 1000);
    bucket.at = Math.max(bucket.at, time);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return { admitted: true };
    }
    bucket.refused += 1;
    if (time - bucket.recordedAt < RECORD_EVERY_MS) return { admitted: false, record: 0 };
    const record = bucket.refused;
    bucket.refused = 0;
    bucket.recordedAt = time;
    return { admitted: false, record };
  }

  /** What was refused and is in no record yet, by sender; the caller makes the records. */
  takeRest(): [sender: string, count: number][] {
    const rest: [string, number][] = [];
    for (const [sender, bucket] of this.#buckets) {
      if (bucket.refused === 0) continue;
      rest.push([sender, bucket.refused]);
      bucket.refused = 0;
      bucket.recordedAt = bucket.at;
    }
    return rest;
  }
}
