/** Whose data was erased, as the journal says: what holds whatever a store says that was restored from last week. */
import type { EventBody, EventData } from "../../schemas/event.ts";
import type { KeyId, Pseudonym } from "../../schemas/sealed.ts";
import { type JournalEvent, decodeEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";

/** A key that is to be destroyed, or was. */
export interface Erasure {
  readonly subject: Pseudonym;
  readonly key: KeyId;
}

export class Erasures {
  readonly #read: (fromSeq: number) => AsyncIterable<StoredMessage>;
  readonly #keys = new Map<KeyId, Erasure & { completed: boolean }>();
  readonly #subjects = new Map<Pseudonym, string>();
  readonly #onErased: (erasure: Erasure) => void;
  #seq = 0;
  #streamSeq = 0;

  /**
   * @param read the journal's erasures, from a sequence of the stream on
   * @param onErased told once of each, as soon as it is known here
   */
  constructor(read: (fromSeq: number) => AsyncIterable<StoredMessage>, onErased: (erasure: Erasure) => void) {
    this.#read = read;
    this.#onErased = onErased;
  }

  has(key: KeyId): boolean {
    return this.#keys.has(key);
  }

  /** When the subject was erased last; what was said before is not kept any more. */
  erasedAt(subject: Pseudonym): string | undefined {
    return this.#subjects.get(subject);
  }

  all(): readonly (Erasure & { readonly completed: boolean })[] {
    return [...this.#keys.values()];
  }

  /** Reads what was added to the journal since. @throws ReadError, EventMalformed */
  async load(): Promise<void> {
    for await (const message of this.#read(this.#streamSeq + 1)) this.put(decodeEvent(message));
  }

  /** Takes the next event over. False when there is a gap before it: {@link load} fills it. */
  put({ body, streamSeq }: Pick<JournalEvent, "body" | "streamSeq">): boolean {
    if (body.seq > this.#seq + 1) return false;
    this.#streamSeq = Math.max(this.#streamSeq, streamSeq);
    if (body.seq <= this.#seq) return true;
    this.#seq = body.seq;
    this.#apply(body);
    return true;
  }

  #apply({ type, data, at }: EventBody): void {
    if (type !== "erasure.requested" && type !== "erasure.completed") return;
    const { subject, key } = data as EventData<"erasure.completed">;
    if (type === "erasure.completed") {
      const known = this.#keys.get(key);
      if (known !== undefined) known.completed = true;
      return;
    }
    this.#subjects.set(subject, at);
    this.#keys.set(key, { subject, key, completed: false });
    this.#onErased({ subject, key });
  }
}
