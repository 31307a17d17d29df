/** `apply`, `history`, `policy rollback` against a whole plane: differences, reviews, and one change for many documents. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { canonicalBytes } from "../../schemas/canonical.ts";
import { Documents } from "../../services/bus/documents.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { freshId, send } from "../../services/cli/send.ts";
import type { ComplianceRecord } from "../../services/replay/compliance.ts";
import { withSession } from "../../services/cli/session.ts";
import { type Ran, signalbox, type Terminal } from "./terminal.ts";

const READS = '@id("reads")\npermit (principal, action == Action::"read", resource);\n';
const WRITES = '@id("writes")\npermit (principal, action == Action::"write", resource);\n';
const DELETES = '@id("deletes")\npermit (principal, action == Action::"irreversible", resource);\n';
const IO = "input: { type: object, properties: { usd: { type: number }, to: { type: string } } }\noutput: {}\n";
const tool = (more = "") => `name: pay.out\ndescription: pays\neffect: write\nadapter: nats\n${IO}${more}`;
const person = (name: string, roles: string) => `person: { name: ${name}, issuer: corp, subject: ${name}, roles: [${roles}] }\n`;
const contract = (limit: string) => `agent: { name: clerk, owner: o, team: t, purpose: p }\ntools:\n  allowlist:\n    - name: pay.out\n      requires_approval_above: ${limit}\n`;

interface Answer {
  readonly run?: string;
  readonly change?: { readonly state: string; readonly action?: string };
  readonly documents: readonly { readonly kind: string; readonly name: string; readonly outcome: string; readonly version?: number; readonly widens: readonly string[] }[];
  readonly affects: readonly { readonly agent: string; readonly live?: number }[];
}

describe("apply and a plane", () => {
  let folder: string;
  let plane: RunningPlane;
  const cli = (args: readonly string[], terminal: Terminal = {}): Promise<Ran> => signalbox(args, { ...terminal, env: environment() });
  const environment = () => ({ SIGNALBOX_DATA: join(folder, "data"), XDG_CONFIG_HOME: join(folder, "none") });
  const write = async (name: string, text: string) => {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const policy = async (...texts: string[]) => join(await write("default/all.cedar", texts.join("")), "..");
  /** The outcomes of an apply, as `applied policy default 2`. */
  const outcomes = ({ out }: Ran) => (JSON.parse(out) as Answer).documents.map(({ outcome, kind, name, version }) => `${outcome} ${kind} ${name} ${version ?? 0}`);
  const versions = async (kind: string, name: string) =>
    (JSON.parse((await cli(["history", kind, name, "--json"])).out) as { versions: { version: number; by: string; approvers?: string[]; reason?: string; run?: string }[] }).versions;
  async function approve(context: string, { run, change }: Answer): Promise<Ran> {
    const shown = await cli(["approve", run ?? "", change?.action ?? "", "--as", context]);
    const digest = /digest of all this: sha256:([0-9a-f]{64})/.exec(shown.out)?.[1] ?? "";
    return cli(["approve", run ?? "", change?.action ?? "", "--as", context, "--digest", digest]);
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-apply-"));
    plane = await startPlane(readSettings([], { ...process.env, SIGNALBOX_DATA: join(folder, "data"), NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" }), () => undefined);
  });
  after(async () => {
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("POL-6: a dry run shows what would change, and changes nothing", async () => {
    const files = [await write("tool.yaml", tool()), await write("agent.yaml", contract("{ field: usd, value: 50 }"))];
    const { exit, out } = await cli(["apply", "--dry-run", ...files]);
    assert.equal(exit, 0);
    assert.match(out, /\+ tool pay\.out {2}new/);
    assert.match(out, /! may propose `pay\.out`/);
    assert.match(out, /nothing was sent/);
    assert.equal((await cli(["history", "tool", "pay.out"])).exit, 2);
  });

  it("EXEC-7: a plan warns of a write that leaves a person to find out what it did, and refuses nothing", async () => {
    const files = [join(folder, "tool.yaml"), join(folder, "agent.yaml")];
    const { exit, out } = await cli(["apply", "--dry-run", ...files]);
    assert.equal(exit, 0);
    assert.match(out, /warning \S+agent\.yaml:4:7: an attempt at `pay\.out` whose end is unknown needs a person\n {2}help: let the tool answer a `probe`/);
    const asked = await write("asked.yaml", tool("probe: { tries: 2 }\n"));
    assert.doesNotMatch((await cli(["apply", "--dry-run", asked, join(folder, "agent.yaml")])).out, /warning/);
  });

  it("POL-6: nothing is applied that nobody agreed to: a `yes` that is typed, or `--yes`", async () => {
    const file = join(folder, "tool.yaml");
    const unasked = await cli(["apply", file]);
    assert.equal(unasked.exit, 2);
    assert.match(unasked.err, /nobody is here to ask.*\n.*--yes/);
    assert.equal((await cli(["apply", file], { tty: true, input: "no\n" })).exit, 2);
    assert.equal((await cli(["history", "tool", "pay.out"])).exit, 2);
    assert.equal((await cli(["apply", file], { tty: true, input: "yes\n" })).exit, 0);
    assert.equal((await versions("tool", "pay.out")).length, 1);
  });

  it("POL-6: the first documents of every kind come into force in one change, and again nothing changes", async () => {
    await write("people.yaml", [person("operator", "approver"), person("ada", "approver"), person("fay", "approver")].join("---\n"));
    await write("budget.yaml", "budget: { scope: team, name: t, max_cost_usd_per_day: 5 }\n");
    await write("default/set.yaml", "review: { role: approver, count: 2 }\n");
    await policy(READS);
    const files = ["people.yaml", "budget.yaml", "tool.yaml", "agent.yaml", "default"].map((name) => join(folder, name));
    const first = await cli(["apply", "--yes", "--json", "--reason", "the beginning", ...files]);
    assert.equal(first.exit, 0, first.err);
    assert.deepEqual(outcomes(first), ["applied person ada 1", "applied person fay 1", "applied person operator 1", "applied budget team.t 1", "unchanged tool pay.out 1", "applied agent clerk 1", "applied policy default 1"]);
    const [version] = await versions("policy", "default");
    assert.deepEqual([version?.by, version?.reason, version?.run], ["operator", "the beginning", (JSON.parse(first.out) as Answer).run]);
    const again = await cli(["apply", "--yes", "--json", ...files]);
    assert.deepEqual([...new Set((JSON.parse(again.out) as Answer).documents.map(({ outcome }) => outcome))], ["unchanged"]);
    assert.equal((JSON.parse(again.out) as Answer).run, undefined);
  });

  it("POL-6: a difference says field by field what is another, what widens, and whose runs it concerns", async () => {
    const file = await write("tool.yaml", tool("clearance: [pii]\ntimeout_ms: 5000\n"));
    const { exit, out } = await cli(["apply", "--dry-run", file]);
    assert.equal(exit, 0);
    assert.match(out, /~ tool pay\.out {2}version 1 to 2/);
    assert.match(out, /\+ \/clearance {2}\["pii"\]/);
    assert.match(out, /~ \/timeout_ms {2}30000 → 5000/);
    assert.match(out, /! it may be given data labelled `pii`/);
    assert.match(out, /concerns\n {2}clerk {2}0 live runs {2}tool pay\.out/);
    const asJson = JSON.parse((await cli(["apply", "--yes", "--json", file])).out) as Answer;
    assert.deepEqual(asJson.affects.map(({ agent, live }) => `${agent} ${live}`), ["clerk 0"]);
    assert.deepEqual(asJson.documents.map(({ outcome, version, widens }) => [outcome, version, widens]), [["applied", 2, ["it may be given data labelled `pii`"]]]);
  });

  it("ID-1: what does not fit with what is in force is refused with file, line and column, and nothing is applied", async () => {
    const misfit = await write("misfit.yaml", contract("{ field: eur, value: 50 }"));
    const { exit, out, err } = await cli(["apply", "--yes", misfit, await write("other.yaml", tool("tags: [new]\n"))]);
    assert.equal(exit, 3);
    assert.match(out, new RegExp(`fault ${misfit}:5:34: \`eur\` is not declared in the input of \`pay\\.out\``));
    assert.match(err, /1 fault\(s\), and nothing was sent/);
    assert.equal((await versions("tool", "pay.out")).length, 2);
  });

  it("ID-1: all faults of all files come at once, policies and fixtures among them, and no plane is asked", async () => {
    await write("bad/a.yaml", "agent: { name: signalbox-a, owner: o, team: t, purpose: p }\nbudgets: { max_step: 1 }\n");
    await write("bad/t.yaml", tool("amount: { field: eur, currency: EUR }\n"));
    await write("bad/set/p.cedar", 'permit (principal, action == Action::"read", resource);\n');
    await write("bad/set/set.yaml", "review: { role: approver, count: 0 }\n");
    await write("bad/set2/p.cedar", READS);
    await write("bad/set2/p.fixtures.yaml", "- nonsense\n");
    const { exit, err } = await signalbox(["apply", "--yes", join(folder, "bad")], { env: { SIGNALBOX_DATA: join(folder, "no-plane") } });
    assert.equal(exit, 3);
    for (const place of ["a.yaml:2:12", "t.yaml:7:11", "a.yaml:1:10", "set/set.yaml:1:27", "set2/p.fixtures.yaml:1:"]) assert.ok(err.includes(join(folder, "bad", place)), `${place} is not in ${err}`);
  });

  let waiting: Answer;
  it("POL-6: a change of the policy set waits for those whom the set names, and is one change however often it is asked for", async () => {
    const asked = await cli(["apply", "--yes", "--json", await policy(READS, WRITES)]);
    assert.equal(asked.exit, 5, asked.err);
    assert.match(asked.err, /needs agreement: `policy default`/);
    waiting = JSON.parse(asked.out) as Answer;
    assert.equal(waiting.change?.state, "waiting");
    const again = await cli(["apply", "--yes", "--json", join(folder, "default")]);
    assert.equal(again.exit, 5);
    assert.equal((JSON.parse(again.out) as Answer).run, waiting.run);
    assert.match((await cli(["apply", "--yes", join(folder, "default")])).out, new RegExp(`waiting.* for 2 of 2 approver.*\\nthey run: signalbox approve ${waiting.run} ${waiting.change?.action}`));
    assert.equal((await versions("policy", "default")).length, 1);
  });

  it("POL-6, ID-5: whoever proposed the change is not one of those who agree, and two others are", async () => {
    await cli(["creds", "issue", "--role", "approver", "--name", "operator", "--force", "-o", join(folder, "self.creds")]);
    const env = { ...environment(), NATS_CREDS: join(folder, "self.creds") };
    const shown = await signalbox(["approve", waiting.run ?? "", waiting.change?.action ?? ""], { env });
    const digest = /digest of all this: sha256:([0-9a-f]{64})/.exec(shown.out)?.[1] ?? "";
    const own = await signalbox(["approve", waiting.run ?? "", waiting.change?.action ?? "", "--digest", digest], { env });
    assert.ok(own.exit === 3 || own.exit === 4, own.out + own.err);
    assert.equal((await approve("demo-approver", waiting)).exit, 5);
    assert.equal((await approve("demo-finance", waiting)).exit, 0);
    const ended = await cli(["apply", "--yes", "--wait", "--json", join(folder, "default")]);
    // it may be in force already: then there is nothing to wait for
    assert.match(outcomes(ended).join(), /^(applied|unchanged) policy default 2$/);
    const [, second] = await versions("policy", "default");
    assert.deepEqual([second?.by, second?.approvers, second?.run], ["operator", ["ada", "fay"], waiting.run]);
    const { records } = JSON.parse((await cli(["export", "--all", "--compliance", "--json"])).out) as { records: ComplianceRecord[] };
    const record = records.find(({ kind, action }) => kind === "policy" && action === "2");
    assert.deepEqual([record?.change, record?.decided_by], [`${waiting.run} ${waiting.change?.action}`, "person"]);
    assert.deepEqual(record?.reviews.map(({ by, person, decision }) => [by, person, decision]), [
      ["operator", "corp|operator", "apply"], ["ada", "corp|ada", "approve"], ["fay", "corp|fay", "approve"],
    ], "AUD-4: who agreed to the change, and not who carried it out");
  });

  it("POL-6: what was refused is said to be, and may be asked for once more", async () => {
    const asked = JSON.parse((await cli(["apply", "--yes", "--json", await policy(READS, WRITES, DELETES)])).out) as Answer;
    const shown = await cli(["refuse", asked.run ?? "", asked.change?.action ?? "", "--as", "demo-approver"]);
    const digest = /digest of all this: sha256:([0-9a-f]{64})/.exec(shown.out)?.[1] ?? "";
    assert.equal((await cli(["refuse", asked.run ?? "", asked.change?.action ?? "", "--as", "demo-approver", "--digest", digest])).exit, 0);
    assert.match((await cli(["show", asked.run ?? ""])).out, /state +failed/);
    const again = JSON.parse((await cli(["apply", "--yes", "--json", join(folder, "default")])).out) as Answer;
    assert.equal(again.run, `${asked.run}-2`);
    assert.equal((await versions("policy", "default")).length, 2);
    waiting = again;
  });

  it("POL-6: one command puts the version before back, and its history says so", async () => {
    const shown = await cli(["policy", "rollback", "--dry-run"]);
    assert.equal(shown.exit, 0, shown.err);
    assert.match(shown.out, /- \/policies\/writes/);
    const { exit, err } = await cli(["policy", "rollback", "--yes"]);
    assert.equal(exit, 0, err);
    const [first, second, third] = await versions("policy", "default");
    assert.equal(third?.reason, "rollback to what was in force before version 2");
    const digests = [first, second, third].map((one) => (one as unknown as { digest: string }).digest);
    assert.equal(digests[2], digests[0]);
    assert.notEqual(digests[1], digests[0]);
  });

  it("POL-6, APP-4: who agreed to a change of another set than is in force by now is asked anew, and agrees to that", async () => {
    const stale = await approve("demo-approver", waiting);
    assert.ok(stale.exit === 3 || stale.exit === 4, stale.out + stale.err);
    assert.match(stale.err, /no longer stands|stale/);
    assert.equal((await approve("demo-approver", waiting)).exit, 5);
    assert.equal((await approve("demo-finance", waiting)).exit, 0);
    assert.equal((await cli(["apply", "--yes", "--wait", join(folder, "default")])).exit, 0);
    assert.deepEqual((await versions("policy", "default")).map(({ version }) => version), [1, 2, 3, 4]);
  });

  it("POL-6, ID-5: the way round a review is closed: a policy set or a person applied on its own is refused", async () => {
    for (const [kind, value, code] of [
      ["policy", { name: "default", files: { "all.cedar": DELETES } }, "policy.review"],
      ["person", { person: { name: "puppet", issuer: "corp", subject: "puppet", roles: ["approver"] } }, "change.review"],
    ] as const) {
      const outcome = await withSession({ env: environment(), stdout: { write: () => true }, stderr: { write: () => true }, stdin: process.stdin, signal: new AbortController().signal }, {}, "operate", async (session) => {
        const publisher = new Publisher(session.nc);
        const document = await new Documents(session.nc, publisher, session.ns).put(canonicalBytes(value), "application/json");
        publisher.close();
        const name = kind === "policy" ? "default" : "puppet";
        return send(session, { kind: "apply", aggregate: { kind, name }, body: { id: freshId(), document }, hear: `signalbox.${session.ns}.live.${kind}.*.${name}` });
      });
      assert.ok("rejection" in outcome);
      assert.deepEqual(outcome.rejection.reasons.map((reason) => reason.code), [code]);
    }
    const puppet = await cli(["apply", "--yes", "--json", await write("puppet.yaml", person("puppet", "approver"))]);
    assert.equal(puppet.exit, 5);
    waiting = JSON.parse(puppet.out) as Answer;
  });

  it("POL-6, APP-2: a change is not edited by those who review it", async () => {
    const input = JSON.stringify({ documents: [{ kind: "person", name: "mine", document: `sha256:${"0".repeat(64)}` }] });
    const args = ["edit", waiting.run ?? "", waiting.change?.action ?? "", "--as", "demo-approver", "--input", input];
    const digest = /digest of all this: sha256:([0-9a-f]{64})/.exec((await cli(args)).out)?.[1] ?? "";
    const edited = await cli([...args, "--digest", digest]);
    assert.equal(edited.exit, 3);
    assert.match(edited.err, /change\.edited/);
    assert.match((await cli(["show", waiting.run ?? ""])).out, /a2 waits for 2 of approver/);
    assert.equal((await cli(["history", "person", "mine"])).exit, 2);
  });

  it("AUD-1: changes replay identically, and every chain is intact", async () => {
    for (const args of [["replay", "--all"], ["replay", "--all", "--judge"], ["verify", "--all"]]) {
      const { exit, out, err } = await cli(args);
      assert.equal(exit, 0, out + err);
    }
  });
});
