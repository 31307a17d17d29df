import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FileLedger } from "../../services/gateway/adapters/ledger.ts";

describe("the ledger of built-in tools", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-ledger-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test("an effect takes place once for each key, also after a restart and when asked for twice at once", async () => {
    const path = join(folder, "world", "effects.jsonl");
    let acts = 0;
    const act = () => ({ id: ++acts });
    const ledger = await FileLedger.open(path);
    const [one, again] = await Promise.all([ledger.take("k1", "t", {}, act), ledger.take("k1", "t", {}, act)]);
    assert.deepEqual(one, again);
    const reopened = await FileLedger.open(path);
    assert.deepEqual((await reopened.take("k1", "t", {}, act)).output, { id: 1 });
    assert.deepEqual((await reopened.take("k2", "t", {}, act)).output, { id: 2 });
    assert.deepEqual(
      (await FileLedger.open(path)).effects.map(({ key }) => key),
      ["k1", "k2"],
    );
  });

  test("what took place is found, when it is on disk, and nothing else is", async () => {
    const path = join(folder, "effects.jsonl");
    const ledger = await FileLedger.open(path);
    assert.equal(ledger.find("k1"), undefined);
    void ledger.take("k1", "t", {}, () => 1);
    assert.equal((await ledger.find("k1"))?.output, 1);
    assert.equal((await readFile(path, "utf8")).split("\n").length, 2);
    assert.equal((await (await FileLedger.open(path)).find("k1"))?.output, 1);
  });

  test("a line that a crash cut off is no effect, and does not spoil the next", async () => {
    const path = join(folder, "effects.jsonl");
    await (await FileLedger.open(path)).take("k1", "t", {}, () => "é");
    await appendFile(path, '{"key":"k2","to');
    const ledger = await FileLedger.open(path);
    assert.equal(ledger.effects.length, 1);
    await ledger.take("k3", "t", {}, () => null);
    assert.equal((await readFile(path, "utf8")).split("\n").length, 3);
    assert.equal((await FileLedger.open(path)).effects.length, 2);
  });
});
