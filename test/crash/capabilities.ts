/**
 * What the plane can do, for the crash harness: the one list in which a capability joins it. Everything reads it: the
 * documents and tools of a world, the plays that are disturbed at every boundary, the journals that are compared, the
 * runs of random programs and what must hold of them. `capabilities.unit.test.ts` demands that every event type is
 * reached by a play, or named here with the reason why not.
 */
import type { EventType } from "../../schemas/event.ts";
import { APPROVALS, EDITS, STANDING } from "./capabilities/approvals.ts";
import { RUN_BUDGETS, TEAM_BUDGETS } from "./capabilities/budgets.ts";
import { CALLS, MARKS, PROBES } from "./capabilities/calls.ts";
import { CHANGES } from "./capabilities/changes.ts";
import { STOPS } from "./capabilities/guard.ts";
import { PEOPLE } from "./capabilities/people.ts";
import type { Capability } from "./capability.ts";

export const CAPABILITIES: readonly Capability[] = [CALLS, APPROVALS, EDITS, STANDING, RUN_BUDGETS, TEAM_BUDGETS, STOPS, PROBES, MARKS, PEOPLE, CHANGES];

/** Types of which no play has an event, and what stands for it. */
export const UNREACHED: Readonly<Partial<Record<EventType, string>>> = {
  "policy.applied": "applied when a world is opened; changed by review in `test/gateway/changes.int.test.ts`, and any document's change is of one kind",
  "person.applied": "as `policy.applied`",
  "issuer.applied": "as `policy.applied`",
  "segments.opened": "moves every run that starts later into another stream: coordinators that decide it at once are set against each other in `test/segments/rivals.int.test.ts`",
  "segments.sealed": "needs a segment that rests for minutes: as `segments.opened`",
};
