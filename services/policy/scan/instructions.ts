/**
 * Instructions to a model, in a text that should only inform it. Signals are weighed where they stand together: what
 * is far apart in a long document was not said in one breath.
 */
import { folded } from "./fold.ts";
import { type Hidden, hiddenIn, hidesText } from "./hidden.ts";
import { markersIn } from "./markers.ts";
import { type Signal, SIGNALS } from "./phrases.ts";

const ENOUGH = 3;
/** Where people are not to look, less is enough. */
const ENOUGH_UNSEEN = 2;
/** Characters within which signals belong together. */
const REACH = 400;
/** Characters of one text that are read. */
const MAX_LENGTH = 256 * 1024;
/** Of one signal in one text. */
const MAX_MATCHES = 64;

/** The rules that a text meets, each once; none for most texts. */
export function instructionsIn(text: string): string[] {
  if (text.length < 8) return [];
  const read = text.slice(0, MAX_LENGTH);
  const rules = new Set(markersIn(read));
  if (hidesText(read)) rules.add("hidden_text");
  weigh({ text: read, unseen: false }, rules);
  for (const hidden of hiddenIn(read)) weigh(hidden, rules);
  return [...rules];
}

interface Found {
  readonly at: number;
  readonly rule: string;
  readonly weight: number;
}

const STRONG = SIGNALS.filter(({ weight }) => weight > 1);
const WEAK = SIGNALS.filter(({ weight }) => weight === 1);

function matches({ rule, weight, pattern }: Signal, plain: string, found: Found[]): void {
  let left = MAX_MATCHES;
  for (const match of plain.matchAll(pattern)) {
    found.push({ at: match.index, rule, weight: isQuoted(plain, match.index, match.index + match[0].length) ? 1 : weight });
    if (--left === 0) break;
  }
}

function weigh({ text, unseen }: Hidden, rules: Set<string>): void {
  const plain = folded(text);
  const found: Found[] = [];
  for (const signal of STRONG) matches(signal, plain, found);
  // what is to be done, and at once, is said everywhere: somebody must be told, or something be left aside
  if (found.length === 0) return;
  for (const signal of WEAK) matches(signal, plain, found);
  found.sort((a, b) => a.at - b.at);
  const enough = unseen ? ENOUGH_UNSEEN : ENOUGH;
  for (let first = 0; first < found.length; first++) {
    const near = new Map<string, number>();
    for (let i = first; i < found.length && found[i]!.at - found[first]!.at <= REACH; i++) {
      const { rule, weight } = found[i]!;
      near.set(rule, Math.max(weight, near.get(rule) ?? 0));
    }
    const sum = [...near.values()].reduce((all, weight) => all + weight, 0);
    if (sum < enough || ![...near.values()].some((weight) => weight > 1)) continue;
    for (const [rule, weight] of near) if (weight > 1) rules.add(rule);
  }
}

/** Named rather than said, as people do who write about it: alone it is no instruction. */
function isQuoted(text: string, from: number, to: number): boolean {
  return from > 0 && QUOTES.includes(text[from - 1]!) && to < text.length && QUOTES.includes(text[to]!);
}

const QUOTES = "\"'`“”„‘’«»";
