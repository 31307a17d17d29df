/** `replay --follow` beside a plane into whose journal somebody writes who has a coordinator's credentials (CORE-6, law 8). */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus } from "../../services/bus/connection.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { readPlane } from "../../services/cli/plane.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { DEMO_FOLDERS } from "../cli/demo-plane.ts";
import { signalbox } from "../cli/terminal.ts";
import { recorded, RUN } from "./recorded.ts";

const NS = namespace("default");
let folder: string;
let plane: RunningPlane;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "signalbox-follow-"));
  const settings = readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" });
  plane = await startPlane(settings, () => undefined);
});
after(async () => {
  await plane.stop();
  await rm(folder, { recursive: true, force: true });
});

test("CORE-6 AUD-1 an event that no machine computed is named as it is recorded, and what follows it in its run is not asserted", async () => {
  const cli = (args: readonly string[], terminal = {}) => signalbox(args, { ...terminal, env: { SIGNALBOX_DATA: folder, XDG_CONFIG_HOME: join(folder, "none") } });
  assert.equal((await cli(["apply", "--yes", join(folder, "documents", "issuer.demo.yaml"), ...DEMO_FOLDERS])).exit, 0);
  assert.equal((await cli(["propose", "--start", "--run", "followed", "--goal", "g"])).exit, 0);
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const found = Promise.withResolvers<void>();
  const onOutput = (out: string) => {
    ready.resolve();
    if (out.includes('"found"')) found.resolve();
  };
  const following = cli(["replay", "--follow", "--json"], { signal: stop.signal, onOutput });
  await ready.promise;
  const { url } = (await readPlane(folder)) ?? assert.fail();
  const { creds, inboxPrefix } = await issueCreds(await openKeys(folder, [NS]), { role: "coordinator", name: "thief", ttlSeconds: 60 });
  const thief = await connectBus({ url, name: "thief", creds, inboxPrefix });
  const publisher = new Publisher(thief);
  const subject = subjects.log(NS, "run", "refund-assistant_followed");
  // two events of another run, whole in themselves
  for (const { data, headers } of recorded().of(RUN).slice(0, 2)) await publisher.publish(subject, data, Object.fromEntries(headers));
  await found.promise;
  stop.abort();
  const { exit, out } = await following;
  publisher.close();
  await thief.close();
  assert.equal(exit, 6);
  const told = out.trim().split("\n").map((line) => JSON.parse(line) as { found?: { name: string; difference: { seq: number }; fault: { why: string } } });
  const named = told.flatMap(({ found }) => (found === undefined ? [] : [found]));
  assert.deepEqual(named.map(({ name }) => name), ["refund-assistant_followed"], "once, whatever follows");
  assert.match(named[0]?.fault.why ?? "", /it names `clerk_one`/);
});
