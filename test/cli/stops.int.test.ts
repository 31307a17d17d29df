/** The emergency brake from the command line, and what it finds on its way (GUARD-9, ID-2); accounts (GUARD-7). */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { LedgerRow } from "../../services/projection/index-ledgers.ts";
import type { StopRow } from "../../services/projection/index-stops.ts";
import type { FlightAnswer, LedgerAnswer, RunView, StatusAnswer } from "../../services/projection/views.ts";
import { type DemoPlane, startDemoPlane } from "./demo-plane.ts";

const AGENT = "refund-assistant";
const refund = (amount_usd: number, charge_id: string) => ({ charge_id, amount_usd });
const SLOW = {
  name: "slow.book",
  description: "Books for as long as a test wants.",
  effect: "write",
  tags: ["pci"],
  region: "eu-west-1",
  adapter: "nats",
  timeout_ms: 60_000,
  trusted: true,
  input: { type: "object", additionalProperties: false, properties: { n: { type: "integer" } } },
  output: { type: "object", additionalProperties: false, properties: { seen: { type: "boolean" } } },
};
const WATCHER = {
  agent: { name: "watcher", version: "2.0.0", owner: "ops", team: "finance", purpose: "books what takes long" },
  budgets: { max_steps: 40 },
  tools: { allowlist: [{ name: "slow.book" }] },
};

describe("the emergency brake from the command line", () => {
  let demo: DemoPlane;
  const holding: (() => void)[] = [];
  const calls: number[] = [];
  let called = Promise.withResolvers<void>();
  before(async () => {
    demo = await startDemoPlane();
    await demo.apply(SLOW, WATCHER);
    const tools = await demo.box("tool", "slow-1", "slow.book");
    await tools.tool<{ n: number }>("slow.book", async ({ n }) => {
      calls.push(n);
      called.resolve();
      await new Promise<void>((release) => holding.push(release));
      return { seen: true };
    });
    assert.equal((await demo.cli(["creds", "issue", "--role", "agent", "--name", "watcher"])).exit, 0);
  });
  after(async () => {
    for (const release of holding) release();
    await demo?.stop();
  });

  it("`stop` is acknowledged, lists what was claimed before it, and refuses everything after it", async () => {
    await demo.start("before");
    await demo.start("watched", "--as", "watcher");
    const looking = await demo.propose("watched", "slow.book", { n: 1 }, "--as", "watcher");
    await called.promise;
    const wide = await demo.json<FlightAnswer>("in-flight");
    assert.deepEqual(wide.in_flight.map(({ run, action, tool, agent, version, team, principal }) => ({ run, action, tool, agent, version, team, principal })), [
      { run: "watcher_watched", action: looking.action, tool: "slow.book", agent: "watcher", version: "2.0.0", team: "finance", principal: "urn:signalbox:demo-issuer|watched" },
    ]);
    assert.deepEqual((await demo.json<FlightAnswer>("in-flight", "agent:refund-assistant")).in_flight, []);
    const stopped = await demo.cli(["stop", "all", "--reason", "refunds twice"]);
    assert.equal(stopped.exit, 0, stopped.err);
    assert.match(stopped.out, /^stopped {2}s1 {2}all {2}at .*: nothing in it starts from here on/);
    assert.match(stopped.out, /in flight: claimed before, they may be happening outside\n.*\n *watcher_watched +a\d+ +1 +started +slow\.book/);
    assert.match(stopped.out, /next, by another person: signalbox lift s1/);
    const proposed = await demo.propose("before", "stripe.create_refund", refund(5, "ch_stopped"));
    assert.equal(proposed.exit, 4);
    assert.deepEqual(proposed.reasons?.map(({ code }) => code), ["guard.stopped"]);
    const started = await demo.cli(["propose", "--start", "--run", "during", "--goal", "x", "--subject", "kim"]);
    assert.equal(started.exit, 3);
    assert.match(started.out + started.err, /guard\.stopped/);
    const why = await demo.cli(["why", `${AGENT}_before`, proposed.action as string]);
    assert.match(why.out, /settled by stop/);
    assert.match(why.out, /stop +s1 \(stop\) of all: "refunds twice"/);
    const status = await demo.json<StatusAnswer>("status");
    assert.deepEqual([status.stops_standing, status.in_flight], [1, 1]);
  });

  it("another person lifts it, with a reason; the same one cannot, and a stranger to the list is told so", async () => {
    const same = await demo.cli(["lift", "s1", "--reason", "never mind"]);
    assert.equal(same.exit, 3);
    assert.match(same.err, /guard\.same_person: .*\nhelp: ask a second operator/);
    assert.equal((await demo.cli(["lift", "s99", "--reason", "x", "--as", "second-operator"])).exit, 3);
    const lifted = await demo.cli(["lift", "s1", "--reason", "mended", "--as", "second-operator"]);
    assert.equal(lifted.exit, 0, lifted.err);
    assert.match(lifted.out, /^lifted {2}s1 {2}all/);
    assert.equal((await demo.propose("before", "stripe.create_refund", refund(5, "ch_lifted"), "--wait=20")).status, "succeeded");
    const { stops } = await demo.json<{ stops: StopRow[] }>("stops");
    assert.deepEqual(stops.map(({ stop, scope, by, reason, lifted_by, lifted_reason }) => [stop, scope, by, reason, lifted_by, lifted_reason]), [
      ["s1", "all", "operator", "refunds twice", "second-operator", "mended"],
    ]);
    assert.match((await demo.cli(["stops"])).out, /s1 +lifted +stop +all +operator +refunds twice .*second-operator: mended/);
  });

  it("only an operator stops: an agent, an approver and an auditor are refused by the broker", async () => {
    for (const context of ["demo-agent", "demo-approver", "auditor"]) {
      assert.equal((await demo.cli(["stop", "all", "--reason", "x", "--as", context])).exit, 4, context);
    }
    assert.equal((await demo.json<{ stops: StopRow[] }>("stops")).stops.length, 1);
  });

  it("`revoke` stops an agent and takes its credentials away, and says which of the two was done", async () => {
    const revoked = await demo.cli(["revoke", "agent:watcher", "--reason", "its key leaked"]);
    assert.equal(revoked.exit, 0, revoked.err);
    assert.match(revoked.out, /^revoked {2}s\d+ {2}agent:watcher/);
    assert.match(revoked.out, /credentials {2}taken away, and their connections closed: agent watcher/);
    const after = await demo.cli(["propose", "--start", "--run", "again", "--goal", "x", "--as", "watcher"]);
    assert.notEqual(after.exit, 0, "its credential logs in no more");
    const issued = await demo.cli(["creds", "issue", "--role", "agent", "--name", "watcher"]);
    assert.notEqual(issued.exit, 0);
    assert.match(issued.err, /was revoked/);
    const principal = await demo.cli(["revoke", "principal:urn:signalbox:demo-issuer|mallory", "--reason", "left"]);
    assert.equal(principal.exit, 0, principal.err);
    assert.match(principal.out, /credentials {2}none: a principal logs in nowhere/);
    const team = await demo.cli(["revoke", "team:support", "--reason", "x"]);
    assert.equal(team.exit, 3);
    assert.match(team.err, /guard\.not_revocable/);
  });

  it("`revoke` without the plane's keys makes the guard's entry alone, says so, and exits with 6", async () => {
    const elsewhere = { SIGNALBOX_DATA: `${demo.folder}-elsewhere`, NATS_URL: demo.plane.url, NATS_CREDS: `${demo.folder}/creds/operator.creds` };
    const { exit, out } = await demo.cli(["revoke", "agent:stranger", "--reason", "x"], { env: elsewhere });
    assert.equal(exit, 6);
    assert.match(out, /^revoked {2}s\d+ {2}agent:stranger/);
    assert.match(out, /credentials {2}not taken away: the plane's keys are not in/);
  });

  it("a lifted revocation lets new credentials be issued, and brings no old one back", async () => {
    const { stops } = await demo.json<{ stops: StopRow[] }>("stops");
    const stop = stops.find(({ scope }) => scope === "agent:watcher")?.stop ?? "";
    const lifted = await demo.cli(["lift", stop, "--reason", "a new key", "--as", "second-operator"]);
    assert.equal(lifted.exit, 0, lifted.err);
    assert.match(lifted.out, /new ones may be issued: signalbox creds issue/);
    assert.notEqual((await demo.cli(["propose", "--run", "watched", "--note", "x", "--as", "watcher"])).exit, 0);
    assert.equal((await demo.cli(["creds", "issue", "--role", "agent", "--name", "watcher"])).exit, 0);
    const noted = await demo.cli(["propose", "--run", "watched", "--note", "back", "--as", "watcher"]);
    assert.equal(noted.exit, 0, noted.err);
  });

  it("`ledger` shows what accounts hold and have spent, and which runs hold of them (GUARD-7)", async () => {
    const { ledgers } = await demo.json<{ ledgers: LedgerRow[] }>("ledger", "--unit", "cost");
    const team = ledgers.find(({ ledger }) => ledger.startsWith("team.support."));
    assert.ok(team !== undefined, JSON.stringify(ledgers));
    assert.ok(team.total > 0 && team.cap !== null && team.total <= team.cap);
    const account = await demo.json<LedgerAnswer>("ledger", team.ledger);
    assert.ok(account.holders.some(({ run }) => run === `${AGENT}_before`));
    const today = await demo.cli(["ledger", "team.support"]);
    assert.equal(today.exit, 0, today.err);
    assert.match(today.out, /cost +\d{4}-\d\d-\d\d +[0-9.]+ USD +[0-9.]+ USD/);
    const show = await demo.cli(["show", `${AGENT}_before`]);
    assert.match(show.out, new RegExp(`${team.ledger.replaceAll(".", "\\.")} +cost +\\d{4}-\\d\\d-\\d\\d +[0-9.]+ USD`));
    assert.match(show.out, /amount\.[0-9a-f]{32}\.\S+ +amount per principal/);
    assert.equal((await demo.cli(["ledger", "team.nobody"])).exit, 2);
  });

  it("a run that ends gives back what it did not use, and owes nothing (GUARD-7)", async () => {
    const days = (await demo.json<RunView>("show", `${AGENT}_before`)).holdings.filter(({ window }) => !window.includes("T"));
    assert.ok(days.length > 0);
    const returned = (await demo.box("subscriber", "s1")).events({ type: "budget.returned", run: `${AGENT}_before` });
    const owing = (await demo.json<StatusAnswer>("status")).runs_owing;
    assert.equal((await demo.cli(["propose", "--run", "before", "--finish"])).exit, 0);
    let left = days.length;
    for await (const { data } of returned) if (data.last && --left === 0) break;
    const after = await demo.json<RunView>("show", `${AGENT}_before`);
    assert.deepEqual([...new Set(after.holdings.filter(({ window }) => !window.includes("T")).map(({ done }) => done))], [true]);
    assert.equal((await demo.json<StatusAnswer>("status")).runs_owing, owing - 1);
    const spent = days.find(({ unit, ledger }) => unit === "cost" && ledger.startsWith("team."))?.ledger ?? "";
    const { holders } = await demo.json<LedgerAnswer>("ledger", spent);
    const own = holders.find(({ run }) => run === `${AGENT}_before`);
    assert.deepEqual([own?.done, (own?.granted ?? 0) - (own?.unused ?? 0)], [1, after.spend.settled_micro_usd]);
  });

  it("the compliance export lists each stop with who made it and who lifted it (AUD-4)", async () => {
    const { records } = JSON.parse((await demo.cli(["export", "--all", "--compliance", "--json"])).out) as { records: { kind: string; run: string; state: string; reviews: { by: string; person?: string; decision: string }[] }[] };
    const stop = records.find(({ kind, run }) => kind === "stop" && run === "all");
    assert.deepEqual(stop?.reviews.map(({ by, person, decision }) => [decision, by, person]), [
      ["stop", "operator", "urn:signalbox:demo-issuer|olga@example.com"],
      ["lift", "second-operator", "urn:signalbox:demo-issuer|omar@example.com"],
    ]);
  });
});
