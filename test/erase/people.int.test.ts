/** Law 10 and AUD-3 as people meet them: an approver reads what an auditor cannot, and an operator erases it with one command. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus } from "../../services/bus/connection.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { type DemoPlane, startDemoPlane } from "../cli/demo-plane.ts";
import { holding } from "./ward.ts";

const AGENT = "refund-assistant";
const PLANTED = "planted-because-of-her-illness";
const refund = (charge_id: string, reason = PLANTED) => ({ charge_id, amount_usd: 480, reason });
let demo: DemoPlane;
before(async () => {
  demo = await startDemoPlane();
  const text = await readFile(new URL("../../infra/demo/contracts/refund-assistant.yaml", import.meta.url), "utf8");
  const contract = parse(text) as { tools?: { allowlist: { name: string; personal?: object[] }[] }; agent: { tools?: { allowlist: { name: string; personal?: object[] }[] } } };
  const { allowlist } = contract.tools ?? contract.agent.tools!;
  for (const entry of allowlist) if (entry.name === "stripe.create_refund") entry.personal = [{ path: "reason", subject: "charge_id" }];
  await demo.apply(contract);
});
after(() => demo?.stop());

/** Everything but what the demo's tools wrote down themselves: they are the world outside. */
const found = async (text: string) => (await holding(demo.folder, text)).filter((file) => !file.startsWith("demo/"));
async function asked(id: string, charge = `ch_${id}`): Promise<string> {
  await demo.start(id);
  const answer = await demo.propose(id, "stripe.create_refund", refund(charge));
  assert.equal(answer.exit, 5, JSON.stringify(answer));
  return answer.action as string;
}

describe("law 10: who sees what is personal", () => {
  it("an approver is shown it, and nobody else: no answer, export, timeline or file holds it", async () => {
    const action = await asked("shown");
    const { out } = await demo.cli(["approve", `${AGENT}_shown`, action]);
    assert.match(out, new RegExp(PLANTED));
    assert.match(out, /personal, and opened for you alone: \/input\/reason/);
    for (const command of [["show", `${AGENT}_shown`], ["why", `${AGENT}_shown`, action], ["export", `${AGENT}_shown`, "-o", join(demo.folder, "evidence.jsonl")], ["approvals"], ["tail", "--from", "1", "--no-follow"]]) {
      const said = await demo.cli([...command, "--json"]);
      assert.equal(said.exit, 0, said.err);
      assert.ok(!said.out.includes(PLANTED), command.join(" "));
    }
    assert.deepEqual(await found(PLANTED), []);
  });

  it("a program that decides for a person reads it with the client", async () => {
    const action = await asked("client");
    const box = await demo.box("approver", "ada");
    const run = `${AGENT}_client`;
    const { approvals } = await demo.json<{ approvals: { run: string; action: string; request: string }[] }>("approvals");
    const { request } = approvals.find((one) => one.run === run && one.action === action)!;
    assert.deepEqual(await box.approvals.personal(run, request), [{ path: "/action_document/input/reason", value: PLANTED }]);
    await assert.rejects(box.approvals.personal(run, "q9999"), /asked nobody/);
  });

  it("the broker lets nobody else ask, and an approver only under their own name", async () => {
    const ns = namespace("default");
    for (const [role, name, as] of [["auditor", "auditor-2", "auditor-2"], ["operator", "operator-2", "ada"], ["approver", "fay", "ada"], ["agent", AGENT, "ada"]] as const) {
      const { creds, inboxPrefix } = await issueCreds(demo.plane.keys, { role, name, ns });
      const nc = await connectBus({ url: demo.plane.url, name, creds, inboxPrefix });
      await assert.rejects(nc.request(subjects.reveal(ns, as as never), "{}", { timeout: 3000 }), `${role} ${name}`);
      await nc.close();
    }
  });

  it("an edit that leaves a personal field as it is changes only the rest", async () => {
    const action = await asked("edit");
    const run = `${AGENT}_edit`;
    const same = await demo.cli(["edit", run, action, "--input", JSON.stringify(refund("ch_edit"))]);
    assert.match(same.err, /the new input is the old one/);
    const { out, err } = await demo.cli(["edit", run, action, "--digest", await demo.digestOf(run, action), "--input", JSON.stringify({ ...refund("ch_edit"), amount_usd: 470 })]);
    assert.match(out, /\/amount_usd: 480 -> 470/, err);
    assert.doesNotMatch(out, /\/reason: /);
    assert.deepEqual(await found(PLANTED), []);
  });
});

describe("AUD-3: `erase`", () => {
  it("erases, says so, and leaves chains and replay as they were", async () => {
    const action = await asked("erased");
    const run = `${AGENT}_erased`;
    const told = await demo.json<{ subject: string; key: string; completed_at: string }>("erase", "ch_erased", "--reason", "request 7");
    assert.match(told.subject, /^[0-9a-f]{32}$/);
    assert.ok(told.completed_at);
    const { out } = await demo.cli(["approve", run, action]);
    assert.match(out, /\(erased\)/);
    assert.ok(!out.includes(PLANTED));
    const compliance = (await demo.cli(["export", "--all", "--compliance", "--json"])).out;
    const record = compliance.split("\n").find((line) => line.includes(told.key) && line.includes("erasure"));
    assert.ok(compliance.includes(told.key) && compliance.includes("erasure"), record ?? "the erasure is listed");
    assert.equal((await demo.cli(["verify", "--all"])).exit, 0);
    assert.equal((await demo.cli(["replay", "--all"])).exit, 0);
    assert.deepEqual(await found(PLANTED), []);
  });

  it("judging again has three results: the same, otherwise, and not recomputable because erased, which is wrong unless it is allowed", async () => {
    const run = `${AGENT}_judged`;
    await asked("judged");
    const judged = async (...more: string[]) => {
      const { exit, out } = await demo.cli(["replay", ...more, "--judge", "--json"]);
      const { reports } = JSON.parse(out) as { reports: { name: string; difference?: unknown; events: number; identical: number; judge?: { same: number; sealed: number; erased: { action: string }[]; differences: unknown[] } }[] };
      const one = reports.find(({ name }) => name === run);
      assert.deepEqual([one?.difference, one?.identical], [undefined, one?.events], "every event is identical");
      return { exit, same: one?.judge?.same, sealed: one?.judge?.sealed, erased: one?.judge?.erased.length, differences: one?.judge?.differences.length };
    };
    assert.deepEqual(await judged(run), { exit: 0, same: 1, sealed: 1, erased: 0, differences: 0 });
    await demo.json("erase", "ch_judged");
    const gone = { same: 0, sealed: 0, erased: 1, differences: 0 };
    assert.deepEqual(await judged(run), { exit: 6, ...gone });
    assert.deepEqual(await judged(run, "--allow-erased"), { exit: 0, ...gone });
    assert.deepEqual(await judged("--all"), { exit: 6, ...gone });
    assert.deepEqual(await judged("--all", "--allow-erased"), { exit: 0, ...gone });
    assert.match((await demo.cli(["replay", run, "--judge"])).out, /0 of 1 proposal\(s\) judged the same, 1 not recomputable because erased/);
    assert.equal((await demo.cli(["replay", run])).exit, 0, "exact replay needs nothing that was erased");
  });

  it("an export that was made after the erasure says so itself, proved by a checkpoint as its runs are; one made before it does not", async () => {
    const run = `${AGENT}_exported`;
    await asked("exported");
    const file = (name: string) => join(demo.folder, `${name}.jsonl`);
    const states = new Set<string | undefined>();
    const keys = join(demo.folder, "witness", "witness-keys.json");
    const judged = async (name: string, ...more: string[]) => {
      const { exit, out } = await demo.cli(["replay", "--file", file(name), ...more, "--judge", "--json"]);
      const { reports } = JSON.parse(out) as { reports: { name: string; state_hash: string; judge?: { same: number; erased: unknown[] } }[] };
      const one = reports.find(({ name }) => name === run);
      states.add(one?.state_hash);
      return [exit, one?.judge?.same, one?.judge?.erased.length];
    };
    await demo.json("export", run, "--whole", "-o", file("before"));
    await demo.json("erase", "ch_exported");
    await demo.json("checkpoint");
    await demo.json("export", run, "--whole", "-o", file("after"));
    await demo.json("export", "--team", "support", "--whole", "-o", file("team"));
    assert.deepEqual(await judged("before"), [0, 1, 0], "nobody had erased anything of it by then");
    for (const name of ["after", "team"]) {
      assert.deepEqual(await judged(name), [6, 0, 1], name);
      assert.deepEqual(await judged(name, "--allow-erased"), [0, 0, 1], name);
      const verified = await demo.json<{ file: { attested: { newer: number; fault?: string }[] }; reports: { kind: string }[] }>("verify", "--file", file(name), "--keys", keys);
      assert.deepEqual(verified.file.attested.map(({ newer, fault }) => [newer, fault]), [[0, undefined]], name);
      assert.deepEqual(verified.reports.filter(({ kind }) => kind !== "run").map(({ kind }) => kind), ["erasure"], name);
    }
    assert.deepEqual(await judged("team", "--run", run), [6, 0, 1], "a single run out of the file too");
    assert.deepEqual([states.size, states.has(undefined)], [1, false], "what its events amount to is the same, erased or not");
    const lines = (await readFile(file("after"), "utf8")).split("\n");
    const without = file("without");
    await writeFile(without, lines.filter((line) => !(line.includes('"kind":"event"') && line.includes(".log.erasure."))).join("\n"));
    assert.equal((await demo.cli(["verify", "--file", without])).exit, 6, "what was left out of it is missed");
  });

  it("`replay --follow --judge` counts what cannot be recomputed apart, and ends with 6 unless it is allowed", async () => {
    const run = `${AGENT}_followed`;
    await asked("followed");
    await demo.json("erase", "ch_followed");
    const followed = async (...more: string[]) => {
      const stop = new AbortController();
      const onOutput = (out: string) => out.includes('"count"') && stop.abort();
      const { exit, out } = await demo.cli(["replay", "--follow", ...more, "--json"], { signal: stop.signal, onOutput });
      const { count } = JSON.parse(out.trim().split("\n").at(-1) as string) as { count: { wrong: number; erased?: number; unknown?: number } };
      return [exit, count.wrong, count.erased, count.unknown];
    };
    assert.deepEqual(await followed(run, "--judge"), [6, 0, 1, 0]);
    assert.deepEqual(await followed(run, "--judge", "--allow-erased"), [0, 0, 1, 0]);
    assert.deepEqual(await followed(run), [0, 0, undefined, undefined], "nothing is judged without `--judge`");
  });

  it("refuses a subject of whom there is nothing, and whoever is no operator", async () => {
    const nobody = await demo.cli(["erase", "ch_nobody"]);
    assert.deepEqual([nobody.exit, /erasure\.nothing/.test(nobody.err)], [3, true], nobody.err);
    const approver = await demo.cli(["erase", "ch_shown", "--as", "demo-approver"]);
    assert.equal(approver.exit, 4, approver.err);
  });
});
