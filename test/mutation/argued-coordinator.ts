/** Arguments for mutants of the coordinator: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const COORDINATOR: readonly Argued[] = [
  ...of(
    "services/coordinator/guard-view.ts",
    [
      "if (this.#standing.size === 0) return undefined;",
      "this.#standing.size === 0", "false", "a short cut: where nothing stands nothing is found",
    ],
    [
      "return found.reduce((first, entry) => (first === undefined || (entry !== undefined && order(entry) < order(first)) ? entry : first), undefined);",
      "order(entry) < order(first)", "(order(entry)) <= (order(first))", "no two entries have one number",
    ],
  ),
  ...of(
    "services/coordinator/unarmed.ts",
    ["clearTimeout(this.#timer);", "clearTimeout(this.#timer)", "undefined", "the round that comes then finds nothing to arm: both generations are empty"],
    ["this.#young.clear();", "this.#young.clear()", "undefined", "gives memory back: no round comes after a stop"],
    ["this.#old.clear();", "this.#old.clear()", "undefined", "gives memory back: no round comes after a stop"],
  ),
  ...of(
    "services/coordinator/people.ts",
    ["if (this.#disabled.size === 0) return undefined;", "this.#disabled.size === 0", "false", "a short cut: among nobody no one is found"],
  ),
  ...of(
    "services/coordinator/recent.ts",
    ["return this.#told.size === 0 ? undefined : this.#told.get(keyOf(input));", "this.#told.size === 0", "false", "a short cut: an empty map gives undefined"],
    [
      'return `${kind}/${actor}/${id}${kind === "due" ? `/${(body as DueInput).armed}` : ""}`;',
      'kind === "due"', "true", "every key of another kind ends in the same word more, where it is written as where it is looked up",
    ],
    [
      'return `${kind}/${actor}/${id}${kind === "due" ? `/${(body as DueInput).armed}` : ""}`;',
      '""', '"mutant"', "every key of another kind ends in the same word more, where it is written as where it is looked up",
    ],
  ),
  ...of(
    "services/coordinator/lanes.ts",
    ["if (++this.#head === this.#items.length) {", "{ this.#items = []; this.#head = 0; }", "{}", "gives memory back: what was taken already is not looked at again"],
  ),
  ...of(
    "services/coordinator/desk.ts",
    ["return origin && this.#overdrawn(origin, count);", "origin", "true", "whoever has a rest was over its quota since the last one, and its origin was kept then"],
    ["this.#overQuota.clear();", "this.#overQuota.clear()", "undefined", "gives memory back: who is over its quota again leaves its origin again"],
  ),
  ...of(
    "services/coordinator/sweep.ts",
    ["#round = 0;", "0", "0 + 1", "rounds are only compared with each other"],
    ["let room: () => void = () => undefined;", "undefined", "undefined", "the same text: nothing is changed"],
    [
      'for (const lane of this.#lanes.loaded()) if (lane.kind === "run" && this.#due.has(lane.share)) tokens.add(lane.token);',
      "this.#due.has(lane.share)", "true", "a short cut: whether its share is due is asked of each again before it is taken in hand",
    ],
    [
      "if (this.#due.has(shareOf(token))) tokens.add(token);",
      "this.#due.has(shareOf(token))", "true", "a short cut: whether its share is due is asked of each again before it is taken in hand",
    ],
  ),
  ...of("services/coordinator/fence.ts", ["if (this.#fenced.length === 0) return;", "this.#fenced.length === 0", "false", "a short cut: there is nothing to go through"]),
  ...of(
    "services/coordinator/applied.ts",
    ["constructor(registry: RegistryView, changed: (kind: DocumentKind) => void = () => undefined) {", "undefined", "undefined", "the same text: nothing is changed"],
    ["this.#last = done.catch(() => undefined);", "undefined", "undefined", "the same text: nothing is changed"],
  ),
];
