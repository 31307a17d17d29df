/** APP-3: what an approver changed, field by field: every change once, at its place, and nothing that stayed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { differences } from "../../machines/diff.ts";

test("APP-3: members are told by name in order, items by place, each with what it was and what it is", () => {
  assert.deepEqual(differences({ b: 1, a: { c: [1, 2] } }, { b: 2, a: { c: [1, 3] } }), [
    { path: "/a/c/1", before: 2, after: 3 },
    { path: "/b", before: 1, after: 2 },
  ]);
  assert.deepEqual(differences({ z: 1, a: 1 }, {}).map(({ path }) => path), ["/a", "/z"]);
});

test("APP-3: what came has no before, what went has no after, and null is a value", () => {
  assert.deepEqual(differences({ a: 1 }, { b: 2 }), [{ path: "/a", before: 1 }, { path: "/b", after: 2 }]);
  assert.deepEqual(differences([1], [1, 2, 3]), [{ path: "/1", after: 2 }, { path: "/2", after: 3 }]);
  assert.deepEqual(differences([1, 2], [1]), [{ path: "/1", before: 2 }]);
  assert.deepEqual(differences({ a: null }, {}), [{ path: "/a", before: null }]);
  assert.deepEqual(differences({ a: { b: 1 } }, { a: null }), [{ path: "/a", before: { b: 1 }, after: null }]);
});

test("APP-3: values of different forms are told whole, and equal ones not at all, however they are written", () => {
  assert.deepEqual(differences([1], { 0: 1 }), [{ path: "", before: [1], after: { 0: 1 } }]);
  assert.deepEqual(differences({ 0: 1 }, [1]), [{ path: "", before: { 0: 1 }, after: [1] }]);
  assert.deepEqual(differences("a", { 0: "a" }), [{ path: "", before: "a", after: { 0: "a" } }]);
  assert.deepEqual(differences({ 0: "a" }, "a"), [{ path: "", before: { 0: "a" }, after: "a" }]);
  assert.deepEqual(differences([1, { a: "x" }, null], [1, { a: "x" }, null]), []);
  assert.deepEqual(differences(null, null), []);
});

test("APP-3: a member with the name of something that every object has is a member like others", () => {
  assert.deepEqual(differences({}, { constructor: 1 }), [{ path: "/constructor", after: 1 }]);
  assert.deepEqual(differences({ toString: 1 }, {}), [{ path: "/toString", before: 1 }]);
});
