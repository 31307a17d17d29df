/** Every command against a whole plane: server, coordinator, gateway, reader, and the demo's documents. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import type { Answer } from "../../schemas/answer.ts";
import { type Ran, signalbox, type Terminal } from "./terminal.ts";

const DEMO = join(import.meta.dirname, "..", "..", "infra", "demo");
const RUN = "refund-assistant_cli";
const LARGE = { charge_id: "ch_1002", amount_usd: 480, reason: "goodwill\u202e" };

describe("the command line and a plane", () => {
  let folder: string;
  let plane: RunningPlane;
  let cli: (args: readonly string[], terminal?: Terminal) => Promise<Ran>;
  const start = () =>
    startPlane(readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" }), () => undefined);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-plane-"));
    plane = await start();
    cli = (args, terminal = {}) => signalbox(args, { ...terminal, env: { SIGNALBOX_DATA: folder, XDG_CONFIG_HOME: join(folder, "none") } });
  });
  after(async () => {
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const propose = (tool: string, input: unknown, ...more: string[]) => cli(["propose", "--run", "cli", "--tool", tool, "--input", JSON.stringify(input), "--json", ...more]);
  /** Proposes what needs a person, and returns the action. */
  async function large(): Promise<string> {
    const { exit, out, err } = await propose("stripe.create_refund", LARGE, "--why", "be quick\u001b[8m");
    assert.equal(exit, 5, err);
    return (JSON.parse(out) as Answer).action as string;
  }
  async function digestOf(action: string): Promise<string> {
    const { out } = await cli(["approve", RUN, action]);
    return /digest of all this: sha256:([0-9a-f]{64})/.exec(out)?.[1] ?? "";
  }

  it("`apply` brings documents into force, and the same again changes nothing (ID-1)", async () => {
    const files = [join(folder, "documents", "issuer.demo.yaml"), ...["people", "budgets", "tools", "contracts", "policies"].map((name) => join(DEMO, name))];
    const first = await cli(["apply", ...files, "--yes", "--json"]);
    assert.equal(first.exit, 0, first.err);
    const outcomes = (text: string) => (JSON.parse(text) as { documents: { outcome: string; version: number }[] }).documents.map(({ outcome, version }) => `${outcome} ${version}`);
    assert.deepEqual([...new Set(outcomes(first.out))], ["applied 1"]);
    assert.deepEqual([...new Set(outcomes((await cli(["apply", ...files, "--yes", "--json"])).out))], ["unchanged 1"]);
  });

  it("`apply` shows what the plane finds wrong with a policy, and exits with 3", async () => {
    const set = join(folder, "default");
    await cp(join(DEMO, "policies", "default"), set, { recursive: true });
    await writeFile(join(set, "wrong.cedar"), "permit (principal, action, resource) when { resource.nonsense == 1 };\n");
    const { exit, err } = await cli(["apply", set]);
    assert.equal(exit, 3);
    assert.match(err, /wrong\.cedar/);
  });

  it("`propose --start` begins a run once", async () => {
    const started = await cli(["propose", "--start", "--run", "cli", "--goal", "make it right", "--subject", "kim@example.com"]);
    assert.equal(started.exit, 0, started.err);
    assert.match(started.out, /^started {2}refund-assistant_cli\nnext: signalbox propose/);
    const again = await cli(["propose", "--start", "--run", "cli", "--goal", "make it right"]);
    assert.equal(again.exit, 3);
    assert.match(again.err, /^error: run\.exists: .*\nhelp: /);
  });

  it("`propose --wait` brings the outcome of what policy allows (CORE-4)", async () => {
    const { exit, out, err } = await propose("zendesk.read_ticket", { ticket_id: "T-1001" }, "--wait=20");
    assert.equal(exit, 0, err + out);
    assert.equal((JSON.parse(out) as Answer).status, "succeeded");
  });

  it("what is not allowed exits with 3 and lists every fault; what policy forbids with 4, with rule, file, line and next command (CORE-2, CORE-3)", async () => {
    const rejected = await cli(["propose", "--run", "cli", "--tool", "nope.tool"]);
    assert.equal(rejected.exit, 3);
    assert.match(rejected.out, /tool\.not_allowed: .*\(at `\/tool`\)/);
    assert.match(rejected.out, /tool\.unknown/);
    const denied = await cli(["propose", "--run", "cli", "--tool", "crm.delete_customer", "--input", '{"customer_id":"cus_1001"}']);
    assert.equal(denied.exit, 4);
    assert.match(denied.out, /policy\.forbidden: policy `[a-z-]+` forbids it\n {4}at default\/customers\.cedar:\d+/);
    assert.match(denied.out, /next: signalbox why refund-assistant_cli a\d+/);
  });

  it("`propose -f -` reads standard input, and the same id again tells how it stands", async () => {
    const input = JSON.stringify({ run: "cli", kind: "note", id: "n1", text: "seen" });
    const first = await cli(["propose", "--wait=5", "-f", "-", "--json"], { input });
    const second = await cli(["propose", "--wait=5", "-f", "-", "--json"], { input });
    assert.equal(first.exit, 0, first.err);
    assert.equal((JSON.parse(first.out) as Answer).seq, (JSON.parse(second.out) as Answer).seq);
    assert.equal((await cli(["propose", "-f", "-"], { input: "{" })).exit, 2);
    assert.equal((await cli(["propose", "--run", "cli", "-f", "-"], { input: '{"kind":"dance","id":"d1"}' })).exit, 3);
  });

  it("`approve` shows everything that is decided, the agent's words marked, quoted and harmless (APP-4)", async () => {
    const action = await large();
    const { exit, out, err } = await cli(["approve", RUN, action]);
    assert.equal(exit, 2);
    assert.match(err, /nobody is here to ask\nhelp: .*--digest/);
    assert.match(out, /"amount_usd": 480/);
    assert.match(out, /goodwill\\u202e/);
    assert.match(out, /kim@example\.com \(verified, issuer urn:signalbox:demo-issuer\)/);
    assert.match(out, /amount +480 USD/);
    assert.match(out, /tainted +the agent was given output that is not trusted/);
    assert.match(out, /chain +principal:urn:signalbox:demo-issuer\|kim@example\.com > agent:refund-assistant/);
    assert.match(out, /the agent's own words, which nobody has checked:\n(.*\n)*.*\| why: "be quick\\u001b\[8m"/);
    assert.ok(!out.includes("\u202e") && !out.includes("\u001b[8m"));
  });

  it("a digest must be that of what is shown, with at least 8 digits; nothing but `yes` decides (APP-4)", async () => {
    const action = await large();
    const digest = await digestOf(action);
    const other = digest.startsWith("0") ? "1" : "0";
    assert.equal((await cli(["approve", RUN, action, "--digest", digest.slice(0, 7)])).exit, 2);
    assert.equal((await cli(["approve", RUN, action, "--digest", other + digest.slice(1, 8)])).exit, 3);
    assert.equal((await cli(["approve", RUN, action], { tty: true, input: "y\n" })).exit, 2);
    const { out } = await cli(["approvals", "--json"]);
    assert.ok((JSON.parse(out) as { approvals: { action: string }[] }).approvals.some((one) => one.action === action));
  });

  it("`approve` by typing yes, `refuse` by digest, and neither twice", async () => {
    const approved = await large();
    const typed = await cli(["approve", RUN, approved], { tty: true, input: "yes\n" });
    assert.equal(typed.exit, 0, typed.err);
    assert.match(typed.out, /approved/);
    const refused = await large();
    const digest = await digestOf(refused);
    const no = await cli(["refuse", RUN, refused, "--digest", `sha256:${digest}`, "--reason", "not this one"]);
    assert.equal(no.exit, 0, no.err);
    const again = await cli(["approve", RUN, refused, "--digest", digest]);
    assert.equal(again.exit, 3);
    assert.match(again.err, /is refused already/);
  });

  it("no context both proposes and decides (CORE-1, CORE-9)", async () => {
    const action = await large();
    assert.equal((await cli(["approve", RUN, action, "--as", "demo-agent", "--digest", "00000000"])).exit, 4);
    assert.equal((await cli(["approvals", "--as", "demo-agent"])).exit, 4);
    assert.equal((await cli(["propose", "--run", RUN, "--note", "x", "--as", "demo-approver"])).exit, 4);
    assert.equal((await cli(["runs", "--as", "demo-approver"])).exit, 4);
    assert.equal((await cli(["pause", RUN, "--as", "auditor"])).exit, 4);
  });

  it("`why` answers the three questions for an approved action (CORE-8)", async () => {
    const action = await large();
    await cli(["approve", RUN, action, "--digest", await digestOf(action), "--reason", "checked"]);
    const { exit, out } = await cli(["why", RUN, action]);
    assert.equal(exit, 0);
    assert.match(out, /principal +kim@example\.com {2}verified, issuer urn:signalbox:demo-issuer/);
    assert.match(out, /key [A-Za-z0-9_-]+, until \d{4}-.*, sha256:[0-9a-f]{64}/);
    assert.match(out, /chain +principal:urn:signalbox:demo-issuer\|kim@example\.com > agent:refund-assistant/);
    assert.match(out, /ada@example\.com of urn:signalbox:demo-issuer, shown sha256:[0-9a-f]{64}/);
    assert.match(out, /person ada +sha256:[0-9a-f]{64}/);
    assert.match(out, /permit +[a-z-]+ {2}default\/refunds\.cedar:\d+/);
    assert.match(out, /approved +by ada at .*: "checked"/);
    assert.match(out, /action\.proposed[\s\S]*approval\.granted[\s\S]*action\.approved/);
    assert.match(out, /contract +sha256:[0-9a-f]{64}/);
  });

  it("`pause`, `resume` and what does not apply", async () => {
    assert.match((await cli(["pause", RUN, "--reason", "lunch"])).out, /run\.paused/);
    assert.equal((await cli(["pause", RUN])).exit, 3);
    assert.match((await cli(["resume", RUN])).out, /run\.resumed/);
    assert.equal((await cli(["cancel", "refund-assistant_nobody"])).exit, 3);
  });

  it("`tail` prints events as they happen until it is stopped, `--json` one object a line", async () => {
    const stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    const tail = cli(["tail", RUN, "--json", "--from", "1"], {
      signal: stop.signal,
      onOutput: (out) => {
        ready.resolve();
        if (out.includes("heard by tail")) heard.resolve();
      },
    });
    await ready.promise;
    await cli(["propose", "--run", "cli", "--note", "heard by tail"]);
    await heard.promise;
    stop.abort();
    const { exit, out } = await tail;
    assert.equal(exit, 0);
    const events = out.trim().split("\n").map((text) => JSON.parse(text) as { seq: number; run: string });
    assert.deepEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1));
    assert.deepEqual([...new Set(events.map(({ run }) => run))], [RUN]);
  });

  it("an approval survives a restart of the plane (APP-4), and the CLI finds the new one by itself", async () => {
    const action = await large();
    const digest = await digestOf(action);
    await plane.stop();
    assert.equal((await cli(["status"])).exit, 7);
    plane = await start();
    const { exit, err } = await cli(["approve", RUN, action, "--digest", digest.slice(0, 8)]);
    assert.equal(exit, 0, err);
  });

  it("`status`, `runs` and `show` say the same as each other, in text and in JSON", async () => {
    const status = JSON.parse((await cli(["status", "--json"])).out) as { runs: Record<string, number>; configuration_faults: string[] };
    assert.deepEqual(status.configuration_faults, []);
    assert.equal(status.runs["active"], 1);
    assert.match((await cli(["runs", "--state", "active"])).out, /^RUN .*\nrefund-assistant_cli {2}active/);
    const shown = await cli(["show", RUN]);
    assert.match(shown.out, /goal +make it right/);
    assert.ok(!shown.out.includes("\u202e"));
    assert.equal((await cli(["show", "refund-assistant_nobody"])).exit, 2);
  });

  it("`doctor` finds nothing wrong, and finds a credential that others may read", async () => {
    const well = await cli(["doctor"]);
    assert.equal(well.exit, 0, well.out);
    const { chmod } = await import("node:fs/promises");
    const path = join(folder, "creds", "auditor.creds");
    await chmod(path, 0o644);
    const { exit, out } = await cli(["doctor"]);
    await chmod(path, 0o600);
    assert.equal(exit, 6);
    assert.match(out, /others may read .*auditor\.creds\n +help: chmod 600/);
  });

  it("`whoami` follows NATS_CREDS and NATS_CONTEXT (OPS-3)", async () => {
    const plane = JSON.parse(await readFile(join(folder, "plane.json"), "utf8")) as { url: string };
    const byCreds = await signalbox(["whoami", "--json"], { env: { NATS_URL: plane.url, NATS_CREDS: join(folder, "creds", "operator.creds") } });
    assert.equal((JSON.parse(byCreds.out) as { role: string }).role, "operator");
    const byContext = await signalbox(["whoami", "--json"], { env: { XDG_CONFIG_HOME: folder, NATS_CONTEXT: "demo-agent", SIGNALBOX_DATA: join(folder, "none") } });
    assert.equal((JSON.parse(byContext.out) as { role: string }).role, "agent");
  });

  it("`replay --all` and `verify --all` find everything identical and intact (CORE-6)", async () => {
    const cancelled = await cli(["cancel", RUN, "--reason", "the end"]);
    assert.equal(cancelled.exit, 0, cancelled.err);
    const replay = await cli(["replay", "--all"]);
    assert.equal(replay.exit, 0, replay.out);
    assert.match(replay.out, /identical {2}refund-assistant_cli/);
    const verify = await cli(["verify", RUN]);
    assert.equal(verify.exit, 0, verify.out);
    assert.match(verify.out, /^intact {2}refund-assistant_cli {2}\d+ event\(s\) {2}sha256:/);
    assert.equal((await cli(["verify", "refund-assistant_nobody"])).exit, 2);
  });
});
