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
import { GRAM, GramFilter, hashesOf } from "./grams.ts";
import { folded } from "./scan/fold.ts";
import { eachText } from "./scan/place.ts";

/** As many characters in a row are found wherever they stand. */
const SHARED = 12;
/** Grams in a row that `SHARED` characters have. */
const IN_A_ROW = SHARED - GRAM + 1;
const MIN_DIGITS = 6;
/** Characters of a run's outputs that are held for matching. */
const MAX_INDEXED = 4 * 1024 * 1024;
/** Looks at filters, and characters compared, for one proposal. What is beyond it counts as found. */
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
  readonly filter: GramFilter;
}

class OutputIndex {
  readonly #outputs: Indexed[] = [];
  readonly #known = new Set<ActionId>();
  /** Of all outputs together: most inputs are done with after one look at it. */
  #all = new GramFilter(1024);
  #grams = 0;
  #chars = 0;
  /** Whole strings of 8 to 11 characters, and numbers by their digits: those who gave them. */
  readonly #shorts = new Map<string, ActionId[]>();
  readonly #numbers = new Map<string, ActionId[]>();
  #taken: readonly ActionId[] | undefined;

  take(sources: readonly ActionId[], outputOf: (action: ActionId) => JsonValue | undefined): void {
    if (sources === this.#taken) return;
    this.#taken = sources;
    for (const action of sources) {
      if (this.#known.has(action)) continue;
      this.#known.add(action);
      this.#add(action, outputOf(action));
    }
  }

  #add(action: ActionId, output: JsonValue | undefined): void {
    const parts = textsOf(output);
    const size = parts.texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#chars + size > MAX_INDEXED) return;
    this.#chars += size;
    for (const digits of parts.numbers) push(this.#numbers, digits, action);
    const filter = new GramFilter(size);
    const hashes: Int32Array[] = [];
    for (const text of parts.texts) {
      const of = hashesOf(text);
      hashes.push(of);
      filter.add(of);
      this.#grams += of.length;
      const whole = text.trim();
      if (whole.length >= GRAM && whole.length < SHARED) push(this.#shorts, whole, action);
    }
    this.#outputs.push({ action, text: parts.texts.join("\n"), filter });
    if (this.#grams <= this.#all.room) {
      for (const of of hashes) this.#all.add(of);
    } else {
      this.#all = new GramFilter(2 * this.#grams);
      for (const { text } of this.#outputs) for (const line of text.split("\n")) this.#all.add(hashesOf(line));
    }
  }

  find(input: JsonValue): Set<string> {
    const found = new Set<string>();
    const work = { left: MAX_WORK };
    const { texts, numbers } = textsOf(input);
    for (const digits of numbers) for (const action of this.#numbers.get(digits) ?? []) found.add(action);
    for (const text of texts) {
      if (found.size === this.#outputs.length) break;
      this.#findText(text, found, work);
    }
    return found;
  }

  #findText(text: string, found: Set<string>, work: { left: number }): void {
    const hashes = hashesOf(text);
    const whole = text.trim();
    for (let from = 0; from < hashes.length; from++) {
      if (!this.#all.has(hashes[from]!)) continue;
      let to = from;
      while (to < hashes.length && this.#all.has(hashes[to]!)) {
        for (let length = GRAM; this.#shorts.size > 0 && length < SHARED; length++) {
          for (const action of this.#shorts.get(text.slice(to, to + length)) ?? []) found.add(action);
        }
        to++;
      }
      const short = whole.length < SHARED && whole.length >= GRAM && to - from > whole.length - GRAM;
      if (to - from >= IN_A_ROW || short) this.#confirm(text, hashes, from, to, short ? whole : undefined, found, work);
      from = to;
    }
  }

  /** Which outputs hold 12 characters of a stretch that the common filter knows, or all of a short text. */
  #confirm(text: string, hashes: Int32Array, from: number, to: number, short: string | undefined, found: Set<string>, work: { left: number }): void {
    for (const output of this.#outputs) {
      if (found.has(output.action)) continue;
      if (work.left <= 0 || (short === undefined ? shares(output, text, hashes, from, to, work) : output.text.includes(short))) found.add(output.action);
    }
  }
}

function shares(output: Indexed, text: string, hashes: Int32Array, from: number, to: number, work: { left: number }): boolean {
  work.left -= to - from;
  let row = 0;
  for (let at = from; at < to; at++) {
    row = output.filter.has(hashes[at]!) ? row + 1 : 0;
    if (row < IN_A_ROW) continue;
    const begin = at - IN_A_ROW + 1;
    work.left -= output.text.length / 4;
    if (work.left <= 0 || output.text.includes(text.slice(begin, begin + SHARED))) return true;
  }
  return false;
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

function push(map: Map<string, ActionId[]>, key: string, action: ActionId): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [action]);
  else if (known.at(-1) !== action) known.push(action);
}
