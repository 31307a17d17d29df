/** Runs stay on the version of their first event (law 5): what a later version takes, an earlier one refuses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyRun } from "../../machines/state.ts";
import { CURRENT_VERSION, MACHINE_VERSIONS, machineVersion } from "../../machines/versions.ts";
import { timestamp } from "../../schemas/time.ts";
import { after, apply, claim, due, type Line, NS, report, RUN, start, T0, tool } from "./given.ts";
import { PROBE, probed } from "./probes.ts";
import { reply } from "./replies.ts";

/** Drives a run of a version. @returns each decision's events, or the code of its refusal */
function drive(version: string, ...lines: Line[]): string[] {
  const machine = machineVersion(version) ?? assert.fail();
  const state = emptyRun(NS, RUN, version);
  let time = T0;
  return lines.map(({ waitMs, tell }) => {
    const { input, facts } = tell(state, timestamp((time += waitMs)));
    const decision = machine.decide(state, input, facts);
    if (decision.kind === "commit") machine.evolve(state, decision.change);
    if (decision.kind === "refuse") return decision.reasons.map(({ code }) => code).join(" ");
    return decision.kind === "commit" ? decision.drafts.map(({ type }) => type).join(" ") : decision.kind;
  });
}

const DOUBT = [start(), tool("t1", { probe: PROBE }), claim("t1"), report("t1", "in_doubt")];

test("law 5: a run of an earlier version asks no tool, whatever the tool's definition says by now, and takes no answer", () => {
  for (const version of ["1", "2"]) {
    assert.deepEqual(drive(version, ...DOUBT, after(60_000, due("action:t1", 7)), probed("t1", "done", { number: 1 })).slice(3), ["action.in_doubt", "ignore", "kind.not_taken"], version);
  }
  assert.deepEqual(drive("3", ...DOUBT, after(60_000, due("action:t1")), probed("t1", "none")).slice(3), ["action.in_doubt", "action.probing", "action.probed action.failed"]);
});

test("law 5: what a version does not know of is not given to it, and the refusal says what that is", () => {
  const probe = "the answer to a probe";
  const cases: readonly [version: string, line: Line, what: string | undefined][] = [
    ["1", apply("c1"), "`apply`"], ["1", reply("l4.1"), "`signal`"], ["1", probed("t1", "done"), probe],
    ["2", apply("c1"), undefined], ["2", reply("l4.1"), undefined], ["2", probed("t1", "done"), probe],
    ["1", report("t1", "failed"), undefined], ["2", report("t1", "failed"), undefined],
  ];
  for (const [version, line, what] of cases) {
    const { input, facts } = line.tell(emptyRun(NS, RUN, version), timestamp(T0));
    const decision = machineVersion(version)?.decide(emptyRun(NS, RUN, version), input, facts);
    const [refusal] = decision?.kind === "refuse" ? decision.reasons : [];
    assert.equal(refusal?.code === "kind.not_taken", what !== undefined, `${version} ${input.kind}: ${refusal?.code}`);
    if (what !== undefined) assert.equal(refusal?.message, `a run of machine version ${version} does not take ${what}`);
  }
});

test("law 5: all versions are known, oldest first, and the newest is what new runs begin with", () => {
  assert.deepEqual(MACHINE_VERSIONS, MACHINE_VERSIONS.toSorted((a, b) => Number(a) - Number(b)));
  assert.deepEqual([MACHINE_VERSIONS[0], MACHINE_VERSIONS.at(-1)], ["1", CURRENT_VERSION]);
});

test("law 5: a version that this release lacks is missing, and is not driven by another", () => {
  assert.equal(machineVersion("99"), undefined);
  assert.equal(machineVersion("toString"), undefined);
  assert.ok(machineVersion(CURRENT_VERSION));
});
