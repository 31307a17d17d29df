/** Arguments for mutants of turns and of what they rest on: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const TURNS: readonly Argued[] = [
  ...of(
    "services/coordinator/committer.ts",
    [
      'if (error.kind !== "conflict" && attempt === (FULL.has(error.code ?? 0) ? 1 : ALARM_AFTER)) {',
      "0", "0 + 1", "stands for no code of the server's, as any other small number does",
    ],
    ['if (error.kind === "refused" && !FULL.has(error.code ?? 0)) {', "0", "0 + 1", "stands for no code of the server's, as any other small number does"],
    [
      "if (this.#maySend(segment) || !slots.some(starts)) return slots;",
      "!slots.some(starts)", "false", "a short cut: where nothing starts nothing is left out",
    ],
    [
      'if (sent === undefined || Buffer.compare(sent.data, message.data) !== 0) return { kind: "moved" };',
      "sent === undefined", "false", "for the compiler: no part is empty, and behind the last event of one nothing more is read",
    ],
  ),
];
