/**
 * Boundaries: every message that crosses a service's connection, in either direction, is a place where its process,
 * or the server, may die. Nothing in the services knows of this: the connection that they are given is watched.
 *
 * A boundary's name says what crosses, as `out journal` or `in ack journal`; with a count since {@link Crossings.arm}
 * it is one place in a scenario.
 */
import { type ConnectOptions, type Msg, type NatsConnection, connectBus } from "../../services/bus/connection.ts";

export interface Boundary {
  /** `*` counts all crossings together. */
  readonly name: string;
  /** From 1. */
  readonly nth: number;
  /** Before: what crosses here, and everything after it, never crosses. After: it is the last that does. */
  readonly side: "before" | "after";
}

export const place = ({ name, nth, side }: Boundary) => `${side} ${name} #${nth}`;

/** Counts crossings, and lets the one that was armed be the last. */
export class Crossings {
  trace: string[] = [];
  readonly connections: NatsConnection[] = [];
  readonly #counts = new Map<string, number>();
  readonly #end: (boundary: Boundary) => "fall silent" | "go on";
  #armed: Boundary | undefined;
  #silent = false;
  #last = false;

  /** @param end called once, at the armed boundary */
  constructor(end: (boundary: Boundary) => "fall silent" | "go on") {
    this.#end = end;
  }

  /** Counts from 1 again. */
  arm(boundary: Boundary | undefined): void {
    this.#counts.clear();
    this.trace = [];
    this.#armed = boundary;
  }

  /** Whether it may cross; what has no name crosses until the end. */
  pass(name: string | undefined): boolean {
    if (this.#silent) return false;
    if (name === undefined) return true;
    const nth = this.#count(name);
    const all = this.#count("*");
    this.trace.push(`${name} #${nth}`);
    const armed = this.#armed;
    if (armed === undefined || !((armed.name === name && armed.nth === nth) || (armed.name === "*" && armed.nth === all))) return true;
    if (armed.side === "after") {
      this.#last = true;
      return true;
    }
    return !this.#fall(armed);
  }

  /** It has crossed. */
  passed(): void {
    if (!this.#last || this.#armed === undefined) return;
    this.#last = false;
    this.#fall(this.#armed);
  }

  #fall(boundary: Boundary): boolean {
    this.#armed = undefined;
    this.#silent = this.#end(boundary) === "fall silent";
    return this.#silent;
  }

  #count(name: string): number {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count;
  }
}

const NEVER = new Promise<never>(() => undefined);

/** Logs in as the services do, and has every message of the connection cross under the eyes of `crossings`. */
export async function connectWatched(crossings: Crossings, options: ConnectOptions): Promise<NatsConnection> {
  const nc = await connectBus(options);
  crossings.connections.push(nc);
  /** What is answered on these subjects. */
  const asked = new Map<string, string>();
  const incoming = (message: Msg): string | undefined => {
    const stream = /^\$JS\.ACK\.(?:[^.]+\.[^.]{8,}\.)?([A-Z]+)_/.exec(message.reply ?? "")?.[1];
    if (stream !== undefined) return `in ${stream.toLowerCase()}`;
    const question = asked.get(message.subject);
    if (question !== undefined) return question === "pull" ? undefined : `in answer ${question}`;
    const kind = message.subject.split(".")[2];
    return kind === "grant" ? "in grant" : undefined;
  };
  const watched: Partial<Record<keyof NatsConnection, unknown>> = {
    publish: (subject: string, data?: Uint8Array | string, more?: { reply?: string }) => {
      const name = nameOf(subject, data);
      if (more?.reply !== undefined) {
        if (asked.size > 10_000) asked.clear();
        asked.set(more.reply, name ?? "pull");
      }
      if (!crossings.pass(name && `out ${name}`)) return;
      nc.publish(subject, data, more);
      crossings.passed();
    },
    request: async (subject: string, data?: Uint8Array | string, more?: Parameters<NatsConnection["request"]>[2]) => {
      const name = nameOf(subject, data);
      if (!crossings.pass(name && `out ${name}`)) return NEVER;
      const answer = nc.request(subject, data, more);
      crossings.passed();
      try {
        return await answer;
      } finally {
        if (!crossings.pass(name && `in answer ${name}`)) await NEVER;
        crossings.passed();
      }
    },
    subscribe: (subject: string, more?: { callback?: (error: never, message: Msg) => void }) => {
      const { callback } = more ?? {};
      if (callback === undefined) return nc.subscribe(subject, more as object);
      return nc.subscribe(subject, {
        ...more,
        callback: (error, message) => {
          if (error === null && !crossings.pass(incoming(message))) return;
          callback(error as never, message);
          crossings.passed();
        },
      });
    },
  };
  return new Proxy(nc, {
    get: (target, property) => {
      if (property in watched) return watched[property as keyof NatsConnection];
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Undefined for what only keeps time: pulls, that something is being worked on, signs of life and who gives them. */
function nameOf(subject: string, data: Uint8Array | string | undefined): string | undefined {
  if (subject.startsWith("$JS.ACK.")) {
    const word = data === undefined ? "" : Buffer.from(data).toString();
    if (word === "+WPI") return undefined;
    return `${word === "-NAK" ? "giving back" : "done"} ${/([A-Z]+)_/.exec(subject)?.[1]?.toLowerCase() ?? ""}`;
  }
  if (subject.startsWith("$JS.API.")) {
    if (subject.includes("MSG.NEXT") || subject.includes(".LEASES_")) return undefined;
    return `api ${/^\$JS\.API\.([A-Z.]+)/.exec(subject)?.[1]?.replace(/\.[^.]*$/, "") ?? ""}`;
  }
  const kind = subject.split(".")[2] ?? "";
  if (subject.startsWith("signalbox.") && kind === "lease" && subject.split(".")[3] === "member") return undefined;
  return NAMES[kind] ?? kind;
}
const NAMES: Readonly<Record<string, string>> = { log: "journal", out: "answer", in: "report", doc: "document" };

/** Publishes that nothing answers: that they crossed is seen from no other boundary. */
export const UNANSWERED: ReadonlySet<string> = new Set(["out done inbox", "out done control", "out done timers", "out done dispatch", "out grant", "out call", "out report"]);
