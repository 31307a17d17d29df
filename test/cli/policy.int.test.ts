/** `policy explain` and `policy history` on a whole plane, and judging again what it recorded (POL-1, POL-6, CORE-8). */
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { PolicyVersion } from "../../services/cli/policy-history.ts";
import type { Explanation } from "../../services/replay/explain.ts";
import { type DemoPlane, startDemoPlane } from "./demo-plane.ts";

const AGENT = "refund-assistant";

describe("policies, as a platform engineer asks about them", () => {
  let demo: DemoPlane;
  before(async () => void (demo = await startDemoPlane()));
  after(() => demo?.stop());

  it("POL-1 CORE-8 an explanation names the sum, the policies with their text, and the value at which the decision turns", async () => {
    await demo.start("explained");
    const large = await demo.propose("explained", "stripe.create_refund", { charge_id: "ch_explained", amount_usd: 480, reason: "goodwill" });
    const explanation = await demo.json<Explanation>("policy", "explain", `${AGENT}_explained`, large.action as string);
    assert.deepEqual([explanation.judgement.decision, explanation.request?.amount, explanation.request?.currency, explanation.caveat], ["ask", "480", "USD", undefined]);
    assert.equal(explanation.request?.amounts?.agent_day === undefined, false);
    const turn = explanation.turns.find(({ path, decision }) => path === "amount" && decision === "allow");
    assert.ok(turn !== undefined && Number(turn.to) < 480, JSON.stringify(explanation.turns));
    const { out } = await demo.cli(["policy", "explain", `${AGENT}_explained`, large.action as string]);
    assert.match(out, /What was asked[^]*amount +480[^]*What determined it[^]*permit refunds-by-assistant +default\/refunds\.cedar:\d+[^]*What would have to differ[^]*amount /);
  });

  it("CORE-6 POL-1 what the plane judged with its ledger is judged the same from its record", async () => {
    const { out, exit } = await demo.cli(["replay", `${AGENT}_explained`, "--judge"]);
    assert.equal(exit, 0, out);
    assert.match(out, /1 of 1 proposal\(s\) judged the same/);
  });

  it("APP-1 GUARD-7 an amount that is split over runs, to one target, asks as the whole would", async () => {
    const decisions: string[] = [];
    for (const [index, amount] of [60, 30, 20].entries()) {
      await demo.start(`split${index}`, "--subject", "split");
      const answer = await demo.propose(`split${index}`, "stripe.create_refund", { charge_id: "ch_split", amount_usd: amount, reason: "goodwill" });
      const { judgement } = await demo.json<Explanation>("policy", "explain", `${AGENT}_split${index}`, answer.action as string);
      decisions.push([judgement.decision, ...judgement.reasons.map(({ code }) => code)].join(" "));
    }
    assert.deepEqual(decisions, ["allow", "allow", "ask contract.per_target_day"]);
  });

  it("an action that is not there is not explained", async () => {
    const { exit, err } = await demo.cli(["policy", "explain", `${AGENT}_explained`, "a999"]);
    assert.equal(exit, 2);
    assert.match(err, /has no action `a999`/);
  });

  it("POL-6 the history of a set names versions, who applied them, and the change that they came with", async () => {
    const { versions } = await demo.json<{ versions: PolicyVersion[] }>("policy", "history");
    assert.deepEqual(versions.map(({ version, rolled_back_to }) => [version, rolled_back_to]), [[1, undefined]]);
    assert.match(versions[0]?.change ?? "", /^signalbox-registry_/);
    const { err, exit } = await demo.cli(["policy", "history", "nothing"]);
    assert.equal(exit, 2);
    assert.match(err, /no policy set `nothing` was ever applied/);
  });

  it("POL-1 a set whose fixtures fail is not put in force, and says where", async () => {
    const folder = join(demo.folder, "default");
    await cp(join(import.meta.dirname, "..", "..", "infra", "demo", "policies", "default"), folder, { recursive: true });
    await writeFile(join(folder, "wrong.fixtures.yaml"), "- name: nobody may do everything\n  request: { agent: { team: nobody } }\n  decision: allow\n");
    const { exit, err, out } = await demo.cli(["apply", "--yes", folder]);
    assert.equal(exit, 3, out);
    assert.match(err + out, /wrong\.fixtures\.yaml:3:3: `nobody may do everything`: expected `allow`, and the answer is `deny`/);
    assert.equal((await demo.json<{ versions: PolicyVersion[] }>("policy", "history")).versions.length, 1);
    assert.match(await readFile(join(folder, "wrong.fixtures.yaml"), "utf8"), /nobody/);
  });
});
