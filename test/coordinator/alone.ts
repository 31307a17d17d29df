/** A coordinator whose connection says what a test has it say, and whose parts a test looks at. */
import assert from "node:assert/strict";
import { mock } from "node:test";
import type { Logger } from "pino";
import type { AggregateKind } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Msg, NatsConnection, Subscription } from "../../services/bus/connection.ts";
import { Coordinator, type CoordinatorOptions } from "../../services/coordinator/coordinator.ts";
import { Shares } from "../../services/coordinator/shares.ts";
import { withPatience } from "../harness/plane.ts";
import { JournalWriter, NS } from "../projection/journal.ts";

type Method = (...args: never[]) => unknown;
const undone: (() => void)[] = [];
/** Until {@link restored}; what is replaced twice is what it was before both. */
export function replaced(object: object, name: string, instead: Method, getter = false) {
  const mocked = mock.method(object as Record<string, Method>, name, instead, { getter });
  undone.push(() => mocked.mock.restore());
  return mocked;
}
export function restored(): void {
  for (const undo of undone.splice(0).reverse()) undo();
}

export const settled = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};
/** Resolves when this method was called so often; calls it nevertheless, or this instead. */
export function spy(prototype: object, name: string, instead?: Method) {
  const real = (prototype as Record<string, Method>)[name] as Method;
  const waiting: { readonly times: number; readonly resolve: () => void }[] = [];
  const spied = replaced(prototype, name, function (this: object, ...args: never[]) {
    const result = (instead ?? real).apply(this, args);
    setImmediate(() => waiting.forEach(({ times, resolve }) => spied.mock.callCount() >= times && resolve()));
    return result;
  });
  const calls = () => spied.mock.calls.map((call) => call.arguments as unknown[]);
  return {
    calls,
    count: () => spied.mock.callCount(),
    self: <T>() => spied.mock.calls[0]?.this as T,
    reached: (times: number) =>
      withPatience(
        new Promise<void>((resolve) => {
          waiting.push({ times, resolve });
          if (spied.mock.callCount() >= times) resolve();
        }),
        `\`${name}\` is called ${times} times`,
      ),
  };
}

type Callback = (error: Error | null, message: Msg) => void;
/** Its shares are taken by nobody: `shares` is what is asked of them. */
export interface Alone {
  readonly coordinator: Coordinator;
  readonly told: { readonly level: string; readonly fields: Record<string, unknown> }[];
  readonly shares: { certain: boolean; owned: Set<number>; common: string; sure: boolean; begin: () => Promise<void> };
  /** What it hears of this kind. */
  hear(kind: AggregateKind, error: Error | null, message?: Partial<Msg>): void;
  readonly subscriptions: Subscription[];
  status(type: string): Promise<void>;
}
export function alone(nc: NatsConnection, options: Partial<CoordinatorOptions> = {}): Alone {
  const told: Alone["told"] = [];
  const subscriptions: Subscription[] = [];
  const callbacks = new Map<string, Callback>();
  const watching: { push(status: object): void }[] = [];
  const shares: Alone["shares"] = { certain: true, owned: new Set([3]), common: "3", sure: true, begin: () => Promise.resolve() };
  replaced(Shares.prototype, "start", () => shares.begin());
  replaced(Shares.prototype, "sure", () => Promise.resolve(shares.sure));
  replaced(Shares.prototype, "certain", () => shares.certain, true);
  replaced(Shares.prototype, "owned", () => shares.owned, true);
  replaced(Shares.prototype, "commonMachine", () => shares.common, true);
  const subscribe: NatsConnection["subscribe"] = (subject, more = {}) => {
    const subscription = nc.subscribe(subject, more);
    const kind = /\.live\.([a-z-]+)\.>$/.exec(subject)?.[1];
    if (kind !== undefined && more.callback !== undefined) {
      callbacks.set(kind, more.callback as Callback);
      subscriptions.push(subscription);
    }
    return subscription;
  };
  async function* status() {
    const queue: object[] = [];
    let wake: () => void = () => undefined;
    watching.push({
      push: (one) => {
        queue.push(one);
        wake();
      },
    });
    for (;;) {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) yield one;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const line = new Proxy(nc, {
    get(target, key) {
      if (key === "subscribe") return subscribe;
      if (key === "status") return status;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  const note = (level: string) => (fields: Record<string, unknown>) => void told.push({ level, fields });
  const log = {
    child: (fields: object) => {
      assert.deepEqual(fields, { service: "coordinator", ns: NS });
      return { info: note("info"), warn: note("warn"), error: note("error"), debug: note("debug") };
    },
  } as unknown as Logger;
  return {
    coordinator: new Coordinator({ nc: line, ns: NS, log, ...options }),
    told,
    shares,
    subscriptions,
    hear: (kind, error, heard = {}) => callbacks.get(kind)?.(error, { subject: "", data: new Uint8Array(), _msg: { hdr: 0 }, _rdata: Buffer.alloc(0), ...heard } as unknown as Msg),
    status: async (type) => {
      for (const one of watching) one.push({ type });
      await settled();
    },
  };
}

/** The event as it is heard live. */
export function live(kind: AggregateKind, name: string, data: object): { subject: string; data: Uint8Array } {
  const [event] = new JournalWriter().seal(kind, name, [{ type: kind === "guard" ? "guard.stopped" : `${kind}.applied`, data: { ...data } } as never]);
  assert.ok(event !== undefined);
  return { subject: subjects.live(NS, kind, name), data: event.data };
}
/** With a header, as it stands in front of the body on the wire. */
export const encoded = (name: string, value: string): Partial<Msg> => {
  const block = Buffer.from(`NATS/1.0\r\n${name}: ${value}\r\n\r\n`);
  return { _msg: { hdr: block.length }, _rdata: block } as unknown as Partial<Msg>;
};
