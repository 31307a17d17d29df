/** `replay`, `verify` and `export` as an auditor uses them: against a whole plane, and then without it. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import type { WitnessKey } from "../../schemas/checkpoint.ts";
import { runId } from "../../schemas/ids.ts";
import type { Answer } from "../../schemas/answer.ts";
import type { AttestedCheckpoint } from "../../services/replay/attested.ts";
import type { ComplianceRecord } from "../../services/replay/compliance.ts";
import type { ExportHeader } from "../../services/replay/export-lines.ts";
import { Witness } from "../../services/replay/witness.ts";
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

  it("CORE-5 what is asked of a moment that has not come, and what says nothing of the question, is said", async () => {
    const beyond = await done(["replay", RUN, "--at", "9999"]);
    const { seq, last_recorded } = JSON.parse(await done(["replay", RUN, "--at", "9999", "--json"])) as StateAt;
    assert.equal(last_recorded, true);
    assert.match(beyond, new RegExp(`note {2}there is no event 9999 of it yet: this is after its last, event ${seq}\n`));
    assert.ok(!(await done(["replay", RUN, "--at", String(seq)])).includes("note  "));
    assert.equal((JSON.parse(await done(["replay", RUN, "--at", "1", "--json"])) as StateAt).last_recorded, false);
    await writeFile(join(folder, "no-keys.json"), "[]");
    const refused: readonly (readonly [string[], RegExp])[] = [
      [["replay", RUN, "--allow-erased"], /`--allow-erased` goes with `--judge`/],
      [["replay", RUN, "--judge", "--at", "1"], /`--judge` says nothing of `--at`/],
      [["replay", RUN, "--judge", "--machine", "2"], /`--judge` says nothing of `--machine`/],
      [["replay", RUN, "--judge", "--allow-erased", "--policy", join(DEMO, "policies", "default")], /`--judge` says nothing of `--policy`/],
      [["replay", RUN, "--policy", "sha256:0000"], /`sha256:0000` is no digest of a policy set/],
      [["replay", RUN, "--policy", `sha256:${"0".repeat(64)}`], /cannot be had: it is missing/],
      [["verify", "--all", "--since", join(folder, "no-such-file.json"), "--keys", join(folder, "no-keys.json")], /no-such-file\.json` cannot be read: ENOENT/],
      [["export", RUN, "--checkpoints", join(folder, "no-such-file.json"), "-o", join(folder, "none.jsonl")], /no-such-file\.json` cannot be read: ENOENT/],
    ];
    for (const [args, why] of refused) {
      const { exit, err } = await cli(args);
      assert.equal(exit, 2, `${args.join(" ")}: ${err}`);
      assert.match(err, why);
    }
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

  it("AUD-1 AUD-2 an export of one run proves by a signed checkpoint that nothing of it is missing; what is newer is said to be", async () => {
    const kept = join(folder, "kept.json");
    const keys = join(folder, "witness", "witness-keys.json");
    const file = (name: string) => join(folder, `${name}.jsonl`);
    const verified = async (name: string, ...more: string[]) => {
      const { exit, out } = await cli(["verify", "--file", file(name), "--json", ...more]);
      const { attested, header } = (JSON.parse(out) as { file: { attested: AttestedCheckpoint[]; header: ExportHeader } }).file;
      return { exit, header, told: attested.map(({ n, named_by, held, newer, fault }) => [n, named_by, held, newer, fault?.slice(0, 20)]) };
    };
    await done(["export", RUN, "--whole", "--no-checkpoints", "-o", file("unsigned")]);
    assert.match(await done(["verify", "--file", file("unsigned")]), /^complete .*\nunsigned {2}no checkpoint in the file/);
    await writeFile(kept, await done(["checkpoint"]));
    assert.match(await done(["export", RUN, "--whole", "-o", file("signed")]), /, 1 checkpoint\(s\)\nnext:/);
    const events = (JSON.parse(await done(["show", RUN, "--json"])) as RunView).timeline.length;
    assert.deepEqual(await verified("signed").then(({ told }) => told), [[1, "file", events, 0, undefined]]);
    assert.deepEqual(await verified("signed", "--keys", keys).then(({ told }) => told), [[1, "you", events, 0, undefined]]);
    assert.match(await done(["verify", "--file", file("signed")]), /signed {2}checkpoint 1 .* named by the file itself: `--keys` says which you trust/);
    assert.match(await done(["verify", "--file", file("signed"), "--since", kept, "--keys", keys]), /held {2}1 of 1/);
    const forNothing = await cli(["verify", "--file", file("unsigned"), "--since", kept, "--keys", keys]);
    assert.deepEqual([forNothing.exit, /no proofs for it/.test(forNothing.out)], [6, true]);
    await writeFile(join(folder, "strangers.json"), JSON.stringify([new Witness(new Uint8Array(32).fill(9)).published("2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z")]));
    assert.equal((await verified("signed", "--keys", join(folder, "strangers.json"))).exit, 6);
    // by a key that had ended before, or that nobody was given, it says nothing of the journal either
    const given = JSON.parse(await readFile(keys, "utf8")) as WitnessKey[];
    await writeFile(join(folder, "expired.json"), JSON.stringify(given.map((key) => ({ ...key, not_before: "2020-01-01T00:00:00.000Z", not_after: "2020-12-31T00:00:00.000Z" }))));
    assert.match(await done(["verify", "--all", "--since", kept, "--keys", keys]), /^held {2}1 of 1/);
    for (const [name, why] of [["strangers", /none of those given/], ["expired", /its key was valid from 2020-01-01/]] as const) {
      const { exit, out } = await cli(["verify", "--all", "--since", kept, "--keys", join(folder, `${name}.json`)]);
      assert.deepEqual([exit, /^broken {2}checkpoint 1: /.test(out), why.test(out), out.includes("held")], [6, true, true, false], out);
    }
    assert.deepEqual([(await verified("signed", "--keys", join(folder, "expired.json"))).exit], [6]);
    // and by what the runs are, instead of their names
    await done(["propose", "--start", "--run", "later", "--goal", "g"]);
    assert.match(await done(["export", "--team", "support", "--since", "2026-01-01", "-o", file("team")]), /some of it is newer than the last checkpoint/);
    const { header, told } = await verified("team", "--keys", keys);
    assert.ok("runs" in header.what && header.what.runs.includes(runId("refund-assistant_later")));
    assert.deepEqual(header.what.filter, { team: "support", since: "2026-01-01T00:00:00.000Z" });
    assert.ok(told[0]?.[3] === 1 && told[0]?.[4] === undefined);
    await done(["export", "--state", "cancelled", "--until", "2999-01-01", "--checkpoints", kept, "-o", file("cancelled")]);
    const cancelled = await verified("cancelled", "--keys", keys, "--since", kept);
    assert.deepEqual([cancelled.exit, "runs" in cancelled.header.what && cancelled.header.what.runs], [0, [RUN]]);
    for (const usage of [["--team", "nobody"], ["--agent", "a", "--all"], [RUN, "--state", "active"], ["--since", "yesterday"]]) {
      assert.equal((await cli(["export", ...usage, "-o", file("none")])).exit, 2, usage.join(" "));
    }
  });

  it("AUD-3 an export withholds what a contract says, or what is asked, and all of it is an auditor's to have", async () => {
    const file = (name: string) => join(folder, `${name}.jsonl`);
    await done(["checkpoint"]);
    assert.match(await done(["export", RUN, "-o", file("by-contract")]), /withheld {2}\d+ event\(s\), not recomputable: a contract says/);
    await done(["export", "--all", "--redact", "-o", file("asked")]);
    await done(["export", RUN, "--whole", "-o", file("not-withheld")]);
    const operator = await cli(["export", RUN, "--whole", "--as", "operator", "-o", file("operator")]);
    assert.deepEqual([operator.exit, /is for auditors/.test(operator.err)], [4, true]);
    assert.equal((await cli(["export", RUN, "--whole", "--redact", "-o", file("both")])).exit, 2);
    assert.equal((await cli(["export", RUN, "--as", "operator", "-o", file("operator")])).exit, 0);
    const all = async (name: string) => {
      const text = await readFile(file(name), "utf8");
      return text + text.split("\n").map((line) => (/"(?:shown|data)":"([^"]+)"/.exec(line)?.[1] ?? "")).map((data) => Buffer.from(data, "base64").toString("latin1")).join("\n");
    };
    for (const said of ["make(it;right)", "looked at it", "ch_1002", "goodwill"]) {
      assert.ok((await all("not-withheld")).includes(said), said);
      for (const name of ["by-contract", "asked", "operator"]) assert.ok(!(await all(name)).includes(said), `${said} in ${name}`);
    }
    for (const name of ["by-contract", "asked"]) {
      const verified = await done(["verify", "--file", file(name)]);
      assert.match(verified, /, withheld: \d+ event\(s\), not recomputable\nwithheld .*no hash holds what is shown of time, cause and data[^]*signed {2}checkpoint[^]*withheld {2}refund-assistant_audit {2}\d+ of \d+ event\(s\), not recomputable/);
      assert.doesNotMatch(verified, /intact {2}refund-assistant_audit/);
      const replayed = await cli(["replay", "--file", file(name)]);
      assert.equal(replayed.exit, 6);
      assert.match(replayed.out, /withheld {2}refund-assistant_audit {2}(\d+) of \1 event\(s\) not recomputable because withheld, 0 identical/);
      assert.doesNotMatch(replayed.out, /identical {2}refund-assistant_audit/);
      await done(["replay", "--file", file(name), "--allow-erased", "--judge"]);
      assert.equal((await cli(["replay", RUN, "--at", "3", "--file", file(name)])).exit, 6);
      assert.equal((await cli(["replay", RUN, "--machine", "2", "--file", file(name)])).exit, 6);
      assert.equal(await done(["export", RUN, "--compliance", "--file", file(name)]), await done(["export", RUN, "--compliance"]));
    }
    assert.match(await done(["export", RUN, "--compliance"]), /approve by ada .*: \[redacted\]/);
  });

  it("AUD-2 AUD-4 an export verifies, replays, is judged and lists its approvals after the plane is gone", async () => {
    const [one, all] = [join(folder, "one.jsonl"), join(folder, "all.jsonl")];
    assert.match(await done(["export", RUN, "--whole", "-o", one]), /^written .* event\(s\), \d+ document\(s\).*\n[\s\S]*next: signalbox verify --file/);
    await done(["export", "--all", "--whole", "-o", all]);
    assert.equal((await cli(["export", RUN, "-o", one])).exit, 2, "evidence is not written over");
    const csv = await done(["export", RUN, "--compliance", "--whole"]);
    const states = async (...what: string[]) => {
      const { state_hash: together, reports } = JSON.parse(await done(["replay", ...what, "--json"])) as { state_hash?: string; reports: { name: string; state_hash: string }[] };
      return { together, run: reports.find(({ name }) => name === RUN)?.state_hash };
    };
    const [ofRun, ofAll] = [await states(RUN), await states("--all")];
    assert.match(ofRun.run ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.match(ofAll.together ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual([ofRun.together, ofAll.run], [undefined, ofRun.run]);
    assert.equal((JSON.parse(await done(["replay", RUN, "--at", "2999-01-01", "--json"])) as StateAt).state_hash, ofRun.run);
    await plane?.stop();
    plane = undefined;
    for (const file of [one, all]) {
      assert.match(await done(["verify", "--file", file]), /^complete .*\n[\s\S]*intact {2}refund-assistant_audit/);
      assert.match(await done(["replay", "--file", file, "--judge"]), /identical {2}refund-assistant_audit {2}\d+ event\(s\), 3 of 3/);
    }
    assert.match(await done(["replay", RUN, "--at", "1", "--file", all]), /active/);
    for (const [file, state] of [[one, ofRun], [all, ofAll]] as const) assert.deepEqual(await states("--file", file), state, "what it amounts to is the same out of the file");
    assert.match(await done(["replay", "--policy", join(DEMO, "policies", "default"), "--file", one]), /^same/);
    assert.equal(await done(["export", "--compliance", "--file", one, "--whole"]), csv);
    const { records } = JSON.parse(await done(["export", "--compliance", "--file", all, "--whole", "--json"])) as { records: ComplianceRecord[] };
    const approved = records.find(({ action, kind }) => kind === "action" && action === asked);
    assert.deepEqual([approved?.principal, approved?.standing, approved?.decision, approved?.decided_by], ["kim@example.com", "verified", "ask", "person"]);
    assert.deepEqual(approved?.reviews.map(({ by, person, decision, reason }) => [by, person, decision, reason]), [["ada", "urn:signalbox:demo-issuer|ada@example.com", "approve", "=looked at it"]]);
    assert.ok(approved.policies.some((text) => /default\/refunds\.cedar:\d+/.test(text)));
    assert.ok(approved.events.every(({ hash }) => /^[0-9a-f]{64}$/.test(hash)));
    assert.deepEqual(Object.keys(approved.documents).sort(), ["action", "contract", "person ada", "policy", "tool"]);
    const applied = records.filter(({ kind }) => kind === "policy" || kind === "agent");
    assert.ok(applied.length > 1);
    for (const { change, reviews, decision, decided_by } of applied) {
      assert.match(change ?? "", /^signalbox-registry_\S+ a2$/);
      assert.deepEqual([reviews.map((one) => `${one.decision} by ${one.by}`), decision, decided_by], [["apply by operator"], "allow", "policy"], "nothing was in force yet that asks for a review");
    }
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
