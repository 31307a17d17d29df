/** The command line without a plane: help, usage, exit codes. */
import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { namespace } from "../../schemas/ids.ts";
import { EVENT_TYPES, type EventBody } from "../../schemas/event.ts";
import { formatEvent } from "../../services/cli/format.ts";
import { PLAIN, paintFor, table } from "../../services/cli/io.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { signalbox } from "./terminal.ts";

const COMMANDS = [
  "status", "runs", "show", "why", "tail", "propose", "approvals", "approve", "refuse", "pause", "resume", "cancel",
  "resolve", "cleanse", "edit", "stop", "lift", "stops", "revoke", "in-flight", "ledger", "apply", "history", "policy rollback", "replay", "verify", "export", "whoami", "creds issue", "creds list", "token", "keys", "nats-config", "doctor",
];

describe("the command line", () => {
  let folder: string;
  let env: Record<string, string>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-cli-"));
    env = { SIGNALBOX_DATA: join(folder, "data"), XDG_CONFIG_HOME: join(folder, "config") };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const command of COMMANDS) {
    it(`\`${command} --help\` has examples and exits with 0`, async () => {
      const { exit, out } = await signalbox([...command.split(" "), "--help"]);
      assert.equal(exit, 0);
      assert.match(out, /Examples:\n {2}\$ .*signalbox /);
      assert.match(out, /--json/);
    });
  }

  it("the help names the exit codes", async () => {
    const { out } = await signalbox(["--help"]);
    assert.match(out, /0 done\s+2 usage\s+3 rejected\s+4 denied\s+5 waiting for a person\s+6 failed or in doubt\s+7 plane unreachable/);
  });

  it("a line that cannot be understood exits with 2 and says how to go on", async () => {
    const wrong = [["bogus"], ["show"], ["approve", "run"], ["replay"], ["replay", "a_b", "--all"], ["runs", "--limit", "many"], ["resolve", "a_b", "a2", "--outcome", "perhaps"], ["approve", "a_b", "a2", "--digest", "123"], ["approve", "a_b", "a2", "--digest", "not-hex-"],
      ["approve", "a_b", "a2", "--uses", "5"], ["approve", "a_b", "a2", "--standing", "--uses", "5"], ["approve", "a_b", "a2", "--standing", "--uses", "5", "--for", "soon"],
      ["approve", "a_b", "a2", "--standing", "--uses", "5", "--for", "1h", "--vary", "amount"], ["approve", "a_b", "a2", "--standing", "--uses", "5", "--for", "1h", "--max-amount", "-1"],
      ["edit", "a_b", "a2"], ["edit", "a_b", "a2", "--input", "{"], ["stop", "anything", "--reason", "x"], ["stop", "all"], ["revoke", "agent:"], ["lift", "s1"], ["in-flight", "agents"],
      ["ledger", "team support"], ["ledger", "--unit", "eur"], ["cleanse", "a_b"],
    ];
    for (const args of wrong) {
      const { exit, err, out } = await signalbox(args, { env });
      assert.equal(exit, 2, args.join(" "));
      assert.match(err, /^error: .+\nhelp: /, args.join(" "));
      assert.equal(out, "");
    }
  });

  it("without a plane every command that needs one exits with 7, in one line and a help", async () => {
    for (const args of [["status"], ["runs"], ["approvals"], ["propose", "--start", "--goal", "x"], ["pause", "a_b"], ["verify", "--all"], ["whoami"], ["stops"], ["in-flight"], ["ledger"], ["stop", "all", "--reason", "x"]]) {
      const { exit, err } = await signalbox(args, { env });
      assert.equal(exit, 7, args.join(" "));
      assert.match(err, /^error: no plane was found in .*\nhelp: start one with `npm start`.*\n$/);
    }
  });

  it("a context that does not exist is a usage error that says where it was looked for", async () => {
    const { exit, err } = await signalbox(["status", "--as", "nobody"], { env });
    assert.equal(exit, 2);
    assert.match(err, /there is no context `nobody` in/);
  });

  it("`doctor` looks at the machine even when there is no plane", async () => {
    const { exit, out } = await signalbox(["doctor"], { env });
    assert.equal(exit, 7);
    assert.match(out, /^ok node /m);
    assert.match(out, /^ok data folder /m);
    assert.match(out, /help: start one with `npm start`/);
  });

  it("`apply` lists every fault with file and line, and sends nothing (ID-1)", async () => {
    const file = join(folder, "broken.yaml");
    await writeFile(file, "agent:\n  name: refunds\n  owner: me\n  surprise: 1\n");
    const { exit, err } = await signalbox(["apply", file, "--dry-run"], { env });
    assert.equal(exit, 3);
    assert.match(err, /broken\.yaml:4:3: .*surprise/);
    assert.equal((await signalbox(["apply", join(folder, "missing.yaml")], { env })).exit, 2);
  });

  it("`creds issue` needs a plane's keys, and writes a file that nobody else may read", async () => {
    const args = ["creds", "issue", "--role", "agent", "--name", "helper"];
    const none = await signalbox(args, { env });
    assert.equal(none.exit, 2);
    assert.match(none.err, /there is no plane in/);
    await openKeys(env["SIGNALBOX_DATA"] as string, [namespace("default")]);
    const issued = await signalbox([...args, "--json"], { env });
    assert.equal(issued.exit, 0, issued.err);
    const { creds, context, inbox_prefix } = JSON.parse(issued.out) as Record<string, string>;
    assert.equal(inbox_prefix, "_INBOX_agent_helper");
    for (const path of [creds, context]) assert.equal((await stat(path as string)).mode & 0o777, 0o600);
    const printed = await signalbox([...args, "-o", "-"], { env });
    assert.match(printed.out, /^-----BEGIN NATS USER JWT-----/);
  });

  it("`creds issue` never turns one role's context into another's (CORE-1)", async () => {
    const { exit, err } = await signalbox(["creds", "issue", "--role", "approver", "--name", "helper"], { env });
    assert.equal(exit, 2);
    assert.match(err, /is another's: agent helper/);
    assert.equal((await signalbox(["creds", "issue", "--role", "king", "--name", "x"], { env })).exit, 2);
    assert.equal((await signalbox(["creds", "issue", "--role", "tool", "--name", "x"], { env })).exit, 2);
    assert.equal((await signalbox(["creds", "issue", "--role", "agent", "--name", "x", "--ns", "finance"], { env })).exit, 2);
  });

  it("`nats-config` prints a configuration without any seed", async () => {
    const { exit, out } = await signalbox(["nats-config"], { env });
    assert.equal(exit, 0);
    assert.match(out, /resolver_preload/);
    assert.doesNotMatch(out, /\bS[AUOC][A-Z2-7]{54,}\b/);
  });
});

describe("what is printed", () => {
  it("colours go to a terminal only, and never with NO_COLOR", () => {
    assert.notEqual(paintFor({ write: () => 0, isTTY: true }, {}).red("x"), "x");
    assert.equal(paintFor({ write: () => 0, isTTY: true }, { NO_COLOR: "1" }).red("x"), "x");
    assert.equal(paintFor({ write: () => 0 }, {}).red("x"), "x");
  });

  it("tables are aligned, numbers to the right, hostile cells made visible", () => {
    assert.equal(table(["NAME", "N"], [["a\u202e", 5], ["bbb", 100]], PLAIN), "NAME       N\na\\u202e    5\nbbb      100");
  });

  it("every event type has a line, whatever its data holds", () => {
    for (const type of EVENT_TYPES) {
      const body = { v: 1, ns: "default", run: "refunds_1", seq: 3, part: [1, 1], at: "2026-01-01T10:20:30.400Z", type, from: "a", to: "b", cause: { id: "i", kind: "propose", actor: "refunds", time: "" }, machine: "1", data: {}, prev: new Uint8Array(32) };
      const data = { approvers: [], policies: [], reasons: [{ code: "x.y", message: "" }], text: "hi\u001b[2J", goal: "hi\u001b[2J" };
      const text = formatEvent({ body: { ...body, data } as unknown as EventBody, streamSeq: 1 });
      assert.match(text, /^10:20:30\.400 {2}refunds_1 {4}3 {2}[a-z_.]+ /);
      assert.ok(!text.includes("\u001b"));
    }
  });
});
