/** A run at any point of its history is the fold of its events up to there (CORE-5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Namespace, runId } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, headersOf, type JournalEvent } from "../../services/bus/commit.ts";
import { foldRun } from "../../services/replay/fold.ts";
import { stateAt } from "../../services/replay/state-at.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";
import { NS, recorded, RUN } from "./recorded.ts";

/** Every run that a test has the events of, headers as they would be stored. */
const RUNS: readonly (readonly [string, readonly JournalEvent[]])[] = [
  ["recorded", recorded().of(RUN).map(decodeEvent)],
  ...recordedVersions().flatMap((version) =>
    histories(version)
      .filter(({ subject }) => parseLog(subject)?.kind === "run")
      .map((history) => [history.name, storedEvents(history).map((event) => ({ ...event, headers: new Map(Object.entries(headersOf(event.body))) }))] as const),
  ),
];

for (const [name, events] of RUNS) {
  test(`CORE-5 \`--at\` equals the state folded up to each event and each time: ${name}`, async () => {
    const { ns, run } = events[0]?.body ?? assert.fail();
    const moments = events.flatMap(({ body }) => [{ seq: body.seq }, { time: body.at }]);
    for (const moment of moments) {
      const until = events.filter(({ body }) => ("seq" in moment ? body.seq - body.part[0] + 1 <= moment.seq : body.at <= moment.time));
      const folded = foldRun(ns as Namespace, runId(run), until)?.state ?? assert.fail();
      const shown = (await stateAt(ns as Namespace, run, events, moment)) ?? assert.fail();
      assert.deepEqual(
        { life: shown.life, seq: shown.seq, at: shown.at, goal: shown.goal, holder: shown.holder, difference: shown.difference },
        { life: folded.life.value, seq: folded.seq, at: folded.at, goal: folded.goal, holder: folded.holder, difference: undefined },
      );
      assert.deepEqual(shown.actions.map(({ action, state, attempt }) => [action, state, attempt]), [...folded.actions].map(([id, { value, context }]) => [id, value, context.attempt]));
      assert.deepEqual(shown.approvals.map(({ request, state, grants }) => [request, state, grants]), [...folded.approvals].map(([id, { value, context }]) => [id, value, context.grants]));
      assert.deepEqual(shown.spend, { steps: folded.spent.steps, settled_micro_usd: folded.spent.settled, reserved_micro_usd: folded.spent.reserved });
    }
  });
}

test("CORE-5 before its first event there is no run, and behind a difference the state is the one before it", async () => {
  const events = recorded().of(RUN).map(decodeEvent);
  assert.equal(await stateAt(NS, RUN, events, { time: "2026-01-01T00:00:00.000Z" }), undefined);
  const spoilt = events.with(5, { ...(events[5] ?? assert.fail()), headers: new Map() });
  const shown = await stateAt(NS, RUN, spoilt, { seq: events.length });
  assert.equal(shown?.difference?.seq, 6);
  assert.ok((shown?.seq ?? 9) < 6);
});
