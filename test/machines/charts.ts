/** Every chart as text, one transition a line: what a person reads as the specification, and a golden file keeps. */
import type { AnyStateMachine, AnyTransitionDefinition } from "xstate";
import { actionMachine } from "../../machines/action.ts";
import { approvalMachine } from "../../machines/approval.ts";
import { documentMachine } from "../../machines/document.ts";
import { erasureMachine } from "../../machines/erasure.ts";
import { stopMachine } from "../../machines/guard.ts";
import { ledgerMachine } from "../../machines/ledger.ts";
import { runMachine } from "../../machines/run.ts";
import { segmentMachine } from "../../machines/segments.ts";
import { actionMachine as actionOfOne } from "../../machines/v1/action.ts";
import { approvalMachine as approvalOfOne } from "../../machines/v1/approval.ts";
import { runMachine as runOfOne } from "../../machines/v1/run.ts";
import { actionMachine as actionOfTwo } from "../../machines/v2/action.ts";
import { approvalMachine as approvalOfTwo } from "../../machines/v2/approval.ts";
import { runMachine as runOfTwo } from "../../machines/v2/run.ts";

/** By version. Documents, ledgers and the guard are driven by the same machines as before. */
export const MACHINES: Readonly<Record<string, readonly AnyStateMachine[]>> = {
  "1": [runOfOne, actionOfOne, approvalOfOne, documentMachine],
  "2": [runOfTwo, actionOfTwo, approvalOfTwo, documentMachine, ledgerMachine, stopMachine],
  "3": [runMachine, actionMachine, approvalMachine, documentMachine, ledgerMachine, stopMachine, erasureMachine, segmentMachine],
};

export interface ChartTransition {
  readonly from: string;
  /** Empty for a transition that is taken at once. */
  readonly on: string;
  readonly to: string;
  readonly guarded: boolean;
  /** The actions as they stand in the chart. */
  readonly actions: readonly { readonly type: string; readonly params?: unknown }[];
}

export function statesOf(machine: AnyStateMachine) {
  return Object.values(machine.states);
}

export function transitionsOf(machine: AnyStateMachine): ChartTransition[] {
  return statesOf(machine).flatMap((state) => {
    const own: AnyTransitionDefinition[] = [...[...state.transitions.values()].flat(), ...(state.always ?? [])];
    return own.map((one) => ({
      from: state.key,
      on: one.eventType as string,
      to: one.target?.[0]?.key ?? state.key,
      guarded: one.guard !== undefined,
      actions: one.actions as unknown as ChartTransition["actions"],
    }));
  });
}

/** @param mark what a transition leaves behind, as the test found out */
export function chartText(machine: AnyStateMachine, mark: (one: ChartTransition) => string): string {
  const lines = [`machine ${machine.id} version ${machine.version}`, `  begins in ${String(machine.config.initial)}`];
  for (const one of transitionsOf(machine)) {
    const on = one.on === "" ? "at once" : one.on;
    lines.push(`  ${one.from} -> ${on}${one.guarded ? " [guarded]" : ""} -> ${one.to}: ${mark(one)}`);
  }
  const finals = statesOf(machine).filter((state) => state.type === "final");
  if (finals.length > 0) lines.push(`  ends in ${finals.map((state) => state.key).join(", ")}`);
  return `${lines.join("\n")}\n`;
}
