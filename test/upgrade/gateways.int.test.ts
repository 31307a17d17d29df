/**
 * Gateways of two releases beside each other: the older one knows no probes. It is this program, on a connection that
 * gives the member `probe` of a dispatch a name that no release knows; so it meets what the older one met.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { actor } from "../../schemas/ids.ts";
import { patterns } from "../../schemas/subjects.ts";
import type { Msg, NatsConnection } from "../../services/bus/connection.ts";
import type { Adapter } from "../../services/gateway/adapters/adapter.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { startTestPlane } from "../harness/plane.ts";

const TOOL = {
  name: "c.asked", description: "of the tests", effect: "write", adapter: "builtin", timeout_ms: 50, retries: 2,
  probe: { timeout_ms: 100, tries: 5 }, input: { type: "object" }, output: {},
} as const;
const CONTRACT = { agent: { name: "clerk", owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: TOOL.name }] } };
const RUN = "clerk_r1";

test("EXEC-7 law 5: a question about an attempt that a gateway of an older release is given is neither answered nor taken for the attempt; a newer one that joins is asked", { timeout: 60_000 }, async (t) => {
  const plane = await startTestPlane();
  t.after(() => plane.stop());
  await plane.coordinator();
  await plane.applyValues([TOOL, CONTRACT], `@id("all") permit (principal, action, resource);\n`);
  const calls: string[] = [];
  const questions: string[] = [];
  const adapter = (who: string): Adapter => ({
    call: async ({ run, attempt }) => {
      calls.push(`${who} ${run} ${attempt}`);
      if (run === RUN) throw new Error("the answer is lost behind its effect");
      return { ok: true, output: { by: who } };
    },
    probe: async () => {
      questions.push(who);
      return { found: "done", output: { by: "the first call" } };
    },
  });
  const gateway = async (name: string, nc: NatsConnection): Promise<Gateway> => {
    const life = new Gateway({ nc, ns: plane.ns, name: actor(name), adapters: { builtin: adapter(name) } });
    await life.start();
    t.after(() => life.stop(0));
    return life;
  };
  const older = olderThanProbes(await plane.server.connect("gateway", "old"));
  const old = await gateway("old", older.nc);
  const clerk = await plane.agent("clerk");
  const begin = (run: string) => clerk.propose(run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "g" });
  const types = async () => (await plane.events(RUN)).map(({ body }) => body.type as string);

  // only the older one is there: the question lapses, and nothing happens
  await begin(RUN);
  const auditor = await plane.server.connect("auditor", "onlooker");
  await clerk.send("propose", RUN, { kind: "tool", id: "p1", tool: TOOL.name, input: {} });
  const happened = async (type: string) => {
    const live = auditor.subscribe(patterns.liveOfKind(plane.ns, "run"));
    await auditor.flush();
    if ((await types()).includes(type)) live.unsubscribe();
    else for await (const message of live) if (message.headers?.get("ce-type") === `signalbox.${type}` && message.subject.endsWith(RUN)) break;
  };
  await happened("action.probed");
  assert.ok(older.met() >= 1, "the older one was given a question");
  assert.deepEqual([calls, questions], [[`old ${RUN} 1`], []]);
  const lapsed = (await plane.events(RUN)).find(({ body }) => body.type === "action.probed");
  assert.equal(lapsed?.body.data["found"], "unanswered");

  // beside each other either carries out what both know
  await gateway("new", await plane.server.connect("gateway", "new"));
  const others = Array.from({ length: 20 }, (_, n) => `clerk_other${n}`);
  await Promise.all(others.map(begin));
  const outputs = await Promise.all(others.map((run) => clerk.propose(run, { kind: "tool", id: "p1", tool: TOOL.name, input: {} }, ({ final }) => final)));
  assert.deepEqual([...new Set(outputs.map(({ status }) => status))], ["succeeded"]);
  const byRun = calls.map((call) => call.split(" ")[1]).filter((run) => run !== RUN);
  assert.deepEqual(byRun.toSorted(), others.toSorted(), "each was called once, by either");

  // and the older one is replaced: the next question is answered
  await old.stop();
  await happened("action.verified");
  const answer = await clerk.propose(RUN, { kind: "tool", id: "p1", tool: TOOL.name, input: {} }, ({ final }) => final);
  assert.deepEqual([answer.status, answer.output, questions], ["succeeded", { by: "the first call" }, ["new"]]);
  assert.equal(calls.filter((call) => call.includes(RUN)).length, 1, "the call was made once");
  assert.ok(!(await types()).includes("action.retrying"));
});

/** @returns the connection, and how many questions went through it */
function olderThanProbes(nc: NatsConnection): { nc: NatsConnection; met: () => number } {
  let met = 0;
  const subscribe: NatsConnection["subscribe"] = (subject, options) =>
    nc.subscribe(subject, {
      ...options,
      ...(options?.callback && {
        callback: (error: Parameters<NonNullable<typeof options.callback>>[0], message: Msg) => {
          const text = error === null ? Buffer.from(message.data).toString("utf8") : "";
          const asks = /"probe":\d/.test(text);
          if (asks) met += 1;
          options.callback?.(error, asks ? Object.create(message, { data: { value: Buffer.from(text.replace(/"probe":(\d)/, '"later":$1')) } }) as Msg : message);
        },
      }),
    });
  const proxy = new Proxy(nc, {
    get(target, name) {
      if (name === "subscribe") return subscribe;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  return { nc: proxy, met: () => met };
}
