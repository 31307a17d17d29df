/** One command stops all of every namespace (GUARD-9). */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { signalbox } from "./terminal.ts";

describe("GUARD-9: `stop everything`", () => {
  let folder: string;
  let plane: RunningPlane;
  const cli = (args: readonly string[], data = folder) => signalbox(args, { env: { SIGNALBOX_DATA: data, NATS_URL: plane.url, XDG_CONFIG_HOME: folder } });
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-everything-"));
    const env = { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" };
    plane = await startPlane(readSettings(["--namespaces", "default,finance", "--sync", "default"], env), () => undefined);
  });
  after(async () => {
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("stops each namespace, and says what each was stopped as", async () => {
    const { exit, out, err } = await cli(["stop", "everything", "--reason", "incident 7", "--json"]);
    assert.equal(exit, 0, err);
    const { namespaces } = JSON.parse(out) as { namespaces: { namespace: string; stop: string; scope: string }[] };
    assert.deepEqual(namespaces.map(({ namespace, stop, scope }) => `${namespace} ${stop} ${scope}`), ["default s1 all", "finance s1 all"]);
  });
});
