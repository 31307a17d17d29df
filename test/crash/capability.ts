/** What one capability of the plane brings to the crash harness: see `capabilities.ts`, where they are listed. */
import type { EventType } from "../../schemas/event.ts";
import type { AggregateKind } from "../../schemas/ids.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import type { World } from "./world.ts";

/** Of a contract, a tool, or whatever else is applied before anything is played. */
export type WorldDocument = ContractDocument | ToolDocument | { readonly budget: object };
interface ContractDocument {
  readonly agent: { readonly name: string };
}
export interface ToolDocument {
  readonly name: string;
  readonly effect: string;
}

export interface Limits {
  /** Of one attempt of a tool that has no time-out of its own. */
  readonly timeoutMs: number;
  readonly retries: number;
}

/** A journal that a play writes: all of it, or its part of one that outlives it. */
export interface Written {
  readonly kind: AggregateKind;
  readonly name: string;
  readonly part?: (all: readonly JournalEvent[]) => JournalEvent[];
}

export interface Capability {
  readonly name: string;
  documents(limits: Limits): readonly WorldDocument[];
  /** Cedar text beside the rule that permits everything. */
  readonly policy?: string;
  /** Journals of the play with this serial, by what they are called in faults and in {@link effects}. */
  journals(serial: string): Readonly<Record<string, Written>>;
  /**
   * Plays it to its end: every step waits until it can be seen, so that an undisturbed play always leaves the same
   * journals. Whoever speaks repeats the same words under the same id until there is an answer.
   */
  play(world: World, serial: string): Promise<void>;
  /** Steps that do something to the world, by journal: each exactly once. */
  readonly effects: Readonly<Record<string, readonly string[]>>;
  /** What a play's journals hold, undisturbed: all of these and nothing else. */
  readonly events: readonly EventType[];
  /**
   * What a disturbed play must have in common with an undisturbed one: every commit (default), or where every action
   * ended with which output, where it is the capability itself to find out about attempts that were lost.
   */
  readonly same?: "journal" | "ends";
  /** Whose runs random programs play: agents that are asked about nothing. */
  readonly agents?: readonly string[];
  /** What must hold of any run of a random program that this concerns. */
  holds?(events: readonly JournalEvent[], agent: string, say: (fault: string) => void): void;
}

/** A contract of an agent that is to be crashed. */
export const contract = (name: string, tools: readonly object[], { team = "team", budgets = {} }: { team?: string; budgets?: object } = {}) => ({
  agent: { name, owner: "owner", team, purpose: "to be crashed" },
  budgets,
  tools: { allowlist: tools },
});
