/** Arguments for mutants of how a coordinator is put together: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const COORDINATING: readonly Argued[] = of(
  "services/coordinator/coordinator.ts",
  ["...(options.process !== undefined && { process: options.process }),", "options.process !== undefined", "true", "left out or undefined, the leases find out which process this is"],
  [
    "const known = this.#guard.put(decodeEvent({ subject, data, seq: streamSeq, time: 0, headers: new Map() }));",
    "0", "0 + 1", "of an event that is heard live nobody knows when the server stored it, and nobody asks",
  ],
  [
    "const { body } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() });",
    "0", "0 + 1", "of its body alone something is taken: where and when it was stored is known to nobody here, and is not asked",
  ],
);
