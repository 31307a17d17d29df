/**
 * Reading a stream without consumers: single messages, and whole subjects in pages of batched direct gets.
 * A consumer per read leaks on the server, and the client's ordered consumer has no back-pressure.
 */
import { type Msg, type NatsConnection, NatsError, type Subscription } from "nats";
import { type HeaderMap, parseHeaderBlock, readDirectHeaders, readHeaders } from "./headers.ts";
import { ApiError, apiRequest, newInbox } from "./replies.ts";

export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  /** When the server stored it: milliseconds since the epoch, whole, however it was read. */
  readonly time: number;
  readonly headers: HeaderMap;
  /** A view into what came off the wire: copy it to keep it for long. */
  readonly data: Uint8Array;
}

export interface ReadRange {
  /** Subject to read; may have wildcards. */
  readonly subject: string;
  /** First sequence to read, 1 when left out. */
  readonly fromSeq?: number;
  /** Last sequence to read; without it, up to the end of the stream as it stands when the end is reached. */
  readonly untilSeq?: number;
  /** Messages in one request, 1,000 when left out. */
  readonly pageSize?: number;
  /** Ask the stream's leader, message by message: slow, and never stale. */
  readonly leader?: boolean;
  /** Only in this segment of a journal; a stream is one in itself. */
  readonly segment?: number;
}

export interface StreamState {
  readonly messages: number;
  readonly bytes: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The stream could not be read; asking again later may help. */
export class ReadError extends Error {
  override readonly name = "ReadError";
}

/** A page is also ended by its size, so that two pages of large messages do not fill the memory. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Silence after which a page is asked for again. */
const IDLE_MS = 2000;
/** Attempts without a single new message. */
const ATTEMPTS = 6;
const RETRY_MS = 100;
const NO_MESSAGE_FOUND = 10037;

class ConnectionLost extends Error {}

type PageEnd = { readonly more: boolean } | { readonly torn: string } | { readonly failed: string };

interface Page {
  readonly messages: StoredMessage[];
  end: PageEnd;
}

interface OpenPage {
  readonly messages: StoredMessage[];
  heardAt: number;
  finish(end: PageEnd): void;
}

export class StreamReader {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #inbox: string;
  #subscription: Subscription | undefined;
  #listening = false;
  /** Single reads under way, told when the connection is another. */
  readonly #waiting = new Set<() => void>();
  readonly #open = new Map<string, OpenPage>();
  #asked = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection, stream: string) {
    this.#nc = nc;
    this.#stream = stream;
    this.#inbox = newInbox(nc);
  }

  /** The last message of a subject as the leader knows it: after any doubt, this is the one to ask. @param _segment as in {@link ReadRange} @throws ReadError */
  lastOf(subject: string, _segment?: number): Promise<StoredMessage | undefined> {
    return this.#get({ last_by_subj: subject });
  }

  /** The last message of a subject from any server of the stream; on a replicated stream it may be stale. @throws ReadError */
  async lastDirect(subject: string): Promise<StoredMessage | undefined> {
    const answer = await this.#retried(() =>
      this.#nc.request(`$JS.API.DIRECT.GET.${this.#stream}.${subject}`, "", { timeout: IDLE_MS }),
    );
    const message = directMessage(answer);
    if (message !== undefined) return message;
    const { status, description } = readHeaders(answer);
    if (status === 404) return undefined;
    throw new ReadError(`stream \`${this.#stream}\` answered \`${status} ${description}\``);
  }

  /**
   * All messages of a subject in order. At most one page is fetched ahead of the one being consumed. Pages that are
   * torn by a time-out or a reconnect are resumed behind the last message seen.
   * @throws ReadError after several attempts without a single new message
   */
  async *read(range: ReadRange): AsyncGenerator<StoredMessage, void, undefined> {
    const untilSeq = range.untilSeq ?? Number.POSITIVE_INFINITY;
    if (range.leader === true) {
      for (let seq = range.fromSeq ?? 1; seq <= untilSeq; ) {
        const message = await this.#get({ seq, next_by_subj: range.subject });
        if (message === undefined || message.seq > untilSeq) return;
        yield message;
        seq = message.seq + 1;
      }
      return;
    }
    const pageSize = range.pageSize ?? 1000;
    const ask = (seq: number) => {
      const page = this.#resumed(range.subject, seq, pageSize);
      page.catch(() => undefined); // it is awaited later, or never when the consumer stops
      return page;
    };
    let page = await ask(range.fromSeq ?? 1);
    for (;;) {
      const last = page.messages.at(-1)?.seq;
      const ahead = last !== undefined && last < untilSeq && "more" in page.end && page.end.more ? ask(last + 1) : undefined;
      for (const message of page.messages) {
        if (message.seq > untilSeq) return;
        yield message;
      }
      if (ahead === undefined) return;
      page = await ahead;
    }
  }

  /** Size and ends of the stream. @throws ReadError */
  async info(): Promise<StreamState> {
    const answer = await this.#retried(() => apiRequest(this.#nc, `STREAM.INFO.${this.#stream}`, undefined, IDLE_MS));
    const state = answer["state"] as { messages: number; bytes: number; first_seq: number; last_seq: number };
    return { messages: state.messages, bytes: state.bytes, firstSeq: state.first_seq, lastSeq: state.last_seq };
  }

  async #get(request: Record<string, unknown>): Promise<StoredMessage | undefined> {
    try {
      const answer = await this.#retried(() => apiRequest(this.#nc, `STREAM.MSG.GET.${this.#stream}`, request, IDLE_MS));
      const message = answer["message"] as { subject: string; seq: number; time: string; hdrs?: string; data?: string };
      return {
        subject: message.subject,
        seq: message.seq,
        time: Date.parse(message.time),
        headers: parseHeaderBlock(Buffer.from(message.hdrs ?? "", "base64")).headers,
        data: Buffer.from(message.data ?? "", "base64"),
      };
    } catch (error) {
      if (error instanceof ReadError && error.cause instanceof ApiError && error.cause.code === NO_MESSAGE_FOUND) return undefined;
      throw error;
    }
  }

  /** One page; whatever tears it is asked for again behind the last message that came. */
  async #resumed(subject: string, fromSeq: number, size: number): Promise<Page> {
    const messages: StoredMessage[] = [];
    let why = "";
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > 0) await delay(RETRY_MS * attempt);
      const page = await this.#page(subject, (messages.at(-1)?.seq ?? fromSeq - 1) + 1, size - messages.length);
      messages.push(...page.messages);
      if ("failed" in page.end) throw new ReadError(`stream \`${this.#stream}\` can not be read: ${page.end.failed}`);
      if ("more" in page.end) return { messages, end: page.end };
      if (page.messages.length > 0) attempt = 0;
      if (messages.length >= size) return { messages, end: { more: true } };
      why = page.end.torn;
    }
    throw new ReadError(`stream \`${this.#stream}\` did not answer in \`${ATTEMPTS}\` attempts: ${why}`);
  }

  /** Tries a single read again while the server is away. @throws ReadError with the last failure as its cause */
  async #retried<T>(request: () => Promise<T>): Promise<T> {
    this.#listen();
    for (let attempt = 1; ; attempt++) {
      try {
        return await new Promise<T>((resolve, reject) => {
          const lost = () => reject(new ConnectionLost("the connection was lost"));
          this.#waiting.add(lost);
          request()
            .then(resolve, reject)
            .finally(() => this.#waiting.delete(lost));
        });
      } catch (cause) {
        if (attempt >= ATTEMPTS || !isTransient(cause)) throw new ReadError((cause as Error).message, { cause });
        await delay(RETRY_MS * attempt);
      }
    }
  }

  #page(subject: string, seq: number, size: number): Promise<Page> {
    this.#subscribe();
    const token = (++this.#asked).toString(36);
    return new Promise((resolve) => {
      const messages: StoredMessage[] = [];
      const finish = (end: PageEnd) => {
        this.#open.delete(token);
        if (this.#open.size === 0) {
          clearInterval(this.#timer);
          this.#timer = undefined;
        }
        resolve({ messages, end });
      };
      this.#open.set(token, { messages, heardAt: performance.now(), finish });
      this.#timer ??= setInterval(() => this.#expire(), IDLE_MS / 4);
      const request = { seq, batch: size, max_bytes: MAX_PAGE_BYTES, next_by_subj: subject };
      try {
        this.#nc.publish(`$JS.API.DIRECT.GET.${this.#stream}`, JSON.stringify(request), { reply: `${this.#inbox}.${token}` });
      } catch (error) {
        finish({ failed: (error as Error).message });
      }
    });
  }

  #onMessage(message: Msg): void {
    const page = this.#open.get(message.subject.slice(this.#inbox.length + 1));
    if (page === undefined) return;
    const stored = directMessage(message);
    if (stored !== undefined) {
      page.heardAt = performance.now();
      page.messages.push(stored);
      return;
    }
    const { status, description, headers } = readHeaders(message);
    if (status === 204) {
      page.finish({ more: Number(headers.get("Nats-Num-Pending") ?? 0) > 0 });
    } else if (status === 404) {
      page.finish({ more: false });
    } else if (status === 503) {
      page.finish({ torn: "no server answers for it" });
    } else {
      page.finish({ failed: `\`${status} ${description}\`` });
    }
  }

  #expire(): void {
    const oldest = performance.now() - IDLE_MS;
    for (const page of this.#open.values()) if (page.heardAt < oldest) page.finish({ torn: "time-out" });
  }

  #subscribe(): void {
    this.#listen();
    if (this.#subscription !== undefined) return;
    this.#subscription = this.#nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
      },
    });
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    void this.#watch();
    void this.#nc.closed().then(() => this.#finishAll({ failed: "the connection is closed" }));
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      // What was asked for over the old connection will not be answered over the new one.
      if (status.type === "reconnect") {
        this.#finishAll({ torn: "the connection was lost" });
        for (const lost of this.#waiting) lost();
      }
      const denied = status.type === "error" ? status.permissionContext : undefined;
      if (denied?.operation === "publish" && denied.subject === `$JS.API.DIRECT.GET.${this.#stream}`) {
        this.#finishAll({ failed: "this credential may not read it" });
      }
    }
  }

  #finishAll(end: PageEnd): void {
    for (const page of this.#open.values()) page.finish(end);
  }
}

function directMessage(message: Msg): StoredMessage | undefined {
  const direct = readDirectHeaders(message);
  if (direct === undefined) return undefined;
  const { subject, seq, time, headers } = direct;
  return { subject, seq, time: Date.parse(time), headers, data: message.data };
}

function isTransient(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  if (error instanceof ApiError) return error.status === 503 || error.status === 429;
  return error instanceof NatsError && (error.code === "TIMEOUT" || error.code === "503" || error.code === "DISCONNECT");
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
