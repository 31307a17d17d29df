/** Journals that some version ever wrote are replayed for ever: a machine that changed needs a version of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CURRENT_VERSION, machineVersion } from "../../machines/versions.ts";
import { EVENT_TYPES, eventData, premiseSchema } from "../../schemas/event.ts";
import { namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { EMPTY_CHAIN, seal } from "../../services/bus/commit.ts";
import { beginning, type Computed, commits, recomputed, type StoredCommit } from "../../services/replay/fold.ts";
import { changed, digestsListed, digestsNow } from "./digests.ts";
import { type History, histories, recordedVersions, storedEvents } from "./history.ts";

/** The one step of a replay, whatever the aggregate. */
function replayer({ subject, machine }: History): { aggregate: Parameters<typeof seal>[0]; compute: (stored: StoredCommit) => Computed } {
  const address = parseLog(subject);
  const version = machineVersion(machine);
  assert.ok(address && version, `version \`${machine}\` is gone`);
  const { kind, name } = address;
  const ns = namespace(address.ns);
  const driven = beginning(ns, kind, name, machine, version);
  return { aggregate: { ns, kind, name }, compute: (stored) => recomputed(driven, stored) };
}

function replay(history: History): void {
  const { aggregate, compute } = replayer(history);
  let head = EMPTY_CHAIN;
  for (const stored of commits(storedEvents(history))) {
    assert.ok(stored.complete);
    const computed = compute(stored);
    const sealed = seal(aggregate, head, computed.content);
    for (const [index, { body, data }] of stored.events.entries()) {
      const again = sealed.events[index];
      assert.ok(again, `event ${body.seq}, \`${body.type}\`, was recorded, and is not computed any more`);
      assert.deepEqual(computed.drafts[index]?.type, body.type, `event ${body.seq}`);
      assert.ok(Buffer.compare(again.data, data) === 0, `event ${body.seq}, \`${body.type}\`, has other bytes:\n${JSON.stringify(computed.drafts[index])}\n${JSON.stringify(body)}`);
    }
    assert.equal(sealed.events.length, stored.events.length, `after event ${stored.first.seq}`);
    computed.apply();
    head = sealed.head;
  }
}

for (const version of recordedVersions()) {
  for (const history of histories(version)) {
    test(`CORE-6 law 5: v${version}/${history.name} replays byte for byte`, () => {
      assert.equal(history.machine, version);
      assert.ok(history.events.length > 0);
      replay(history);
    });
  }
}

test("the current version has histories, and they hold every event type", () => {
  assert.ok(recordedVersions().includes(CURRENT_VERSION));
  const events = histories(CURRENT_VERSION).flatMap(storedEvents);
  const types = new Set(events.map(({ body }) => body.type));
  assert.deepEqual(EVENT_TYPES.filter((type) => !types.has(type)), []);
});

test("CORE-6 law 5: what some version recorded is never edited, taken away, or added without being listed", () => {
  assert.deepEqual(changed(digestsListed(), digestsNow()), { edited: [], gone: [], unlisted: [] });
  assert.deepEqual(changed({ a: "1", b: "2" }, { a: "3", c: "4" }), { edited: ["a"], gone: ["b"], unlisted: ["c"] });
});

test("recorded events are what the schemas say, premise included", () => {
  for (const { body } of histories(CURRENT_VERSION).flatMap(storedEvents)) {
    const { input, input_hash, facts, ...own } = body.data;
    assert.equal(input !== undefined, body.part[0] === 1);
    if (body.part[0] === 1) premiseSchema.parse({ input, input_hash, facts });
    eventData[body.type].parse(own);
  }
});

test("CORE-6: a history of which one byte is another does not replay", () => {
  const [history] = histories(CURRENT_VERSION).filter(({ name }) => name === "allowed-and-verified");
  assert.ok(history);
  const changed = history.events.map((text, index) => {
    if (index !== 2) return text;
    const bytes = Buffer.from(text, "base64");
    bytes.write("crm.updata", bytes.indexOf("crm.update"));
    return bytes.toString("base64");
  });
  assert.throws(() => replay({ ...history, events: changed }));
});
