/** Arguments for mutants of what the coordinator owns, keeps and finds again: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const SHARES: readonly Argued[] = [
  ...of(
    "services/coordinator/aggregates.ts",
    [
      "if (Buffer.compare(event.data, events[index]?.data ?? Buffer.alloc(0)) !== 0) {",
      "0", "0 + 1", "an event beyond those that are computed stands behind a first one that says another number, and differs from it before",
    ],
  ),
  ...of(
    "services/coordinator/resting.ts",
    ["const MAX_BYTES = 128 * 1024 * 1024;", "128", "128 + 1", "a default, of which no promise says how large it is: the bound itself is proven with one that is given"],
    ["const MAX_BYTES = 128 * 1024 * 1024;", "1024", "1024 + 1", "a default, of which no promise says how large it is: the bound itself is proven with one that is given"],
    ["const DICTIONARY_BYTES = 32 * 1024;", "32 * 1024", "(32) / (1024)", "deflate itself looks at no more than the last 32 KB of a dictionary: what is cut off only gives memory back"],
    ["const DICTIONARY_BYTES = 32 * 1024;", "32", "32 + 1", "deflate itself looks at no more than the last 32 KB of a dictionary: what is cut off only gives memory back"],
    ["const DICTIONARY_BYTES = 32 * 1024;", "1024", "1024 + 1", "deflate itself looks at no more than the last 32 KB of a dictionary: what is cut off only gives memory back"],
    ["#dictionary = Buffer.alloc(0);", "0", "0 + 1", "the first run that is packed makes another one before it is used"],
    [
      'const text = deflateRawSync(bytes, { level: 1, dictionary: this.#dictionary }).toString("latin1");',
      "1", "1 + 1", "how hard it is tried to make it small: what is woken is the same",
    ],
    [
      'this.#runs.set(Buffer.from(token, "latin1").toString("latin1"), { text, dictionary: this.#dictionary, share: lane.share });',
      '"latin1"', '""', "a run's token is ASCII, which is the same in every encoding",
    ],
  ),
  ...of(
    "services/coordinator/placement.ts",
    ["const INFO_MS = 5000;", "5000", "5000 + 1", "how long an answer is waited for: no promise says it to the millisecond"],
    [
      "return this.table.segments.find((one) => one.segment === segment)?.sealed === undefined;",
      "this.table.segments.find((one) => one.segment === segment)", "this.table.segments.findLast((one) => one.segment === segment)", "no two segments have one number",
    ],
    ["while (this.#reading !== undefined) await this.#reading.catch(() => undefined);", "undefined", "undefined", "the same text: nothing is changed"],
    ["await this.#reading.catch(() => undefined);", "undefined", "undefined", "the same text: nothing is changed"],
  ),
  ...of(
    "services/coordinator/live-runs.ts",
    ["this.#timer ??= setInterval(() => void this.look().catch(() => undefined), LOOK_EVERY_MS);", "undefined", "undefined", "the same text: nothing is changed"],
    ["this.#last = done.catch(() => undefined);", "undefined", "undefined", "the same text: nothing is changed"],
    ["const snapshot = file === undefined ? undefined : readLive(file, ns);", "file === undefined", "false", "a short cut: nothing can be read under no name, and what cannot be read is none"],
  ),
  ...of(
    "services/coordinator/segment-keeper.ts",
    ["export const MAX_RUNS = 500_000;", "500_000", "500_000 + 1", "a default, of which no promise says how large it is: that a number is held is proven with one that is given"],
    ["const SEAL_AFTER_MS = 3_600_000;", "3_600_000", "3_600_000 + 1", "an hour of the server's own clock, which nobody stops: a test sees it to some seconds"],
    ["const INFO_MS = 5000;", "5000", "5000 + 1", "how long an answer is waited for: no promise says it to the millisecond"],
    [
      "if (Date.parse(ts) < end + sealAfterMs) return false;",
      "Date.parse(ts) < end + sealAfterMs", "(Date.parse(ts)) <= (end + sealAfterMs)", "a millisecond of the server's own clock, which nobody stops: the next round comes to the same",
    ],
  ),
  ...of(
    "services/coordinator/share.ts",
    ["const LOOK_MS = 10;", "10", "10 + 1", "how often it is looked: no promise says it to the millisecond"],
    ["const API_TIMEOUT_MS = 5000;", "5000", "5000 + 1", "how long an answer is waited for: no promise says it to the millisecond"],
    [
      "while (!this.#stopped && this.#intakes.some(({ inHand }) => inHand > 0) && performance.now() - began < DRAIN_MS) await pause(LOOK_MS);",
      "!this.#stopped", "true", "who is stopped drops what is in hand, and nothing is in hand then",
    ],
    ["await Promise.all(intakes.map((intake) => intake.remove().catch(() => undefined)));", "undefined", "undefined", "the same text: nothing is changed"],
  ),
  ...of(
    "services/coordinator/shares.ts",
    ["...(options.process !== undefined && { process: options.process }),", "options.process !== undefined", "true", "left out or undefined, the leases find out which process this is"],
    ["this.#open.clear();", "this.#open.clear()", "undefined", "gives memory back: nobody takes or drains a share behind a stop"],
    ["this.#open.delete(number);", "this.#open.delete(number)", "undefined", "gives memory back: what has ended may be ended and forgotten once more, and nothing of it is there"],
  ),
];
