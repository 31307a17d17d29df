/**
 * Every version of the machines that ever wrote a journal, for ever (law 5): a run is driven by the version of its
 * `run.started` until it ends, and replayed by it afterwards. A changed machine is a new entry, never an edit:
 * a test holds the recorded histories of each version against it.
 *
 * An older version lives in a folder of its own and reads what it knows of a state that has more in it by now.
 */
import { reason } from "../schemas/reason.ts";
import { type Decision, type RunInput, decide } from "./decide.ts";
import { decideErasure, emptyErasure, evolveErasure } from "./erasure.ts";
import { decideGuard, emptyGuard, evolveGuard } from "./guard.ts";
import { decideLedger, emptyLedger, evolveLedger } from "./ledger.ts";
import { decideDocument, emptyDocument, evolveDocument } from "./registry.ts";
import { decideSegments, emptySegments, evolveSegments } from "./segments.ts";
import { emptyRun, evolve } from "./state.ts";
import { decide as decideOne } from "./v1/decide.ts";
import { evolve as evolveOne } from "./v1/state.ts";
import { decide as decideTwo } from "./v2/decide.ts";
import { evolve as evolveTwo } from "./v2/state.ts";

export interface MachineVersion {
  readonly emptyRun: typeof emptyRun;
  readonly decide: typeof decide;
  readonly evolve: typeof evolve;
  readonly emptyDocument: typeof emptyDocument;
  readonly decideDocument: typeof decideDocument;
  readonly evolveDocument: typeof evolveDocument;
  readonly emptyLedger: typeof emptyLedger;
  readonly decideLedger: typeof decideLedger;
  readonly evolveLedger: typeof evolveLedger;
  readonly emptyGuard: typeof emptyGuard;
  readonly decideGuard: typeof decideGuard;
  readonly evolveGuard: typeof evolveGuard;
  readonly emptySegments: typeof emptySegments;
  readonly decideSegments: typeof decideSegments;
  readonly evolveSegments: typeof evolveSegments;
  readonly emptyErasure: typeof emptyErasure;
  readonly decideErasure: typeof decideErasure;
  readonly evolveErasure: typeof evolveErasure;
}

/** Documents, ledgers and the guard are as they were: what is equal is not written twice. */
const documents = { emptyDocument, decideDocument, evolveDocument };
/** There were none before journals had segments: nothing of the past is recorded of them. */
const segments = { emptySegments, decideSegments, evolveSegments };
/** What there was none of under version 1; nothing of it is recorded under that name. */
const accounts = { ...segments, emptyLedger, decideLedger, evolveLedger, emptyGuard, decideGuard, evolveGuard, emptyErasure, decideErasure, evolveErasure };

/** The answer to a question that runs before version 3 do not ask. */
const isProbed = (input: RunInput): boolean => input.kind === "report" && input.body.status === "probed";

const notTaken = (version: number, { kind }: RunInput): Decision => ({
  kind: "refuse",
  reasons: [reason("kind.not_taken", `a run of machine version ${version} does not take ${kind === "report" ? "the answer to a probe" : `\`${kind}\``}`)],
});

const versions: Readonly<Record<string, MachineVersion>> = {
  "1": {
    emptyRun,
    decide: (state, input, facts) =>
      input.kind === "apply" || input.kind === "signal" || isProbed(input)
        ? notTaken(1, input)
        : (decideOne as unknown as typeof decide)(state, input, facts),
    evolve: evolveOne as unknown as typeof evolve,
    ...documents,
    ...accounts,
  },
  "2": {
    emptyRun,
    decide: (state, input, facts) => (isProbed(input) ? notTaken(2, input) : (decideTwo as unknown as typeof decide)(state, input, facts)),
    evolve: evolveTwo as unknown as typeof evolve,
    ...documents,
    ...accounts,
  },
  "3": { emptyRun, decide, evolve, ...documents, ...accounts },
};

/** All of them, oldest first: keys that are whole numbers are listed in their order. */
export const MACHINE_VERSIONS: readonly string[] = Object.keys(versions);

/** The newest: what new runs begin with where every coordinator has it. */
export const CURRENT_VERSION = "3";

/** Undefined when this program lacks the version: it must then leave the input to a program that has it. */
export function machineVersion(version: string): MachineVersion | undefined {
  return Object.hasOwn(versions, version) ? versions[version] : undefined;
}
