/**
 * Runs at rest: folded runs that nothing waits for, kept small. A run whose agent thinks for half a minute need not be
 * read from the journal again, and a graph of objects for each would fill the memory: after eight actions it takes some
 * 17 KB, packed 1.4 KB (`npm run bench` measures it). What runs have in common (names, digests of documents, kinds of
 * events) is in the dictionary that they are packed with, and costs each of them next to nothing.
 *
 * Measured before choosing: structured serialisation keeps maps, sets and what is undefined exactly as they are, in 50 µs
 * for eight actions; deflating with a dictionary takes 50 µs more at its lowest level and makes a tenth of it. Higher
 * levels gain 4 %. A string of single bytes holds it with 16 bytes of overhead, a buffer with 200.
 *
 * Nothing here is durable or needed: what is forgotten is folded again (law 4).
 */
import { deserialize, serialize } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { RUN_ENDED } from "../../machines/run.ts";
import type { Loaded } from "./aggregates.ts";
import { Recent } from "./recent.ts";

/** What of a lane goes to rest. */
export interface Restable {
  readonly token: string;
  readonly share: number;
  loaded: Loaded | undefined;
  issued: Set<string>;
  readonly suspect: boolean;
  readonly frozen: Error | undefined;
  readonly careful: number;
}

interface Packed {
  readonly text: string;
  readonly dictionary: Buffer;
  readonly share: number;
}

/** In bytes of packed runs: sixty thousand and more. Beyond it those that rested longest are forgotten. */
const MAX_BYTES = 128 * 1024 * 1024;
/** As much as deflate looks back. */
const DICTIONARY_BYTES = 32 * 1024;
/** Runs change with their agents and documents, and so does what they have in common. Each dictionary lasts for so many. */
const PACKED_PER_DICTIONARY = 4096;
/** The first is of a single run; the next, of several agents', comes soon. */
const FIRST_PACKED = 32;
/** It is made of the runs that were packed last. */
const SAMPLES = 12;

/** A run that has ended, and in which nothing can happen any more. */
export function isOver(loaded: Loaded): boolean {
  if (loaded.kind !== "run") return false;
  const { life, open, signals } = loaded.state;
  return RUN_ENDED.has(life.value) && open.size === 0 && signals.size === 0;
}

export class RestingRuns {
  readonly #runs = new Map<string, Packed>();
  readonly #maxBytes: number;
  readonly #samples: Buffer[] = [];
  #dictionary = Buffer.alloc(0);
  #packed = 0;
  #bytes = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Packed, without what the map itself takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Puts a run to rest. What is better folded again is not kept: an ended run, any other aggregate, what is in doubt. */
  put(lane: Restable): void {
    const { token, loaded, issued, suspect, frozen, careful } = lane;
    if (loaded?.kind !== "run" || isOver(loaded) || suspect || frozen !== undefined || careful > 0) return;
    let bytes: Buffer;
    try {
      const { recent, ...rest } = loaded;
      bytes = serialize({ ...rest, recent: recent.entries(), issued });
    } catch {
      // a state that cannot be copied is none of ours; whatever it is, folding again is right
      return;
    }
    this.#drop(token);
    this.#renew(bytes);
    const text = deflateRawSync(bytes, { level: 1, dictionary: this.#dictionary }).toString("latin1");
    // a token that was cut out of a subject holds on to all of it
    this.#runs.set(Buffer.from(token, "latin1").toString("latin1"), { text, dictionary: this.#dictionary, share: lane.share });
    this.#bytes += text.length;
    for (const oldest of this.#runs.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  /** Gives a new lane what rested under its token, exactly as it was. */
  wake(lane: Restable): void {
    const packed = this.#runs.get(lane.token);
    if (packed === undefined) return;
    this.#drop(lane.token);
    const bytes = inflateRawSync(Buffer.from(packed.text, "latin1"), { dictionary: packed.dictionary });
    const { issued, recent, ...rest } = deserialize(bytes) as Omit<Loaded, "recent"> & { issued: Set<string>; recent: ReturnType<Recent["entries"]> };
    lane.loaded = { ...rest, recent: new Recent(recent) } as Loaded;
    lane.issued = issued;
  }

  /** Forgets the runs of a share: another one owns it, or did for a while. */
  forget(share: number): void {
    for (const [token, packed] of this.#runs) if (packed.share === share) this.#drop(token);
  }

  #drop(token: string): void {
    const packed = this.#runs.get(token);
    if (packed === undefined) return;
    this.#runs.delete(token);
    this.#bytes -= packed.text.length;
  }

  #renew(bytes: Buffer): void {
    this.#samples.push(bytes);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const count = this.#packed++;
    if (count % PACKED_PER_DICTIONARY === 0 || count === FIRST_PACKED) this.#dictionary = Buffer.concat(this.#samples).subarray(-DICTIONARY_BYTES);
  }
}
