import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emptyRun, type RunState } from "../../machines/state.ts";
import { actionId, type ActionId, namespace, runId } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sourcesOf } from "../../services/policy/sources.ts";
import { folded } from "../../services/policy/scan/fold.ts";

/** A run that was given these outputs, the first by action a3; all of them marked, unless `marked` says which. */
function runWith(outputs: readonly JsonValue[], marked?: readonly number[]): RunState {
  const state = emptyRun(namespace("default"), runId("support_1"), "2");
  const sources: ActionId[] = [];
  outputs.forEach((output, index) => {
    const id = actionId(3 + index);
    // what is matched is the output alone
    state.actions.set(id, { value: "verified", context: { id, output } } as never);
    if (marked === undefined || marked.includes(index)) sources.push(id);
  });
  state.marks = { tainted: true, labels: [], sources };
  return state;
}

const found = (outputs: readonly JsonValue[], input: JsonValue, uses?: string[]) => sourcesOf(runWith(outputs), { input, ...(uses && { uses }) });

const TICKET = { ticket_id: "T-1", subject: "Charged twice", body: "Hello, I was charged twice for order ORD-10012.\nPlease refund to DE89 3704 0044 0532 0130 00. Thanks, Mrs. Müller", customer: "cus_98765" };

describe("GUARD-3: an input rests on an output whose content it holds, whatever the agent says", () => {
  const rests: [string, JsonValue, JsonValue][] = [
    ["a whole value taken over", TICKET, { customer: "cus_98765" }],
    ["a part of a longer text", TICKET, { note: "the customer was charged twice for order X" }],
    ["a short value of the output within a longer text", TICKET, { note: "id=cus_98765!" }],
    ["a short value of the input within a longer text", TICKET, { order: "ORD-10012" }],
    ["other case, other white space, other line breaks", TICKET, { note: "PLEASE   REFUND\n TO de89" }],
    ["invisible characters between the letters", TICKET, { note: [..."please refund to"].join("\u200b") }],
    ["compatibility forms and accents", TICKET, { note: "ｔｈａｎｋｓ， ｍｒｓ． mu\u0308ller" }],
    ["a number that stood in a text", { text: "invoice 4711001 is open" }, { invoice: 4711001 }],
    ["a text that was a number", { invoice: 4711001 }, { ref: "R4711001" }],
    ["a number written in groups", { iban: "DE89 3704 0044 0532 0130 00" }, { account: "89370400440532013000" }],
    ["a value out of JSON in a string", { content: '{"pay":{"to":"acme\\u002dgmbh-7"}}' }, { to: "acme-gmbh-7" }],
    ["JSON in a string of the input", { to: "acme-gmbh/é7" }, { body: '{"to":"acme-gmbh\\/\\u00e97"}' }],
    ["the name of a member", { "send money to bob": true }, { what: "send money to bob" }],
    ["a name of a member of the input", { city: "Freiburg im Breisgau" }, { "freiburg im breisgau": 1 }],
  ];
  for (const [what, output, input] of rests) test(what, () => assert.deepEqual(found([output], input), ["a3"]));

  const free: [string, JsonValue, JsonValue][] = [
    ["nothing in common", TICKET, { query: "weather in Oslo tomorrow" }],
    ["common words shorter than eight characters", TICKET, { note: "twice" }],
    ["eleven characters in a row of longer texts", { text: "xx abcdefghijk yy" }, { text: "vv abcdefghijk ww".replace(" abcdefghijk ", "-abcdefghijk-") }],
    ["short numbers", { n: 12345 }, { n: 12345 }],
    ["pieces of two different strings", { a: "first half", b: "other half" }, { a: "half" }],
  ];
  for (const [what, output, input] of free) test(`not: ${what}`, () => assert.deepEqual(found([output], input), []));

  test("of several outputs those whose content it is, oldest first", () => {
    const outputs = ["alpha beta gamma delta", "epsilon zeta eta theta", "alpha beta and zeta eta theta"];
    assert.deepEqual(found(outputs, "zeta eta theta"), ["a4", "a5"]);
    assert.deepEqual(found(outputs, "alpha beta"), ["a3", "a5"]);
  });

  test("what `uses` names is added when it is marked, and is nothing otherwise", () => {
    const state = runWith(["alpha beta gamma", "a trusted answer"], [0]);
    assert.deepEqual(sourcesOf(state, { input: "x", uses: ["a3", "a4", "a99", "__proto__"] }), ["a3"]);
    assert.deepEqual(sourcesOf(state, { input: "a trusted answer" }), []);
  });

  test("outputs that come later are matched too, and marks that were lowered match no more", () => {
    const state = runWith(["alpha beta gamma"]);
    assert.deepEqual(sourcesOf(state, { input: "delta epsilon" }), []);
    const id = actionId(9);
    state.actions.set(id, { value: "verified", context: { id, output: "delta epsilon" } } as never);
    state.marks = { ...state.marks, sources: [...state.marks.sources, id] };
    assert.deepEqual(sourcesOf(state, { input: "delta epsilon" }), ["a9"]);
    state.marks = { tainted: false, labels: [], sources: [] };
    assert.deepEqual(sourcesOf(state, { input: "delta epsilon", uses: ["a9"] }), []);
  });

  test("property: any 12 characters of an output, pasted anywhere into an input, are found", () => {
    const words = fc.array(fc.oneof(fc.string({ unit: "binary", maxLength: 12 }), fc.string({ maxLength: 12 }), fc.constantFrom(" ", "\n", "e\u0301", "Σας", "İ", "한국어", "ＡＢＣ", "\u200b", "🙂", "ß")), { minLength: 3, maxLength: 40 }).map((parts) => parts.join("").toWellFormed());
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 4 }), words, words, fc.nat(), fc.nat(), fc.nat(), (outputs, before, after, which, from, more) => {
        const index = which % outputs.length;
        const chars = [...outputs[index]!];
        const start = from % chars.length;
        const slice = chars.slice(start, start + 12 + (more % 30)).join("");
        // twelve that can be seen: white space at the edges may melt into the input's own
        fc.pre(folded(slice).trim().length >= 12);
        const state = runWith(outputs.map((text, at) => (at % 2 === 0 ? { text } : [{ deep: [text] }])));
        const sources = sourcesOf(state, { input: { note: [before + slice + after] } });
        assert.ok(sources.includes(actionId(3 + index)), JSON.stringify({ outputs, slice }));
      }),
      { numRuns: 2000 },
    );
  });

  test("hostile inputs cost a bounded time", () => {
    const outputs = Array.from({ length: 100 }, (_, index) => `${"a".repeat(1000)}${"ab".repeat(500)}${index}`);
    const state = runWith(outputs);
    const before = process.cpuUsage();
    sourcesOf(state, { input: "ab".repeat(100_000) + "ba aab".repeat(50_000) });
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 3_000_000, `${user + system} µs`);
  });
});
