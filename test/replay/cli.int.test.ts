/** `replay`, `verify` and `export` as an auditor uses them: against a whole plane, and then without it. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import type { Answer } from "../../schemas/answer.ts";
import type { ComplianceRecord } from "../../services/replay/compliance.ts";
import type { RunView } from "../../services/projection/views.ts";
import type { StateAt } from "../../services/replay/state-at.ts";
import { DEMO_FOLDERS } from "../cli/demo-plane.ts";
import { type Ran, signalbox, type Terminal } from "../cli/terminal.ts";

const DEMO = join(import.meta.dirname, "..", "..", "infra", "demo");
const RUN = "refund-assistant_audit";

describe("an auditor", () => {
  let folder: string;
  let plane: RunningPlane | undefined;
  let cli: (args: readonly string[], terminal?: Terminal) => Promise<Ran>;
  const done = async (args: readonly string[]): Promise<string> => {
    const { exit, out, err } = await cli(args);
    assert.equal(exit, 0, `${args.join(" ")}: ${err}${out}`);
    return out;
  };
  const propose = async (tool: string, input: unknown, ...wait: string[]) => JSON.parse((await cli(["propose", "--run", "audit", "--tool", tool, "--input", JSON.stringify(input), ...wait, "--json"])).out) as Answer;
  let asked: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-audit-"));
    const settings = readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" });
    plane = await startPlane(settings, () => undefined);
    cli = (args, terminal = {}) => signalbox(args, { ...terminal, env: { SIGNALBOX_DATA: folder, XDG_CONFIG_HOME: join(folder, "none") } });
    await done(["apply", "--yes", join(folder, "documents", "issuer.demo.yaml"), ...DEMO_FOLDERS]);
    await done(["propose", "--start", "--run", "audit", "--goal", "=make(it;right)", "--subject", "kim@example.com"]);
    await propose("zendesk.read_ticket", { ticket_id: "T-1001" }, "--wait=20");
    asked = (await propose("stripe.create_refund", { charge_id: "ch_1002", amount_usd: 480, reason: "goodwill" })).action as string;
    const digest = /digest of all this: sha256:([0-9a-f]{64})/.exec((await cli(["approve", RUN, asked])).out)?.[1] as string;
    await done(["approve", RUN, asked, "--digest", digest, "--reason", "=looked at it"]);
    await propose("crm.delete_customer", { customer_id: "cus_1001" });
    await done(["cancel", RUN]);
  });
  after(async () => {
    await plane?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("CORE-3 CORE-6 `replay --judge` judges again by the recorded documents", async () => {
    assert.match(await done(["replay", RUN, "--judge"]), /^identical {2}refund-assistant_audit {2}\d+ event\(s\), 3 of 3 proposal\(s\) judged the same/);
    const { reports } = JSON.parse(await done(["replay", "--all", "--judge", "--json"])) as { reports: { judge?: { same: number; unknown: unknown[] } }[] };
    assert.deepEqual(reports.flatMap(({ judge }) => (judge === undefined ? [] : [[judge.same, judge.unknown.length]])), [[0, 0], [3, 0]], "a change of documents is judged by a rule of the plane's own");
  });

  it("CORE-5 `replay --at` shows the run as it stood after an event, or at a time", async () => {
    const at = async (moment: string) => JSON.parse(await done(["replay", RUN, "--at", moment, "--json"])) as StateAt;
    const began = await at("1");
    assert.deepEqual([began.life, began.seq, began.actions], ["active", 1, []]);
    const { timeline } = JSON.parse(await done(["show", RUN, "--json"])) as RunView;
    const waiting = await at(String(timeline.find(({ type, action }) => type === "approval.requested" && action === asked)?.seq));
    assert.deepEqual([waiting.actions.at(-1)?.state, waiting.approvals[0]?.state], ["awaiting_approval", "requested"]);
    const end = await at("2999-01-01");
    assert.equal(end.life, "cancelled");
    assert.deepEqual(await at(end.at), end);
    assert.match(await done(["replay", RUN, "--at", "1"]), /after event 1, .*\n {2}state {7}active/);
    assert.equal((await cli(["replay", RUN, "--at", "2001-01-01"])).exit, 2);
    assert.equal((await cli(["replay", RUN, "--at", "yesterday"])).exit, 2);
  });

  it("CORE-6 `replay --policy` and `--machine` list what would diverge, and exit with 6 when something would", async () => {
    assert.match(await done(["replay", RUN, "--policy", join(DEMO, "policies", "default")]), /^same {2}refund-assistant_audit {2}3 of 3 decision\(s\) the same/);
    assert.match(await done(["replay", "--all", "--machine", "2"]), /^same {2}refund-assistant_audit/m);
    const older = await cli(["replay", RUN, "--machine", "1"]);
    assert.equal(older.exit, 6);
    assert.match(older.out, /^diverges {2}refund-assistant_audit {2}at event 1/);
    const set = join(folder, "default");
    await mkdir(set);
    await writeFile(join(set, "none.cedar"), '@id("none") forbid (principal, action, resource);\n');
    const { exit, out } = await cli(["replay", "--all", "--policy", set]);
    assert.equal(exit, 6);
    assert.match(out, /^diverges {2}refund-assistant_audit {2}at event \d+ {2}a2 zendesk\.read_ticket.*\n.*\n {2}recorded {2}allow\n {2}computed {2}deny\n {2}unknown {3}2 decision/);
    assert.match(await done(["replay", "--all", "--policy", set, "--since", "2999-01-01"]), /nothing was decided there/);
    assert.equal((await cli(["replay", RUN, "--machine", "99"])).exit, 2);
    assert.equal((await cli(["replay", RUN, "--since", "2026-01-01"])).exit, 2);
    assert.equal((await cli(["replay", RUN, "--policy", join(DEMO, "tools")])).exit, 2);
  });

  it("CORE-6 `replay --follow` checks what is there and what comes, until it is stopped", async () => {
    const stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const following = cli(["replay", "--follow", "--judge", "--json"], { signal: stop.signal, onOutput: () => ready.resolve() });
    await ready.promise;
    await done(["propose", "--start", "--run", "followed", "--goal", "g"]);
    stop.abort();
    const { exit, out } = await following;
    assert.equal(exit, 0, out);
    const counts = out.trim().split("\n").map((text) => (JSON.parse(text) as { count: { events: number; wrong: number } }).count);
    assert.equal(counts.at(-1)?.wrong, 0);
    assert.ok((counts.at(-1)?.events ?? 0) > 10);
  });

  it("AUD-2 AUD-4 an export verifies, replays, is judged and lists its approvals after the plane is gone", async () => {
    const [one, all] = [join(folder, "one.jsonl"), join(folder, "all.jsonl")];
    assert.match(await done(["export", RUN, "-o", one]), /^written .* event\(s\), \d+ document\(s\)\nnext: signalbox verify --file/);
    await done(["export", "--all", "-o", all]);
    assert.equal((await cli(["export", RUN, "-o", one])).exit, 2, "evidence is not written over");
    const csv = await done(["export", RUN, "--compliance"]);
    await plane?.stop();
    plane = undefined;
    for (const file of [one, all]) {
      assert.match(await done(["verify", "--file", file]), /^complete .*\n[\s\S]*intact {2}refund-assistant_audit/);
      assert.match(await done(["replay", "--file", file, "--judge"]), /identical {2}refund-assistant_audit {2}\d+ event\(s\), 3 of 3/);
    }
    assert.match(await done(["replay", RUN, "--at", "1", "--file", all]), /active/);
    assert.match(await done(["replay", "--policy", join(DEMO, "policies", "default"), "--file", one]), /^same/);
    assert.equal(await done(["export", "--compliance", "--file", one]), csv);
    const { records } = JSON.parse(await done(["export", "--compliance", "--file", all, "--json"])) as { records: ComplianceRecord[] };
    const approved = records.find(({ action, kind }) => kind === "action" && action === asked);
    assert.deepEqual([approved?.principal, approved?.standing, approved?.decision, approved?.decided_by], ["kim@example.com", "verified", "ask", "person"]);
    assert.deepEqual(approved?.reviews.map(({ by, person, decision, reason }) => [by, person, decision, reason]), [["ada", "urn:signalbox:demo-issuer|ada@example.com", "approve", "=looked at it"]]);
    assert.ok(approved.policies.some((text) => /default\/refunds\.cedar:\d+/.test(text)));
    assert.ok(approved.events.every(({ hash }) => /^[0-9a-f]{64}$/.test(hash)));
    assert.deepEqual(Object.keys(approved.documents).sort(), ["action", "contract", "person ada", "policy", "tool"]);
    assert.ok(records.some(({ kind, reviews }) => kind === "policy" && reviews[0]?.decision === "apply"));
    assert.ok(!/(^|,)"[=+@-]/m.test(csv), "no cell is a formula");
  });

  it("AUD-1 one changed byte of the file exits with 6 and names the line", async () => {
    const [one, spoilt] = [join(folder, "one.jsonl"), join(folder, "spoilt.jsonl")];
    const lines = (await readFile(one, "utf8")).split("\n");
    const index = lines.findIndex((line) => line.includes('"kind":"event"')) + 2;
    await writeFile(spoilt, lines.with(index, (lines[index] as string).replace(/"data":"(.{20})./, '"data":"$1/')).join("\n"));
    for (const command of ["verify", "replay"]) {
      const { exit, out } = await cli([command, "--file", spoilt]);
      assert.equal(exit, 6);
      assert.match(out, new RegExp(`broken .*spoilt\\.jsonl {2}at line ${index + 1}: `));
    }
    assert.equal((await cli(["verify", "--file", join(folder, "missing.jsonl")])).exit, 2);
    await writeFile(spoilt, "no export\n");
    assert.equal((await cli(["verify", "--file", spoilt])).exit, 6);
    assert.equal((await cli(["export", "--compliance", "--file", spoilt])).exit, 6);
  });
});
