/**
 * Cuts a Cedar file into its policies, with the place of each, and bounds what the parser is given.
 * A `;` ends a policy and stands nowhere else but in text and comments, so no more of the grammar is needed.
 */

/** The engine's stack holds about 110 brackets within each other, or 400 operators in a row, and breaks beyond. */
const MAX_NESTING = 32;
const MAX_OPERATORS = 128;
const MAX_CHAIN = 32;
/** UTF-16 code units of one policy. */
const MAX_POLICY = 64 * 1024;

export interface PolicyPiece {
  readonly text: string;
  /** Where the policy starts in the file, in UTF-16 code units. */
  readonly offset: number;
  /** Why the engine is not asked to read it. */
  readonly tooMuch?: { readonly offset: number; readonly message: string };
}

/** The policies of a file in order; comments before a policy are not part of it. */
export function splitPolicies(text: string): PolicyPiece[] {
  const pieces: PolicyPiece[] = [];
  let counter: Counter | undefined;
  const token = /\s+|\/\/[^\n]*|"(?:[^"\\]|\\[^])*"?|[A-Za-z_][A-Za-z0-9_]*|&&|\|\||==|!=|[^]/g;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const word = found[0];
    if (/^(?:\s|\/\/)/.test(word)) continue;
    counter ??= new Counter(found.index);
    if (word === ";") {
      pieces.push(counter.piece(text, found.index + 1));
      counter = undefined;
    } else counter.count(word, found.index);
  }
  if (counter !== undefined) pieces.push(counter.piece(text, text.length));
  return pieces;
}

const OPERATORS = new Set(["&&", "||", "+", "-", "*", "!", "if", "has", "like", "is", "in", "<", ">", "==", "!="]);

class Counter {
  readonly #start: number;
  #nesting = 0;
  #operators = 0;
  #chain = 0;
  #tooMuch: { offset: number; message: string } | undefined;

  constructor(start: number) {
    this.#start = start;
  }

  count(word: string, offset: number): void {
    if ("([{".includes(word)) this.#nesting++;
    else if (")]}".includes(word)) this.#nesting--;
    if (OPERATORS.has(word)) this.#operators++;
    // a chain of members ends at anything that is no name, dot or call
    if (word === ".") this.#chain++;
    else if (!/^\w/.test(word) && !"()[]".includes(word)) this.#chain = 0;
    if (this.#nesting > MAX_NESTING) this.#stop(offset, `brackets stand more than ${MAX_NESTING} deep`);
    if (this.#operators > MAX_OPERATORS) this.#stop(offset, `more than ${MAX_OPERATORS} operators in one policy`);
    if (this.#chain > MAX_CHAIN) this.#stop(offset, `more than ${MAX_CHAIN} members in a row`);
  }

  piece(text: string, end: number): PolicyPiece {
    if (end - this.#start > MAX_POLICY) this.#stop(this.#start, `a policy of more than ${MAX_POLICY} characters`);
    const piece = { text: text.slice(this.#start, end), offset: this.#start };
    return this.#tooMuch === undefined ? piece : { ...piece, tooMuch: this.#tooMuch };
  }

  #stop(offset: number, message: string): void {
    this.#tooMuch ??= { offset, message };
  }
}
