import assert from "node:assert/strict";
import { test } from "node:test";
import { Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { MAX_BODY_BYTES } from "../../schemas/limits.ts";
import { readBody } from "../../services/bus/body.ts";

const MSGPACK = "application/msgpack";
const bytes = (text: string) => new TextEncoder().encode(text);
const raw = (...values: number[]) => Uint8Array.from(values);
const packed = (value: unknown) => new Encoder().encode(value);

/** Code and path of a refusal. */
function refusal(data: Uint8Array, contentType?: string): string {
  const result = readBody(data, contentType);
  assert.ok(!result.ok, "the body was admitted");
  assert.match(result.reason, /^[a-z`].*[^.]$/);
  return result.path === undefined ? result.code : `${result.code} ${result.path}`;
}

const forbidden = new Set(["__proto__", "constructor", "prototype"]);
function admitted(value: unknown): boolean {
  if (typeof value === "number") return !Object.is(value, -0) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (typeof value === "string") return value.isWellFormed();
  if (Array.isArray(value)) return value.every(admitted);
  if (value === null || typeof value !== "object") return true;
  return Object.keys(value).every((key) => !forbidden.has(key) && key.isWellFormed()) && Object.values(value).every(admitted);
}
const wireValue = fc.jsonValue({ maxDepth: 20 }).filter(admitted);

test("CORE-2: every admitted value is read back from both encodings", () => {
  fc.assert(
    fc.property(wireValue, fc.constantFrom(undefined, "", "application/json", "Application/JSON; charset=utf-8"), (value, type) => {
      assert.deepStrictEqual(readBody(bytes(JSON.stringify(value)), type), { ok: true, value });
      assert.deepStrictEqual(readBody(bytes(JSON.stringify(value, null, 2)), type), { ok: true, value });
      assert.deepStrictEqual(readBody(packed(value), MSGPACK), { ok: true, value });
    }),
    { numRuns: 300 },
  );
});

test("CORE-2: no bytes whatever make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(undefined, MSGPACK, "text/plain"), (data, type) => {
      readBody(data, type);
    }),
    { numRuns: 3000 },
  );
});

test("CORE-2: a body with some bytes changed, cut or added is read or refused, alike whenever it is read", () => {
  fc.assert(
    fc.property(wireValue, fc.nat(), fc.nat(255), fc.nat(2), (value, place, byte, how) => {
      for (const [whole, type] of [[bytes(JSON.stringify(value)), undefined], [packed(value), MSGPACK]] as const) {
        const at = place % whole.length;
        const changed = how === 0 ? whole.slice(0, at) : Uint8Array.from([...whole, ...(how === 1 ? [byte] : [])]);
        if (how === 2) changed[at] = byte;
        assert.deepStrictEqual(readBody(changed, type), readBody(changed, type));
      }
    }),
    { numRuns: 1000 },
  );
});

test("a body of exactly the limit is read, one byte more is refused", () => {
  const text = (size: number) => bytes(`"${"x".repeat(size - 2)}"`);
  assert.ok(readBody(text(MAX_BODY_BYTES), undefined).ok);
  assert.equal(refusal(text(MAX_BODY_BYTES + 1)), "too_large");
});

test("a key that stands twice in one object is refused, however it is written", () => {
  assert.equal(refusal(bytes('{"a":1,"a":1}')), "duplicate_key /a");
  assert.equal(refusal(bytes('{"x":[0,{"b":1,"\\u0062" : 2}]}')), "duplicate_key /x/1/b");
  assert.equal(refusal(bytes('{"a":{"b":":","c":"\\":"},"d":[{},[]],"a":2}')), "duplicate_key /a");
  assert.equal(refusal(raw(0x82, 0xa1, 0x61, 1, 0xd9, 1, 0x61, 2), MSGPACK), "duplicate_key /a");
  assert.ok(readBody(bytes('{"a":{"a":[{"a":1},{"a":2}]},"b":"a:a{:"}'), undefined).ok);
});

test("prototype keys are refused at any depth, names that every object inherits are not", () => {
  for (const key of forbidden) {
    assert.equal(refusal(bytes(`{"a":[{"${key}":1}]}`)), `prototype_key /a/0/${key}`);
    assert.equal(refusal(packed({ a: [Object.defineProperty({}, key, { value: 1, enumerable: true })] }), MSGPACK), `prototype_key /a/0/${key}`);
  }
  assert.equal(refusal(bytes('{"__pr\\u006fto__":{"admin":true}}')), "prototype_key /__proto__");
  const value = { toString: 1, hasOwnProperty: 2, valueOf: 3 };
  assert.deepStrictEqual(readBody(packed(value), MSGPACK), { ok: true, value });
  assert.deepStrictEqual(readBody(bytes(JSON.stringify(value)), undefined), { ok: true, value });
});

test("numbers that are not finite, or integers that are not exact, are refused", () => {
  assert.equal(refusal(bytes('{"a":1e400}')), "number /a");
  assert.equal(refusal(bytes('{"a":[-9007199254740993]}')), "number /a/0");
  assert.equal(refusal(bytes("9007199254740992")), "number");
  assert.equal(refusal(bytes('{"a":NaN}')), "json");
  assert.equal(refusal(packed({ a: Number.NaN }), MSGPACK), "number /a");
  assert.equal(refusal(packed({ a: Number.POSITIVE_INFINITY }), MSGPACK), "number /a");
  assert.equal(refusal(raw(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1), MSGPACK), "number");
  assert.equal(refusal(raw(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0), MSGPACK), "number");
  assert.equal(refusal(packed(1e300), MSGPACK), "number");
  for (const value of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0.1, -1.5e-300]) {
    assert.deepStrictEqual(readBody(bytes(String(value)), undefined), { ok: true, value });
    assert.deepStrictEqual(readBody(packed(value), MSGPACK), { ok: true, value });
  }
});

test("CORE-6: minus zero becomes zero, because what is stored does not keep it", () => {
  assert.deepStrictEqual(readBody(bytes('{"a":[-0,-0.0],"b":-0}'), undefined), { ok: true, value: { a: [0, 0], b: 0 } });
  assert.deepStrictEqual(readBody(raw(0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0), MSGPACK), { ok: true, value: 0 });
});

test("what MessagePack says beyond JSON is refused", () => {
  assert.equal(refusal(raw(0x91, 0xc4, 1, 0), MSGPACK), "binary /0");
  assert.equal(refusal(raw(0xd4, 1, 0), MSGPACK), "extension");
  assert.equal(refusal(packed(new Date()), MSGPACK), "extension");
  assert.equal(refusal(raw(0x81, 1, 1), MSGPACK), "key");
  assert.equal(refusal(raw(0xc1), MSGPACK), "msgpack");
});

test("a text that is not well-formed is refused", () => {
  assert.equal(refusal(bytes('{"a":"\\ud800"}')), "surrogate /a");
  assert.equal(refusal(bytes('{"\\udc00":1}')).split(" ")[0], "surrogate");
  assert.equal(refusal(raw(0x22, 0xff, 0x22)), "utf8");
  assert.equal(refusal(raw(0x22, 0xed, 0xa0, 0x80, 0x22)), "utf8");
  assert.equal(refusal(raw(0x91, 0xa1, 0xff), MSGPACK), "utf8 /0");
  assert.equal(refusal(raw(0xa3, 0xed, 0xa0, 0x80), MSGPACK), "utf8");
  assert.equal(refusal(raw(0xef, 0xbb, 0xbf, 0x31)), "byte_order_mark");
  const value = "\u{FFFD}\u{FEFF}\u{1F6A6}";
  assert.deepStrictEqual(readBody(packed(value), MSGPACK), { ok: true, value });
  assert.deepStrictEqual(readBody(bytes(JSON.stringify(value)), undefined), { ok: true, value });
});

test("64 levels are read, 65 are refused, and half a megabyte of brackets harms nobody", () => {
  const nested = (levels: number) => bytes("[".repeat(levels) + "]".repeat(levels));
  const nestedPack = (levels: number) => Uint8Array.from([...new Array<number>(levels - 1).fill(0x91), 0x90]);
  assert.ok(readBody(nested(64), undefined).ok);
  assert.ok(readBody(nestedPack(64), MSGPACK).ok);
  assert.equal(refusal(nested(65)), "depth");
  assert.match(refusal(nestedPack(65), MSGPACK), /^depth /);
  assert.equal(refusal(bytes("[".repeat(500_000))), "depth");
  assert.equal(refusal(bytes('{"a":'.repeat(100_000))), "depth");
  assert.match(refusal(new Uint8Array(500_000).fill(0x91), MSGPACK), /^depth /);
  assert.match(refusal(new Uint8Array(500_000).fill(0x81), MSGPACK), /^key/);
});

test("counts and lengths beyond the body are refused before anything is made of them", () => {
  assert.equal(refusal(raw(0xdd, 0xff, 0xff, 0xff, 0xff), MSGPACK), "msgpack");
  assert.equal(refusal(raw(0xdf, 0xff, 0xff, 0xff, 0xff), MSGPACK), "msgpack");
  assert.equal(refusal(raw(0xdb, 0xff, 0xff, 0xff, 0xff), MSGPACK), "msgpack");
  assert.equal(refusal(raw(), MSGPACK), "msgpack");
});

test("bytes behind the value, no value, and unknown content types are refused", () => {
  assert.equal(refusal(raw(1, 2), MSGPACK), "trailing");
  assert.equal(refusal(bytes("{} {}")), "json");
  assert.equal(refusal(bytes("")), "json");
  assert.equal(refusal(bytes("{}"), "text/yaml"), "content_type");
  assert.equal(refusal(bytes("{}"), "application/json; charset=utf-16"), "content_type");
});

test("law 6: a reason holds nothing of the body", () => {
  const result = readBody(bytes('{"secret": hunter2}'), undefined);
  assert.ok(!result.ok);
  assert.doesNotMatch(JSON.stringify(result), /hunter2|secret/);
});
