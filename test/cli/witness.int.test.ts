/** `checkpoint`, `witness` and `verify --since` as an auditor uses them, with a mirror account on a server of his own. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import type { SignedCheckpoint, WitnessKey } from "../../schemas/checkpoint.ts";
import { Witness } from "../../services/replay/witness.ts";
import { MIRROR_SUBJECT, type Mirror, startMirror } from "../replay/mirror.ts";
import { type Ran, signalbox, type Terminal } from "./terminal.ts";

const PLACE = `nats:mirror:${MIRROR_SUBJECT}`;
const tool = (name: string) => `name: ${name}\ndescription: d\neffect: read\nadapter: nats\ninput: {}\noutput: {}\n`;

describe("an auditor who keeps checkpoints", { timeout: 120_000 }, () => {
  let folder: string;
  let plane: RunningPlane;
  let mirror: Mirror;
  const cli = (args: readonly string[], terminal: Terminal = {}): Promise<Ran> =>
    signalbox(args, { ...terminal, env: { SIGNALBOX_DATA: folder, XDG_CONFIG_HOME: join(folder, "config"), NATS_URL: plane.url } });
  const happens = async (name: string) => {
    await writeFile(join(folder, "tool.yaml"), tool(name));
    const { exit, out, err } = await cli(["apply", "--yes", "--wait", join(folder, "tool.yaml")]);
    assert.equal(exit, 0, out + err);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-kept-"));
    plane = await startPlane(readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" }), () => undefined);
    mirror = await startMirror();
    await mirror.context(join(folder, "config"));
    await happens("first.tool");
  });
  after(async () => {
    await mirror.stop();
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("AUD-1: `checkpoint --to` prints what it signed, ends with 6 where a place did not take it, and sends it there the next time", async () => {
    const first = await cli(["checkpoint", "--to", PLACE]);
    assert.equal(first.exit, 6);
    const signed = JSON.parse(first.out) as SignedCheckpoint;
    assert.match(first.err, /`nats:mirror:audit\.checkpoints` did not take checkpoint 1/);
    await mirror.makeStream();
    const again = await cli(["checkpoint", "--to", PLACE]);
    assert.deepEqual([again.exit, JSON.parse(again.out)], [0, signed], again.err);
    assert.deepEqual((await mirror.lines()).map((text) => JSON.parse(text) as unknown), [signed]);
    assert.equal((await cli(["checkpoint", "--to", PLACE])).exit, 0);
    assert.equal((await mirror.lines()).length, 1, "what it has it is not sent again");
    assert.equal((await cli(["checkpoint", "--to", "nats:nobody:s"])).exit, 2);
  });

  it("AUD-1: `witness` ends when it is stopped while a place is away, and what that place missed goes there first afterwards", async () => {
    await mirror.server.kill();
    await happens("second.tool");
    const watched = async (until: (out: string) => boolean) => {
      const stop = new AbortController();
      return cli(["witness", "--every", "600", "--to", PLACE, "--json"], { signal: stop.signal, onOutput: (out) => void (until(out) && stop.abort()) });
    };
    const away = await watched((out) => out.includes('"n":2'));
    assert.equal(away.exit, 0, away.err);
    assert.match(away.err, /`nats:mirror:audit\.checkpoints` did not take everything/);
    await mirror.server.restart();
    await happens("third.tool");
    const back = await watched((out) => out.includes('"n":3'));
    assert.equal(back.exit, 0, back.err);
    assert.deepEqual((await mirror.lines()).map((text) => (JSON.parse(text) as SignedCheckpoint).n), [1, 2, 3]);
  });

  it("AUD-1: what the mirror holds is enough: the journal is held against it by the witness's key, and by no other and no expired one", async () => {
    const [kept, keys] = [join(folder, "kept.jsonl"), join(folder, "keys.json")];
    await writeFile(kept, (await mirror.lines()).join("\n"));
    const real = JSON.parse(await readFile(join(folder, "witness", "witness-keys.json"), "utf8")) as WitnessKey[];
    const verified = async (given: readonly WitnessKey[]) => {
      await writeFile(keys, JSON.stringify(given));
      const { exit, out } = await cli(["verify", "--all", "--since", kept, "--keys", keys]);
      return { exit, out };
    };
    const good = await verified(real);
    assert.deepEqual([good.exit, /held {2}3 of 3 checkpoint/.test(good.out)], [0, true], good.out);
    const stranger = await verified([new Witness(new Uint8Array(32).fill(9)).published("2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z")]);
    assert.deepEqual([stranger.exit, stranger.out.match(/checkpoint \d: it is signed with the key [0-9a-f]{16}…, which is none of those given/g)?.length], [6, 3], stranger.out);
    const expired = await verified(real.map((key) => ({ ...key, not_before: "2020-01-01T00:00:00.000Z", not_after: "2021-01-01T00:00:00.000Z" })));
    assert.deepEqual([expired.exit, expired.out.match(/checkpoint \d: its key was valid from 2020-\S+ to 2021-/g)?.length], [6, 3], expired.out);
  });
});
