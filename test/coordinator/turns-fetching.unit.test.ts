/** What a turn needs first is fetched for its input, as long as it takes, and found or not found (laws 2 and 10). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { DocumentCorrupt, DocumentMissing } from "../../services/bus/documents.ts";
import { ReadError } from "../../services/bus/journal.ts";
import type { FactSources } from "../../services/coordinator/facts.ts";
import { documents } from "../registry/in-force.ts";
import { testIssuer } from "../harness/issuer.ts";
import { quickly } from "./quickly.ts";
import { T0, arrives, begins, bodyOf, checked, notes, scene } from "./scene.ts";
import { settled, until, turns, gate } from "./turns-alone.ts";

let hurry: ReturnType<typeof quickly>;
beforeEach(() => (hurry = quickly()));
afterEach(() => hurry.stop());
test("law 2: a document is fetched as long as it cannot be read; one that is missing or damaged is none", async () => {
  const missing = sha256Digest("missing");
  const apply = (id: string, document: string) => arrives("apply", "op", "tool:t%2Eread", { id, document });
  const away = () => Promise.reject(new ReadError("away"));
  const all = await turns({ reads: [...Array.from({ length: 21 }, () => away), () => Promise.reject(new DocumentMissing(missing)), () => Promise.reject(new DocumentCorrupt(missing, missing))] });
  await all.push(apply("a", missing));
  await until(() => all.refusals.length > 0);
  assert.deepEqual([hurry.pauses.slice(0, 2), hurry.pauses.slice(19)], [[100, 200], [2000, 2000]]);
  assert.deepEqual(all.said.map(({ level, digest, error }) => [level, digest, error]), Array.from({ length: 21 }, () => [40, missing, "ReadError: away"]));
  assert.deepEqual(all.refusals.map(({ codes }) => codes), [["document.missing"]]);
  await all.push(apply("b", missing));
  assert.deepEqual(all.refusals.map(({ codes }) => codes), [["document.missing"], ["document.missing"]]);
  assert.deepEqual(all.news().filter((what) => what === "get").length, 23);
  const stopped: Awaited<ReturnType<typeof turns>> = await turns({ reads: [() => (stopped.turns.stop(), away())] });
  await stopped.push(apply("a", missing));
  assert.deepEqual(stopped.news(), ["load tool:t%2Eread", "get"]);
});

test("ID-3: a token is verified once, for the input that brought it; one that cannot be looked at is none", async () => {
  const all = await turns();
  const start = () => checked(arrives("propose", "clerk", "clerk_1", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" }), "eyJ.no.token");
  await all.push(start());
  assert.deepEqual(all.batches.length, 1);
  const refused = bodyOf(all.batches[0]?.[0]?.events[0] as never);
  assert.equal(refused.type, "run.refused");
  assert.doesNotMatch(JSON.stringify(refused.data), /unverifiable/);
  assert.deepEqual(all.said, []);
  const issuer = testIssuer();
  await all.of.apply(...documents(JSON.stringify(issuer.document)));
  const claims = { iat: T0 / 1000 - 10, exp: T0 / 1000 + 1000 };
  await all.push(checked(arrives("propose", "clerk", "clerk_2", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" }), issuer.token({ agent: "clerk", run: "clerk_2", claims })));
  await until(() => all.batches.length > 1);
  const started = bodyOf(all.batches[1]?.[0]?.events[0] as never);
  assert.deepEqual([started.type, (started.data["facts"] as { principal?: { subject: string } }).principal?.subject], ["run.started", "kim"]);
  const broken = await turns();
  Object.defineProperty(broken.of.sources.registry, "issuers", { value: () => assert.fail("broken") });
  await broken.push(start());
  assert.match(JSON.stringify(bodyOf(broken.batches[0]?.[0]?.events[0] as never).data), /principal.unverifiable/);
  assert.deepEqual(broken.said.map(({ level, run }) => [level, run]), [[50, "clerk_1"]]);
});

test("CORE-6: the table of segments is read as long as it cannot be, before a run is placed; what was looked for elsewhere is looked for again", async () => {
  const log: string[] = [];
  const needs = { n: 1, away: 21 };
  const of = await scene();
  const { Needs } = await import("../../services/coordinator/facts.ts");
  const read = (what: string) => (time: string) => (log.push(`${what} ${time}`), needs.away-- > 0 ? Promise.reject(new ReadError("away")) : Promise.resolve());
  const ask = () => {
    if (needs.n-- > 0) throw new Needs({ table: "2026-01-31T09:30:00.000Z" });
  };
  const placement = { place: ask, facts: () => (ask(), { kind: "segments", streams: 3, lead_ms: 70_000 }), ensure: read("ensure"), refresh: read("refresh") } as unknown as NonNullable<FactSources["placement"]>;
  const all = await turns({ of, sources: { placement } });
  await all.push(begins("clerk", "clerk_1"));
  await until(() => all.batches.length > 0);
  assert.deepEqual(log.splice(0), Array.from({ length: 22 }, () => "ensure 2026-01-31T09:30:00.000Z"));
  assert.deepEqual([all.news().slice(0, 3), hurry.pauses.slice(0, 2), hurry.pauses.slice(19)], [["load clerk_1", "load clerk_1", "append 1"], [100, 200], [2000, 2000]]);
  assert.deepEqual(all.said.map(({ level, error }) => [level, error]), Array.from({ length: 21 }, () => [40, "ReadError: away"]));
  needs.n = 1;
  await all.push(arrives("control", "op", "segments:journal", { verb: "open", id: "o" }));
  assert.deepEqual([log, all.news()], [["refresh 2026-01-31T09:30:00.000Z"], ["load segments:journal", "append 1"]]);
});

test("law 10: an erasure is told when its key is destroyed, and looked up first; keys are fetched for what needs them", async () => {
  const log: string[] = [];
  const destroyed = gate();
  const subject = "0".repeat(32);
  const key = "1".repeat(16);
  const found: (() => Promise<string | undefined>)[] = [() => Promise.resolve(key), () => Promise.reject(new Error("stopped"))];
  const personal = {
    keys: {},
    erasure: (input: { body: object }) => ({ ...input, hash: sha256Digest("x"), body: { ...input.body, subject } }),
    stored: (of: string) => (log.push(`stored ${of}`), found.shift()?.()),
    destroy: (...of: string[]) => (log.push(`destroy ${of.join()}`), destroyed.promise),
    fetch: (needs: object) => (log.push(JSON.stringify(needs)), Promise.resolve()),
    seal: (_: unknown, input: { body: { text?: string } }, __: unknown, fetching: { keys(needs: object): void }) => {
      if (input.body.text === "x" && log.length < 3) fetching.keys({ keys: [] });
      return input;
    },
  } as unknown as FactSources["personal"];
  const all = await turns({ sources: { personal } });
  const done: string[] = [];
  const erase = (id: string) => arrives("control", "op", "erasure:subjects", { verb: "erase", id, subject: "kim", reason: "r" }, 1, { done });
  await all.push(erase("e"));
  assert.deepEqual([log.splice(0), done], [[`stored ${subject}`, `destroy ${subject},${key}`], []]);
  destroyed.resolve(undefined);
  await settled();
  assert.deepEqual(done, ["ack"]);
  const other = await turns({ sources: { personal } });
  await other.push(erase("f"));
  assert.deepEqual([log.splice(0), other.refusals.map(({ codes }) => codes)], [[`stored ${subject}`], [["erasure.nothing"]]]);
  const keyed = await turns({ sources: { personal } });
  await keyed.push(begins("clerk", "clerk_1"), notes("clerk_1", "n"));
  assert.deepEqual(log, Array.from({ length: 3 }, () => '{"keys":[]}'));
});
