/** An input in somebody's hands. */
import type { Msg } from "nats";
import { parseAckSubject } from "./ack-subject.ts";
import { type HeaderMap, readHeaders } from "./headers.ts";

export interface IntakeMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: HeaderMap;
  /** Sequence in the stream. Within a generation it only grows. */
  readonly seq: number;
  /** When the server stored it: whole milliseconds since the epoch. */
  readonly time: number;
  readonly redelivered: boolean;
  /** Counted by this generation's consumer: 1, since a second delivery ends the generation. */
  readonly deliveries: number;
  readonly generation: number;
  readonly reply: string;
  /** False once its generation has ended: it comes again, here or to another owner. */
  readonly inHand: boolean;
  /** Removes the input from the stream. Does nothing when its generation has ended. */
  ack(): void;
  /** Leaves it in the stream, unacknowledged, for an owner that can do something with it; others are handed out in its place. */
  setAside(): void;
}

/** Who hands inputs out, and is told what became of them. */
export interface Keeper {
  has(item: Item): boolean;
  acknowledge(item: Item): void;
  keepAside(item: Item): void;
}

export class Item implements IntakeMessage {
  readonly #keeper: Keeper;
  readonly #message: Msg;
  #headers: HeaderMap | undefined;
  readonly reply: string;
  readonly generation: number;
  readonly seq: number;
  /** Its place among the consumer's deliveries, from 1. */
  readonly nth: number;
  readonly time: number;
  readonly deliveries: number;
  /** When to tell the server that it is still being worked on, on the monotonic clock. */
  extendAt: number;

  constructor(keeper: Keeper, message: Msg, reply: string, generation: number, extendAt: number) {
    this.#keeper = keeper;
    this.#message = message;
    this.reply = reply;
    this.generation = generation;
    this.extendAt = extendAt;
    const { seq, nth, time, deliveries } = parseAckSubject(reply);
    this.seq = seq;
    this.nth = nth;
    this.time = time;
    this.deliveries = deliveries;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get headers(): HeaderMap {
    return (this.#headers ??= readHeaders(this.#message).headers);
  }

  get redelivered(): boolean {
    return this.deliveries > 1;
  }

  get inHand(): boolean {
    return this.#keeper.has(this);
  }

  ack(): void {
    this.#keeper.acknowledge(this);
  }

  setAside(): void {
    this.#keeper.keepAside(this);
  }
}
