/** How handlers of inputs answer: with the reasons of a refusal, or with none when they drafted events. */
import { type Reason, reason } from "../../schemas/reason.ts";

export type Refusal = readonly Reason[];
export const DONE: Refusal = [];
/** Nothing happens, and nobody is told: the timer was replaced, or is not waited for any more. */
export const STALE: Refusal = [reason("timer.stale", "the timer is no longer waited for")];
