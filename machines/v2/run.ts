/** The life of one run. Its actions and approvals are machines of their own; see `decide.ts` for who hears what. */
import { setup } from "xstate";
import type { Envelope } from "../../schemas/event.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Reason } from "../../schemas/reason.ts";
import { took } from "../record.ts";

interface Said {
  readonly by: string;
  readonly reason: string | undefined;
}
export type RunEvent =
  | { readonly type: "ADMIT"; readonly envelope: Envelope; readonly goal: string }
  | { readonly type: "TURN_AWAY"; readonly reasons: Reason[] }
  | ({ readonly type: "PAUSE" } & Said)
  | ({ readonly type: "RESUME" } & Said)
  | ({ readonly type: "CANCEL" } & Said)
  | { readonly type: "FINISH"; readonly output: JsonValue | undefined }
  | { readonly type: "FAIL"; readonly error: JsonValue }
  | { readonly type: "NOTE"; readonly text: string };

interface Args {
  readonly event: RunEvent;
}

const said = ({ event }: Args) => {
  const { by, reason } = event as Said;
  return { by, ...(reason !== undefined && { reason }) };
};
const cancel = (from: string) => ({ target: "cancelled", actions: [took(from, "cancelled", "run.cancelled", said)] });
const fail = (from: string) => ({
  target: "failed",
  actions: [took(from, "failed", "run.failed", ({ event }: Args) => ({ error: event.type === "FAIL" ? event.error : null }))],
});
const finish = (from: string) => ({
  target: "completed",
  actions: [
    took(from, "completed", "run.completed", ({ event }: Args) =>
      event.type === "FINISH" && event.output !== undefined ? { output: event.output } : {},
    ),
  ],
});
const note = (state: string) => ({
  target: state,
  actions: [took(state, state, "note.recorded", ({ event }: Args) => ({ text: event.type === "NOTE" ? event.text : "" }))],
});

export const runMachine = setup({
  types: { events: {} as RunEvent },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "run",
  version: "2",
  options: { maxIterations: 16 },
  initial: "admitting",
  states: {
    admitting: {
      on: {
        ADMIT: {
          target: "active",
          actions: [
            took("admitting", "active", "run.started", ({ event }: Args) => {
              const { envelope, goal } = event as Extract<RunEvent, { type: "ADMIT" }>;
              return { envelope, goal };
            }),
          ],
        },
        TURN_AWAY: {
          target: "refused",
          actions: [
            took("admitting", "refused", "run.refused", ({ event }: Args) => ({
              reasons: event.type === "TURN_AWAY" ? event.reasons : [],
            })),
          ],
        },
      },
    },
    active: {
      on: {
        PAUSE: { target: "paused", actions: [took("active", "paused", "run.paused", said)] },
        CANCEL: cancel("active"),
        FINISH: finish("active"),
        FAIL: fail("active"),
        NOTE: note("active"),
      },
    },
    paused: {
      on: {
        RESUME: { target: "active", actions: [took("paused", "active", "run.resumed", said)] },
        CANCEL: cancel("paused"),
        FAIL: fail("paused"),
        NOTE: note("paused"),
      },
    },
    completed: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
    refused: { type: "final" },
  },
});

/** States in which a run takes no more proposals; reports of what was in flight are still recorded. */
export const RUN_ENDED: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "refused"]);
