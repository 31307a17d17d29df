/**
 * Which outputs an input rests on (GUARD-3): those of the run's marked actions that it holds parts of, whatever the
 * agent says of it, and those that it names in `uses`. Matched is by content, after folding case, white space and
 * what cannot be seen:
 *
 * - any 12 characters in a row that stand in both
 * - a whole string of 8 characters or more of the one that stands within the other
 * - numbers of six digits or more, however they are written
 *
 * also within strings that hold JSON. What an agent has put into other words or another encoding is not found: then
 * the run's own mark, which does not ask where a value comes from, is all there is. So it is for outputs that were
 * recorded as a reference.
 */
import type { RunState } from "../../machines/state.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { GRAM, gramsOf, GROUPS, OwnerTable, PAIRED, pairsOf, PieceFilter } from "./grams.ts";
import { folded } from "./scan/fold.ts";
import { eachText } from "./scan/place.ts";

/** As many characters in a row are found wherever they stand. */
const SHARED = GRAM + PAIRED;
const MIN_DIGITS = 6;
/** Characters of a run's outputs that are held for matching. */
const MAX_INDEXED = 4 * 1024 * 1024;
/** Looks at filters and at texts for one proposal. What could not be looked at any more counts as found. */
const MAX_WORK = 32 * 1024 * 1024;

/** Marked actions whose output the input holds parts of, or that `uses` names; oldest first. A pure function. */
export function sourcesOf(state: RunState, { input, uses }: Pick<ToolProposal, "input" | "uses">): ActionId[] {
  const marked = state.marks.sources;
  if (marked.length === 0) return [];
  const found = indexOf(state).find(input);
  for (const named of uses ?? []) found.add(named);
  return marked.filter((action) => found.has(action));
}

/** The index of a run grows with its outputs, and goes when the run's state goes. */
const INDEXES = new WeakMap<RunState["actions"], OutputIndex>();

function indexOf({ actions, marks }: RunState): OutputIndex {
  let index = INDEXES.get(actions);
  if (index === undefined) INDEXES.set(actions, (index = new OutputIndex()));
  index.take(marks.sources, (action) => actions.get(action)?.context.output);
  return index;
}

interface Indexed {
  readonly action: ActionId;
  /** Folded strings, a line each. */
  readonly text: string;
  readonly pieces: PieceFilter;
}

/** A whole string of 8 to 11 characters. */
interface Short {
  readonly text: string;
  readonly action: ActionId;
}

class OutputIndex {
  /** Dealt out to the groups of the tables in turn. */
  readonly #groups: Indexed[][] = Array.from({ length: GROUPS }, () => []);
  /** Of pieces of 12 characters, and of grams: most of an input is done with after a look at them. */
  readonly #pieces = new OwnerTable(0);
  readonly #grams = new OwnerTable(0);
  #chars = 0;
  #count = 0;
  /** By their first gram. */
  readonly #shorts = new Map<number, Short[]>();
  /** By their digits. */
  readonly #numbers = new Map<string, ActionId[]>();
  readonly #known = new Set<ActionId>();
  #taken: readonly ActionId[] | undefined;

  take(sources: readonly ActionId[], outputOf: (action: ActionId) => JsonValue | undefined): void {
    if (sources === this.#taken) return;
    this.#taken = sources;
    for (const action of sources) {
      if (this.#known.has(action)) continue;
      this.#known.add(action);
      this.#add(action, outputOf(action));
    }
    if (this.#pieces.full || this.#grams.full) this.#grow();
  }

  #add(action: ActionId, output: JsonValue | undefined): void {
    const { texts, numbers } = textsOf(output);
    const size = texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#chars + size > MAX_INDEXED) return;
    this.#chars += size;
    for (const digits of numbers) push(this.#numbers, digits, action);
    const pieces = new PieceFilter(size);
    const group = this.#count++ % GROUPS;
    for (const text of texts) {
      const grams = gramsOf(text);
      pieces.add(this.#own(grams, group));
      const whole = text.trim();
      if (whole.length >= GRAM && whole.length < SHARED) push(this.#shorts, gramsOf(whole)[0]!, { text: whole, action });
    }
    this.#groups[group]!.push({ action, text: texts.join("\n"), pieces });
  }

  #own(grams: Int32Array, group: number): Int32Array {
    const pieces = pairsOf(grams);
    this.#grams.add(grams, group);
    this.#pieces.add(pieces, group);
    return pieces;
  }

  #grow(): void {
    this.#grams.grow();
    this.#pieces.grow();
    this.#groups.forEach((outputs, group) => {
      for (const { text } of outputs) for (const line of text.split("\n")) this.#own(gramsOf(line), group);
    });
  }

  find(input: JsonValue): Set<string> {
    const search: Search = { found: new Set(), left: this.#groups.map((outputs) => [...outputs]), work: MAX_WORK };
    const { texts, numbers } = textsOf(input);
    for (const digits of numbers) for (const action of this.#numbers.get(digits) ?? []) search.found.add(action);
    for (const text of texts) {
      const grams = gramsOf(text);
      this.#findPieces(text, pairsOf(grams), search);
      if (this.#shorts.size > 0) this.#findShorts(text, grams, search);
      const whole = text.trim();
      if (whole.length >= GRAM && whole.length < SHARED) this.#findWhole(whole, search);
      if (search.found.size === this.#known.size) break;
    }
    return search.found;
  }

  /** Outputs that hold any 12 characters of the text. */
  #findPieces(text: string, pieces: Int32Array, search: Search): void {
    for (let at = 0; at < pieces.length; at++) {
      const hash = pieces[at]!;
      for (let groups = this.#pieces.at(hash); groups !== 0; groups &= groups - 1) {
        const outputs = search.left[31 - Math.clz32(groups & -groups)]!;
        search.work -= outputs.length;
        for (let i = outputs.length - 1; i >= 0; i--) {
          const output = outputs[i]!;
          if (output.pieces.has(hash) && holds(output, text.slice(at, at + SHARED), search)) take(outputs, i, search);
        }
      }
    }
  }

  /** Outputs of which a whole short string stands within the text. */
  #findShorts(text: string, grams: Int32Array, search: Search): void {
    for (let at = 0; at < grams.length; at++) {
      if (this.#grams.at(grams[at]!) === 0) continue;
      for (const short of this.#shorts.get(grams[at]!) ?? []) if (text.startsWith(short.text, at)) search.found.add(short.action);
    }
  }

  /** Outputs that hold all of a short text. */
  #findWhole(whole: string, search: Search): void {
    let groups = 2 ** GROUPS - 1;
    for (const hash of gramsOf(whole)) groups &= this.#grams.at(hash);
    for (; groups !== 0; groups &= groups - 1) {
      const outputs = search.left[31 - Math.clz32(groups & -groups)]!;
      for (let i = outputs.length - 1; i >= 0; i--) if (holds(outputs[i]!, whole, search)) take(outputs, i, search);
    }
  }
}

/** One look at one input. */
interface Search {
  readonly found: Set<string>;
  /** Outputs that have not been found yet, by group. */
  readonly left: Indexed[][];
  /** What may still be spent. */
  work: number;
}

function holds({ action, text }: Indexed, piece: string, search: Search): boolean {
  search.work -= text.length / 8;
  return search.work < 0 || search.found.has(action) || text.includes(piece);
}

/** Found, and not looked for again. */
function take(outputs: Indexed[], at: number, { found }: Search): void {
  found.add(outputs[at]!.action);
  outputs[at] = outputs.at(-1)!;
  outputs.pop();
}

/** Folded strings of a value, its members' names among them, and its longer numbers by their digits. */
function textsOf(value: JsonValue | undefined): { texts: string[]; numbers: Set<string> } {
  const texts: string[] = [];
  const numbers = new Set<string>();
  const visit = ({ text }: { text: string }, depth: number) => {
    // one character may be many when it is folded
    const plain = folded(text);
    if (plain.length < MIN_DIGITS) return;
    for (const [run] of plain.matchAll(DIGITS)) addDigits(numbers, run);
    if (plain.length < GRAM) return;
    texts.push(plain);
    const inner = depth < 2 ? innerJson(text) : undefined;
    if (inner !== undefined) eachText(inner, (piece) => visit(piece, depth + 1), true);
  };
  eachText(value, (piece) => visit(piece, 0), true);
  return { texts, numbers };
}

/** Digits in a row, also in groups as people write them. */
const DIGITS = /\d(?:[ .,'/-]?\d){5,39}/g;

function addDigits(numbers: Set<string>, run: string): void {
  const digits = run.replace(/\D/g, "");
  if (digits.length >= MIN_DIGITS) numbers.add(digits);
  if (digits.length === run.length) return;
  for (const [single] of run.matchAll(/\d{6,}/g)) numbers.add(single);
}

/** A string that holds JSON, as tools give it inside their answers. */
function innerJson(text: string): JsonValue | undefined {
  if (!/^\s*[[{"]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}
