/** What persons decide from the command line: by role, by number, with an edit, for more than one action. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ApprovalRow } from "../../services/projection/index-store.ts";
import type { RunView, WhyView } from "../../services/projection/views.ts";
import { type DemoPlane, startDemoPlane } from "./demo-plane.ts";

const AGENT = "refund-assistant";
const refund = (amount_usd: number, charge_id = "ch_1002") => ({ charge_id, amount_usd, reason: "goodwill" });

describe("decisions of persons (APP-2, APP-3)", () => {
  let demo: DemoPlane;
  before(async () => void (demo = await startDemoPlane()));
  after(() => demo?.stop());

  /** Starts a run of this id and proposes what asks; returns the action. */
  async function asked(id: string, amount: number, charge?: string): Promise<string> {
    await demo.start(id);
    const answer = await demo.propose(id, "stripe.create_refund", refund(amount, charge));
    assert.equal(answer.exit, 5, JSON.stringify(answer));
    return answer.action as string;
  }
  const decide = async (verb: string, id: string, action: string, ...more: string[]) =>
    demo.cli([verb, `${AGENT}_${id}`, action, "--digest", await demo.digestOf(`${AGENT}_${id}`, action), ...more]);

  it("`approvals` shows amount, role, how many have approved, marks and risk", async () => {
    const action = await asked("listed", 480, "ch_listed");
    const { exit, out } = await demo.cli(["approvals"]);
    assert.equal(exit, 0);
    assert.match(out, new RegExp(`${AGENT}_listed +${action} +stripe\\.create_refund +480 USD +0 of 1 approver +0\\.30 `));
    const { approvals } = await demo.json<{ approvals: ApprovalRow[] }>("approvals");
    const one = approvals.find(({ run }) => run === `${AGENT}_listed`);
    assert.deepEqual({ count: one?.count, grants: one?.grants, agent: one?.about.agent, effect: one?.about.effect, amount: one?.about.amount }, {
      count: 1, grants: 0, agent: AGENT, effect: "write", amount: "480 USD",
    });
  });

  it("a person without the role is refused, with who could; two of finance are asked for what is large, and one of them is not enough", async () => {
    const action = await asked("large", 6000, "ch_large");
    const ada = await decide("approve", "large", action);
    assert.equal(ada.exit, 3);
    assert.match(ada.err, /approval\.role: `ada` does not hold the role `finance`\nhelp: .*finance/);
    const fay = await decide("approve", "large", action, "--as", "demo-finance", "--reason", "looked into it");
    assert.equal(fay.exit, 5, fay.err);
    assert.match(fay.out, /approved by 1 of 2/);
    const again = await decide("approve", "large", action, "--as", "demo-finance");
    assert.equal(again.exit, 3);
    assert.match(again.err, /approval\.twice: .*\nhelp: approvers are counted as persons/);
    const finn = await decide("approve", "large", action, "--as", "demo-finance-2");
    assert.equal(finn.exit, 0, finn.err);
    const why = await demo.json<WhyView>("why", `${AGENT}_large`, action);
    assert.deepEqual(why.permission.approvals.flatMap(({ decisions }) => decisions.map(({ by, person, reason }) => [by, person?.subject, reason])), [
      ["fay", "fay@example.com", "looked into it"],
      ["finn", "finn@example.com", undefined],
    ]);
  });

  it("`edit` shows the difference, becomes a new action that nobody has approved yet, and tells the agent and whoever asks", async () => {
    const action = await asked("edited", 480, "ch_edited");
    const same = await demo.cli(["edit", `${AGENT}_edited`, action, "--input", JSON.stringify(refund(480, "ch_edited"))]);
    assert.equal(same.exit, 2);
    assert.match(same.err, /the new input is the old one\nhelp: .*signalbox approve/);
    const bad = await decide("edit", "edited", action, "--input", JSON.stringify({ ...refund(400, "ch_edited"), charge_id: 7 }));
    assert.equal(bad.exit, 3);
    assert.match(bad.err, /\(at `\/input\/charge_id`\)/);
    const typed = await demo.cli(["edit", `${AGENT}_edited`, action, "--reason", "one item was kept", "--input", JSON.stringify(refund(400, "ch_edited"))], { tty: true, input: "yes\n" });
    assert.equal(typed.exit, 5, typed.err);
    assert.match(typed.out, /you change[^\n]*\n +\/amount_usd: 480 -> 400/);
    const replacement = /is now (a\d+)/.exec(typed.out)?.[1] ?? "";
    assert.match(typed.out, new RegExp(`asked anew, as request q\\d+: 1 of approver\\n.*next: signalbox approve ${AGENT}_edited ${replacement}`));
    const shown = await demo.cli(["approve", `${AGENT}_edited`, replacement]);
    assert.match(shown.out, new RegExp(`edited +by ada, instead of ${action}\\n +/amount_usd: 480 -> 400`));
    assert.equal((await decide("approve", "edited", replacement)).exit, 0);
    const before = await demo.cli(["why", `${AGENT}_edited`, action]);
    assert.match(before.out, new RegExp(`replaced +by ${replacement}`));
    assert.match(before.out, /edited +by ada at .*: "one item was kept"/);
    const run = await demo.json<RunView>("show", `${AGENT}_edited`);
    const now = run.actions.find(({ action: id }) => id === replacement);
    assert.deepEqual([now?.edited?.from, now?.edited?.by, now?.input], [action, "ada", refund(400, "ch_edited")]);
  });

  it("a standing approval covers later actions of its shape within its limits, and nothing beyond", async () => {
    const action = await asked("standing", 120, "ch_standing");
    const wide = await decide("approve", "standing", action, "--standing", "--vary", "/charge_id", "--uses", "2", "--for", "10m");
    assert.equal(wide.exit, 3, "the contract lets nobody vary the charge");
    const options = ["--standing", "--vary", "/amount_usd", "/reason", "--uses", "2", "--max-amount", "150", "--max-total", "300", "--for", "10m"];
    const approved = await decide("approve", "standing", action, ...options);
    assert.equal(approved.exit, 0, approved.err);
    assert.match(approved.out, /it also stands for 2 later action\(s\) of this run within 600 s, whose input differs in \/amount_usd, \/reason, each at most 150, together at most 300/);
    const covered = await demo.propose("standing", "stripe.create_refund", refund(110, "ch_standing"), "--wait=20");
    assert.equal(covered.status, "succeeded", JSON.stringify(covered));
    const other = await demo.propose("standing", "stripe.create_refund", refund(110, "ch_other"));
    assert.equal(other.status, "pending", "another charge is another shape");
    const why = await demo.json<WhyView>("why", `${AGENT}_standing`, covered.action as string);
    assert.equal(why.permission.decided_by, "standing");
    assert.deepEqual([why.permission.standing?.by, why.permission.standing?.action], ["ada", action]);
    const show = await demo.cli(["show", `${AGENT}_standing`]);
    assert.match(show.out, new RegExp(`standing approval q\\d+ by ada: 1 of 2 use\\(s\\), ${covered.action}`));
  });

  it("what nobody lets stand is not asked to: the tool without `standing_approval` is named, and nothing is sent", async () => {
    await demo.start("tainted");
    assert.equal((await demo.propose("tainted", "zendesk.read_ticket", { ticket_id: "T-1001" }, "--wait=20")).status, "succeeded");
    const { action } = await demo.propose("tainted", "stripe.create_refund", refund(10, "ch_tainted"));
    const refused = await decide("approve", "tainted", action as string, "--standing", "--uses", "2", "--for", "10m");
    assert.equal(refused.exit, 3);
    const show = await demo.cli(["show", `${AGENT}_tainted`]);
    assert.match(show.out, /marks +tainted, pii, by output of a\d+ zendesk\.read_ticket/);
    const shown = await demo.cli(["approve", `${AGENT}_tainted`, action as string]);
    assert.match(shown.out, /tainted +the agent was given output that is not trusted/);
    const cleansed = await demo.cli(["cleanse", `${AGENT}_tainted`, "--reason", "read the ticket: nothing in it speaks to the agent"]);
    assert.equal(cleansed.exit, 0, cleansed.err);
    assert.match(cleansed.out, /taint\.lowered/);
    const clean = await demo.propose("tainted", "stripe.create_refund", refund(12, "ch_clean"), "--wait=20");
    assert.equal(clean.status, "succeeded", (await demo.cli(["why", `${AGENT}_tainted`, clean.action as string])).out);
    const after = await demo.json<RunView>("show", `${AGENT}_tainted`);
    assert.deepEqual([after.marks.tainted, after.marks.labels], [false, ["pii"]]);
  });

  it("without a token only reads are possible, and a plain name is no token (ID-3)", async () => {
    for (const [id, ...who] of [["nobody"], ["claimed", "--principal", "kim"]] as const) {
      const { exit, err } = await demo.cli(["propose", "--start", "--run", id, "--goal", "x", ...who]);
      assert.equal(exit, 0, err);
      const denied = await demo.propose(id, "stripe.create_refund", refund(5, "ch_x"));
      assert.equal(denied.exit, 4);
      assert.deepEqual(denied.reasons?.some(({ code }) => code.startsWith("principal.")), true, JSON.stringify(denied.reasons));
    }
    const token = (await demo.cli(["token", "--agent", AGENT, "--run", `${AGENT}_other`, "--subject", "kim"])).out.trim();
    const stolen = await demo.cli(["propose", "--start", "--run", "stolen", "--goal", "x", "--token", token]);
    assert.equal(stolen.exit, 3);
    assert.match(stolen.out + stolen.err, /principal\.run/);
    assert.ok(!(stolen.out + stolen.err).includes(token));
    assert.equal((await demo.cli(["propose", "--start", "--run", "two", "--goal", "x", "--token", token, "--subject", "kim"])).exit, 2);
  });

  it("the compliance export names persons, issuers, edits and standing approvals (AUD-4)", async () => {
    const { records } = JSON.parse((await demo.cli(["export", "--all", "--compliance", "--json"])).out) as { records: Record<string, unknown>[] };
    const of = (run: string) => records.filter((record) => record["run"] === `${AGENT}_${run}`);
    assert.deepEqual([...new Set(of("edited").map(({ issuer, principal, verified }) => `${String(issuer)} ${String(principal)} ${String(verified)}`))], ["urn:signalbox:demo-issuer edited true"]);
    assert.deepEqual(of("edited").map(({ decided_by }) => decided_by), ["edit", "person"]);
    assert.ok(of("standing").some(({ decided_by, standing_approval }) => decided_by === "standing" && typeof standing_approval === "string"));
    const csv = (await demo.cli(["export", "--all", "--compliance", "--whole"])).out;
    assert.match(csv, /"edit by ada \(urn:signalbox:demo-issuer\|ada@example\.com\) at [^"]*: one item was kept"/);
    // the contract says `pii_redaction: true`: what people wrote is in no list that nobody asked to be whole
    const redacted = (await demo.cli(["export", "--all", "--compliance"])).out;
    assert.match(redacted, /"edit by ada \(urn:signalbox:demo-issuer\|ada@example\.com\) at [^"]*: \[redacted\]"/);
    assert.doesNotMatch(redacted, /one item was kept/);
  });
});
