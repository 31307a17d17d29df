/** Law 10 and AUD-3, the store's part of what is personal: inputs are taken off the disk, keys fetched and destroyed, however often the store does not answer. The server is real. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import { actor } from "../../schemas/ids.ts";
import type { KeyId } from "../../schemas/sealed.ts";
import { type StreamKind, aggregateToken, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Personal } from "../../services/coordinator/personal.ts";
import { ERASURES_NAME } from "../../services/identity/erasures-name.ts";
import { ERASER } from "../../services/identity/permissions.ts";
import { PersonalMaster } from "../../services/identity/sealing.ts";
import { KeyDamaged } from "../../services/identity/subject-keys.ts";
import type { RegistryView } from "../../services/registry/view.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { NS } from "../registry/in-force.ts";
import { message, quickly } from "./quickly.ts";

const master = new PersonalMaster(new Uint8Array(32).fill(7));
let server: TestServer;
let nc: NatsConnection;
let publisher: Publisher;
let senders: { readonly propose: Publisher; readonly decide: Publisher; readonly control: Publisher };
before(async () => {
  server = await startTestServer();
  nc = await server.connect("coordinator", "one");
  publisher = new Publisher(nc);
  const [agent, approver, operator] = await Promise.all([server.connect("agent", "clerk"), server.connect("approver", "ann"), server.connect("operator", "op")]);
  senders = { propose: new Publisher(agent), decide: new Publisher(approver), control: new Publisher(operator) };
});
after(() => server?.stop());

let said: { readonly level: string; readonly fields: Record<string, unknown> }[];
/** Told of each. */
let onSaid: (() => void) | undefined;
let marks: boolean;
let people = 0;
/** Somebody whom no other test knows. */
const somebody = () => master.pseudonym(NS, `c${++people}`);
beforeEach(() => {
  [said, marks, onSaid] = [[], true, undefined];
});
const personalOf = (given: { readonly master?: PersonalMaster } = { master }) => {
  const log = (level: string) => (fields: Record<string, unknown>) => {
    said.push({ level, fields });
    onSaid?.();
  };
  const registry = { marksPersonal: () => marks } as unknown as RegistryView;
  return new Personal({ nc, ns: NS, publisher, registry, master: given.master, log: { warn: log("warn"), error: log("error") } as unknown as Logger });
};
/** With what it is about, and stopped afterwards. */
const started = (t: { after(what: () => unknown): void }) => {
  const personal = personalOf();
  const { keys } = personal;
  assert.ok(keys);
  const quick = quickly();
  t.after(() => {
    personal.stop();
    quick.stop();
  });
  return { personal, keys, pauses: quick.pauses };
};
/** Fails as often as it is told, and does what it did then. */
function failing<T extends object, K extends keyof T>(object: T, name: K, errors: readonly Error[]): void {
  const real = (object[name] as (...args: unknown[]) => unknown).bind(object);
  const left = [...errors];
  object[name] = ((...args: unknown[]) => {
    const error = left.shift();
    return error === undefined ? real(...args) : Promise.reject(error);
  }) as T[K];
}
const away = (times = 1) => Array.from({ length: times }, () => new Error("away"));
const erased = (personal: Personal, seq: number, type: "requested" | "completed", subject: string, key: string) =>
  personal.keys?.erasures.put({ streamSeq: seq, body: { seq, type: `erasure.${type}`, at: "2026-01-31T09:30:00.000Z", data: { subject, key } } } as never);
const holds = async (stream: StreamKind, seq: number) => {
  const { error } = (await nc.request(`$JS.API.STREAM.MSG.DELETE.${streamName(stream, NS)}`, JSON.stringify({ seq }))).json<{ error?: object }>();
  return error === undefined;
};

describe("law 10: an input that may hold something personal", () => {
  const KINDS = [["propose", "clerk", "INBOX"], ["decide", "ann", "CONTROL"], ["control", "op", "CONTROL"]] as const;
  const lying = async (kind: (typeof KINDS)[number][0], by: string) => {
    const { seq } = await senders[kind].publish(subjects.input(NS, kind, actor(by), "clerk_1"), Buffer.from("{}"));
    // as the server stores it
    return { subject: `signalbox.${NS}.part.1.${kind}.${by}.clerk_1`, seq };
  };
  /** What it does when it is acknowledged, and when that is done. */
  const acknowledged = (personal: Personal, subject: string, seq: number, inHand = true) => {
    const acked = Promise.withResolvers<void>();
    personal.careful(message(subject, {}, { seq, inHand, ack: acked.resolve })).ack();
    return acked.promise;
  };

  for (const [kind, by, stream] of KINDS) {
    it(`a ${kind} is taken off the disk, and acknowledged then`, async (t) => {
      const { personal } = started(t);
      const { subject, seq } = await lying(kind, by);
      await acknowledged(personal, subject, seq);
      assert.equal(await holds(stream, seq), false);
      assert.deepEqual(said, []);
    });
  }

  it("is tried again as long as the server does not do it, a little later each time", async (t) => {
    const { personal, pauses } = started(t);
    const { subject, seq } = await lying("propose", "clerk");
    const real = nc.request.bind(nc);
    let left = 21;
    const requests = mock.method(nc, "request", (...args: Parameters<NatsConnection["request"]>) => (left-- > 0 ? Promise.reject(new Error("away")) : real(...args)));
    t.after(() => requests.mock.restore());
    await acknowledged(personal, subject, seq);
    assert.deepEqual(said, Array.from({ length: 21 }, () => ({ level: "warn", fields: { stream: "INBOX", error: "Error: away" } })));
    assert.deepEqual(pauses, Array.from({ length: 21 }, (_, n) => Math.min(2000, 100 * (n + 1))));
    assert.equal(await holds("INBOX", seq), false);
  });

  it("is left to whoever owns it by now, or comes again behind a stop", async (t) => {
    const { personal } = started(t);
    const requests = mock.method(nc, "request");
    t.after(() => requests.mock.restore());
    const { subject, seq } = await lying("propose", "clerk");
    void acknowledged(personal, subject, seq, false);
    personal.stop();
    void acknowledged(personal, subject, seq);
    assert.equal(requests.mock.callCount(), 0);
    assert.equal(await holds("INBOX", seq), true);
  });

  it("is no other kind of input, and none where nothing is marked, but for an erasure, which names its subject", () => {
    const personal = personalOf();
    const same = (kind: string, token = "clerk_1") => {
      const one = message(`signalbox.${NS}.part.1.${kind}.somebody.${token}`, {});
      return personal.careful(one) === one;
    };
    const kinds = ["propose", "decide", "control", "report", "apply", "signal"];
    assert.deepEqual(kinds.map((kind) => same(kind)), [false, false, false, true, true, true]);
    marks = false;
    assert.deepEqual([...kinds.map((kind) => same(kind)), same("control", aggregateToken("erasure", ERASURES_NAME)), same("control", "run:erasure:")], [true, true, true, true, true, true, false, true]);
  });

  it("is the same in everything else", () => {
    const done: string[] = [];
    const more = { seq: 7, redelivered: true, deliveries: 3, generation: 5, reply: "back", headers: new Map([["a", "b"]]), done };
    const one = { ...message(`signalbox.${NS}.part.1.propose.clerk.clerk_1`, { id: "p1" }, more) };
    const careful = personalOf().careful(one);
    for (const name of ["subject", "data", "headers", "seq", "time", "redelivered", "deliveries", "generation", "reply", "inHand"] as const) assert.equal(careful[name], one[name], name);
    Object.assign(one, { inHand: false });
    assert.equal(careful.inHand, false);
    careful.setAside();
    assert.deepEqual(done, ["aside"]);
  });
});

describe("law 10: keys of subjects", () => {
  it("are fetched, made where there are none, and read from the store; each however long that takes", async (t) => {
    const { personal, keys, pauses } = started(t);
    const [one, other] = [somebody(), somebody()];
    assert.equal(await personal.stored(one), undefined);
    failing(keys, "fetch", away());
    await personal.fetch({ keys: [{ subject: one, wanted: "make" }, { subject: other, wanted: "0123456789abcdef" as KeyId }] });
    const made = keys.current(one)?.id;
    assert.ok(made);
    assert.deepEqual([keys.find(other, "0123456789abcdef" as KeyId), pauses], ["gone", [100]]);
    failing(keys, "stored", away());
    assert.equal(await personal.stored(one), made);
    assert.deepEqual(said, [{ level: "warn", fields: { error: "Error: away" } }, { level: "warn", fields: { error: "Error: away" } }]);
  });

  it("are an alarm where one was wrapped with another plane's key", async (t) => {
    const { personal, keys } = started(t);
    const subject = somebody();
    failing(keys, "fetch", [new KeyDamaged("it cannot be read")]);
    await personal.fetch({ keys: [{ subject, wanted: "make" }] });
    assert.ok(keys.current(subject));
    assert.deepEqual(said, [{ level: "error", fields: { alarm: "keys", error: "KeyDamaged: it cannot be read" } }]);
  });

  it("are not read behind a stop, and who waits for one is told", async () => {
    const personal = personalOf();
    personal.stop();
    await assert.rejects(personal.stored(somebody()), /^Error: stopped before the key was read$/);
  });
});

describe("AUD-3: destroying a key", () => {
  const WORD = `signalbox.${NS}.part.*.control.${ERASER}.${aggregateToken("erasure", ERASURES_NAME)}`;
  /** The last that was said of a key that was destroyed. */
  const word = async () => {
    const last = await new StreamReader(nc, streamName("CONTROL", NS)).lastOf(WORD);
    return last && { seq: last.seq, body: JSON.parse(Buffer.from(last.data).toString()) as unknown, type: last.headers.get("content-type") };
  };
  const keyOf = async ({ personal, keys }: ReturnType<typeof started>) => {
    const subject = somebody();
    await personal.fetch({ keys: [{ subject, wanted: "make" }] });
    const key = keys.current(subject)?.id;
    assert.ok(key);
    return { subject, key };
  };

  it("is said once it is done, however long that takes; what was said is not said again", async (t) => {
    const one = started(t);
    const { subject, key } = await keyOf(one);
    failing(one.keys, "destroy", away());
    await one.personal.destroy(subject, key);
    assert.equal(await one.personal.stored(subject), undefined);
    assert.deepEqual(said, [{ level: "warn", fields: { key, error: "Error: away" } }]);
    const last = await word();
    assert.deepEqual([last?.body, last?.type], [{ verb: "destroyed", id: `destroyed.${key}`, subject, key }, "application/json"]);
    await one.personal.destroy(subject, key, true);
    assert.equal((await word())?.seq, last?.seq);
  });

  it("is not done behind a stop, and not acknowledged either", async (t) => {
    const one = started(t);
    const { subject, key } = await keyOf(one);
    one.personal.stop();
    await assert.rejects(one.personal.destroy(subject, key), /^Error: stopped before the key was destroyed$/);
    erased(one.personal, 1, "requested", subject, key);
    await one.personal.settle();
    assert.equal(await started(t).personal.stored(subject), key);
  });

  it("is done at the start of whatever was left to do, and once more of what a restored store may have back", async (t) => {
    const one = started(t);
    const [left, done] = [await keyOf(one), await keyOf(one)];
    erased(one.personal, 1, "requested", left.subject, left.key);
    erased(one.personal, 2, "requested", done.subject, done.key);
    erased(one.personal, 3, "completed", done.subject, done.key);
    await one.personal.settle();
    assert.deepEqual([await one.personal.stored(left.subject), await one.personal.stored(done.subject)], [undefined, undefined]);
    assert.deepEqual((await word())?.body, { verb: "destroyed", id: `destroyed.${left.key}`, ...left });
  });

  it("is nothing to a plane without the key for personal data", async () => {
    const bare = personalOf({});
    assert.equal(bare.keys, undefined);
    await bare.settle();
    await bare.start();
    await bare.load();
    bare.stop();
    assert.deepEqual(said, []);
  });
});

describe("AUD-3: erasures of others", () => {
  it("are heard of from the start on, carried out, and read again when it is asked; a fault in hearing of them is an alarm", async (t) => {
    const { personal, keys } = started(t);
    const subject = somebody();
    await personal.fetch({ keys: [{ subject, wanted: "make" }] });
    const key = keys.current(subject)?.id as KeyId;
    erased(personal, 1, "requested", subject, key);
    const [subscribe, destroy, load, stop] = [mock.method(nc, "subscribe"), mock.method(keys, "destroy"), mock.method(keys.erasures, "load"), mock.method(keys, "stop")];
    t.after(() => subscribe.mock.restore());
    await personal.start();
    assert.deepEqual([destroy.mock.calls.map(({ arguments: given }) => given), load.mock.callCount()], [[[{ subject, key }]], 1]);
    await personal.load();
    assert.equal(load.mock.callCount(), 2);
    const heard = subscribe.mock.calls.map(({ arguments: [, options] }) => options?.callback).find((callback) => callback !== undefined);
    heard?.(new Error("no more") as never, undefined as never);
    assert.deepEqual(said, [{ level: "error", fields: { alarm: "erasures", error: "Error: no more" } }]);
    personal.stop();
    assert.equal(stop.mock.callCount(), 1);
  });

  it("that a stop comes before are an alarm, and nothing that the start waits for", async (t) => {
    const { personal, keys } = started(t);
    erased(personal, 1, "requested", somebody(), "0123456789abcdef");
    keys.destroy = () => {
      personal.stop();
      return Promise.reject(new Error("away"));
    };
    const twice = Promise.withResolvers<void>();
    onSaid = () => said.length === 2 && twice.resolve();
    await personal.start();
    await twice.promise;
    assert.deepEqual(said.at(-1), { level: "error", fields: { alarm: "erasures", error: "Error: stopped before the key was destroyed" } });
  });
});
