/** Rehearsals list what would diverge, and assert nothing behind it (CORE-6, law 5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CURRENT_VERSION, machineVersion, type MachineVersion } from "../../machines/versions.ts";
import type { EventDraft } from "../../schemas/event.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { timestamp } from "../../schemas/time.ts";
import { Library } from "../../services/replay/documents.ts";
import { Bench } from "../../services/replay/judge.ts";
import { rehearse, rehearseMachine, rehearsePolicy, type RehearsalReport } from "../../services/replay/rehearse.ts";
import { NS, office, OTHER_RUN, policies, type Recorder, recorded, RULES, RUN, tool } from "./recorded.ts";

async function underPolicy(recorder: Recorder, rules: string, since?: string): Promise<RehearsalReport[]> {
  const library = new Library(recorder.documents);
  const bench = new Bench(library);
  const value = policies(rules);
  const set = { digest: canonicalDigest(value), value };
  return rehearse(recorder.messages, (kind, name) => (kind === "run" ? rehearsePolicy(NS, name, bench, set, since) : undefined), library, since);
}
const told = (reports: readonly RehearsalReport[]) => reports.map(({ name, same, divergence, unknown }) => [name, same, divergence?.action, divergence?.computed, unknown]);
const recorder = recorded();
const first = recorder.state(RUN).actions.keys().next().value;

test("CORE-6 the policy set in force diverges nowhere", async () => {
  assert.deepEqual(told(await underPolicy(recorder, RULES)), [[RUN, 3, undefined, undefined, 0], [OTHER_RUN, 2, undefined, undefined, 0]]);
});

test("CORE-3 CORE-6 another rule lists exactly the actions whose decision would change; what follows in their runs is unknown", async () => {
  const [one, two] = [[...recorder.state(RUN).actions.keys()], [...recorder.state(OTHER_RUN).actions.keys()]];
  const noWrites = `${RULES}@id("no-writes") forbid (principal, action, resource) when { resource.effect == "write" };`;
  assert.deepEqual(told(await underPolicy(recorder, noWrites)), [[RUN, 1, one[1], "deny", 1], [OTHER_RUN, 0, two[0], "deny", 1]]);
  const asked = `${RULES}@id("ask-reads") @ask("reader") @approvals("2") forbid (principal, action, resource) when { resource.effect == "read" };`;
  assert.deepEqual(told(await underPolicy(recorder, asked)), [[RUN, 0, first, "ask 2 of reader", 2], [OTHER_RUN, 1, two[1], "ask 2 of reader", 0]]);
  const wiping = RULES.split("\n")[0] as string;
  // irreversible: what policy allows, the plane still asks about
  assert.deepEqual(told(await underPolicy(recorder, wiping)), [[RUN, 2, one[2], "ask 1 of approver", 0], [OTHER_RUN, 2, undefined, undefined, 0]]);
});

test("CORE-6 the same decision by other policies is no divergence, and is counted", async () => {
  const renamed = RULES.replace(`"all"`, `"everything"`);
  const reports = await underPolicy(recorder, renamed);
  assert.deepEqual(reports.map(({ divergence, other_policies }) => [divergence, other_policies]), [[undefined, 2], [undefined, 2]]);
});

test("CORE-6 GUARD-7 a rule that reads a sum of the day which nobody asked for then cannot be told", async () => {
  const plain = office();
  plain.apply({ kind: "tool", name: "t.read", value: tool("t.read", "read", { amount: { field: "amount", currency: "USD" } }) });
  plain.start(RUN);
  plain.propose(RUN, "t1", "t.read", { amount: 5 });
  const reads = `${RULES}@id("day") forbid (principal, action, resource) when { context has amounts && context.amounts has agent_day && context.amounts.agent_day.greaterThan(decimal("1.0")) };`;
  const [report] = await underPolicy(plain, reads);
  assert.deepEqual([report?.same, report?.divergence, report?.unknown, report?.why], [0, undefined, 1, "`a2`: the record has no sum of the day per agent"]);
  const [inRun] = await underPolicy(plain, reads.replaceAll("agent_day", "in_run").replace("context.amounts has in_run && ", ""));
  assert.deepEqual([inRun?.divergence?.computed, inRun?.unknown], ["deny", 0]);
});

test("CORE-6 `since` judges only what was proposed from then on", async () => {
  const denyAll = `@id("none") forbid (principal, action, resource);`;
  const at = recorder.of(OTHER_RUN).at(-4) as { time: number };
  const reports = await underPolicy(recorder, denyAll, timestamp(at.time - 5000));
  assert.deepEqual(reports.map(({ compared }) => compared), [1, 1]);
});

test("CORE-6 law 5: the recorded machine diverges nowhere; a changed one is named at its first event, and what follows is unknown", async () => {
  const current = machineVersion(CURRENT_VERSION) ?? assert.fail();
  const under = (machine: MachineVersion) => rehearse(recorder.messages, (kind, name) => rehearseMachine(NS, kind, name, machine));
  assert.ok((await under(current)).every(({ divergence, unknown, same, compared }) => divergence === undefined && unknown === 0 && same === compared));
  const changed: MachineVersion = {
    ...current,
    decide: (state, input, facts) => {
      const decision = current.decide(state, input, facts);
      if (decision.kind !== "commit") return decision;
      const drafts = decision.drafts.map((draft) => (draft.type === "approval.requested" ? { ...draft, data: { ...draft.data, count: 2 } } : draft) as EventDraft);
      return { ...decision, drafts };
    },
  };
  const reports = (await under(changed)).filter(({ kind }) => kind === "run");
  const asked = recorder.of(RUN).findIndex(({ headers }) => headers.get("ce-type") === "signalbox.approval.requested") + 1;
  assert.deepEqual(reports.map(({ name, divergence }) => [name, divergence?.seq, divergence?.field, divergence?.recorded, divergence?.computed]), [
    [RUN, asked, "data.count", 1, 2],
    [OTHER_RUN, undefined, undefined, undefined, undefined],
  ]);
  const [run] = reports;
  assert.ok(run !== undefined && run.same === asked - 1 && run.unknown === run.compared - asked);
});

test("CORE-6 a record that does not replay is not blamed on the other machine", async () => {
  const current = machineVersion(CURRENT_VERSION) ?? assert.fail();
  const messages = recorder.of(RUN);
  const spoilt = messages.with(4, { ...(messages[4] ?? assert.fail()), headers: new Map() });
  const [report] = await rehearse(spoilt, (kind, name) => rehearseMachine(NS, kind, name, current));
  assert.deepEqual([report?.divergence, report?.why], [undefined, "event 5 is not replayed as recorded"]);
  assert.ok((report?.unknown ?? 0) > 0);
});
