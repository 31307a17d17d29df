/** Headers that are taken apart only when somebody asks (law 7). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHeaderBlock } from "../../services/bus/headers.ts";
import { StoredHeaders } from "../../services/bus/stored-headers.ts";

const LINES = "ce-id: a:1\r\nce-type: t\r\n";
const SERVERS = "Nats-Stream: JOURNAL\r\nce-id: of the server's own\r\n\r\n";
const headers = (own: string) => new StoredHeaders(`NATS/1.0\r\n${own}${SERVERS}`, `NATS/1.0\r\n${own}`.length, (text, stop) => parseHeaderBlock(Buffer.from(text.slice(0, stop))).headers);

test("law 7: stored headers are a map of what was published, without what the server wrote behind it", () => {
  const one = headers(`${LINES}x: y\r\n`);
  const expected = [["ce-id", "a:1"], ["ce-type", "t"], ["x", "y"]];
  assert.deepEqual([...one], expected);
  assert.deepEqual([...one.entries()], expected);
  assert.deepEqual([[...one.keys()], [...one.values()], one.size, one.get("x"), one.has("Nats-Stream")], [["ce-id", "ce-type", "x"], ["a:1", "t", "y"], 3, "y", false]);
  const seen: string[] = [];
  one.forEach((value, name) => seen.push(`${name}=${value}`));
  assert.equal(seen.join(), "ce-id=a:1,ce-type=t,x=y");
});

test("law 7: they say these lines only where they stand first, whole, and none of their names comes again", () => {
  assert.equal(headers(`${LINES}Nats-Batch-Id: b\r\n`).say(LINES, ["ce-"]), true);
  assert.equal(headers(LINES).say(LINES, ["ce-"]), true);
  for (const own of [`${LINES}ce-id: b\r\n`, `${LINES}x: y\r\nce-other: b\r\n`, `x: y\r\n${LINES}`, "ce-id: a:1\r\nce-type: tt\r\n", "ce-id: a:1\r\n", ""]) {
    assert.equal(headers(own).say(LINES, ["ce-"]), false, JSON.stringify(own));
  }
});
