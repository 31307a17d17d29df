import type { EventData, EventDraft, EventType } from "../schemas/event.ts";

/**
 * The mark that a transition leaves in the journal: an XState action that nothing executes, whose resolved
 * parameters are the event. `from` and `to` are written out, so that a chart reads as its own specification;
 * a test walks every chart and holds them against the states they stand in.
 */
export function took<T extends EventType, A>(from: string, to: string, type: T, data: (args: A) => EventData<T>) {
  return {
    type: "took" as const,
    params: (args: A): EventDraft => ({ type, from, to, data: data(args) }) as EventDraft,
  };
}
