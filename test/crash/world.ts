/** What the harness sees of a plane whose processes die: server, services, tools with a ledger of their own, and stubborn people. */
import type { Rejection } from "../../schemas/answer.ts";
import type { AggregateKind } from "../../schemas/ids.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import type { Service } from "../../services/main.ts";
import type { Checked } from "../../services/replay/journal.ts";
import type { TestActor, TestPlane } from "../harness/plane.ts";
import type { Supervisor } from "./children.ts";
import type { Ledger } from "./tools.ts";

/** What a process runs: everything, or this alone. */
export type Part = "services" | "coordinator" | "gateway";

/** Coordinator and gateway in processes of their own: either dies while the other lives. */
export const APART: readonly (readonly Service[])[] = [["coordinator"], ["gateway"]];

export interface World {
  readonly plane: TestPlane;
  readonly ledger: Ledger;
  readonly processes: readonly Supervisor[];
  /** The processes of each part that there is: at least one. */
  readonly parts: ReadonlyMap<Part, readonly [Supervisor, ...Supervisor[]]>;
  /** Of all processes. */
  readonly deaths: number;
  isDead(gateway: string): boolean;
  serverDeaths: number;
  readonly people: { readonly agents: ReadonlyMap<string, TestActor>; readonly approver: TestActor; readonly second: TestActor; readonly operator: TestActor; readonly otherOperator: TestActor };
  events(run: string): Promise<JournalEvent[]>;
  /** All of an aggregate's, so far. */
  journal(kind: AggregateKind, name: string): Promise<JournalEvent[]>;
  rejections(actor: string): Promise<Rejection[]>;
  /** Inputs that nobody has decided. */
  undecided(): Promise<number>;
  /** Replayed and verified. */
  check(run: string, kind?: AggregateKind): Promise<Checked | undefined>;
  killServer(): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Of one attempt of a tool. */
  readonly timeoutMs?: number;
  readonly retries?: number;
  /** What runs in which process; default: everything in one. */
  readonly processes?: readonly (readonly Service[])[];
  /** Whether the next process waits, loaded, before it is needed; default true. */
  readonly standby?: boolean;
  readonly ackWaitMs?: number;
}
