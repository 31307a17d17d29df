/**
 * Regular expressions of tool schemas, matched in time proportional to text times pattern.
 *
 * A `pattern` is written by whoever defines a tool and run on text that an agent chose; with a backtracking
 * engine one such pair stops the plane for hours. So patterns are compiled to a small automaton that follows
 * all alternatives at once. What cannot be matched in that way (back references, lookaround) is refused when
 * the tool is applied. Syntax and meaning are those of ECMAScript with the flag `u`, as JSON Schema asks.
 */

/** Instructions of one compiled pattern, counted repetitions written out. */
const MAX_PROGRAM = 1024;
/** UTF-16 code units; longer text does not match. */
export const MAX_MATCHED_TEXT = 65_536;

export class PatternError extends Error {
  override readonly name = "PatternError";
}

type CharTest = (codePoint: number, text: string) => boolean;
type Assertion = "start" | "end" | "word" | "notWord";
type Node =
  | { readonly is: "char"; readonly test: CharTest }
  | { readonly is: "assert"; readonly what: Assertion }
  | { readonly is: "all"; readonly parts: readonly Node[] }
  | { readonly is: "any"; readonly parts: readonly Node[] }
  | { readonly is: "repeat"; readonly node: Node; readonly min: number; readonly max: number };
type Instruction =
  | { readonly op: "char"; readonly test: CharTest }
  | { readonly op: "assert"; readonly what: Assertion }
  | { readonly op: "jump"; readonly to: number[] }
  | { readonly op: "match" };

/**
 * Compiles a pattern, not anchored, as JSON Schema uses it.
 * @throws PatternError when it is no regular expression or cannot be matched in linear time
 */
export function compilePattern(source: string): { test(text: string): boolean } {
  try {
    new RegExp(source, "u");
  } catch (error) {
    throw new PatternError(`\`${source}\` is no regular expression: ${error instanceof Error ? error.message : ""}`);
  }
  const program: Instruction[] = [];
  emit(new Parser(source).parse(), program, { left: 16 * MAX_PROGRAM });
  program.push({ op: "match" });
  return { test: (text) => text.length <= MAX_MATCHED_TEXT && run(program, text) };
}

/** Reads a pattern whose syntax the engine has already accepted. */
class Parser {
  readonly #source: string;
  #at = 0;
  constructor(source: string) {
    this.#source = source;
  }

  parse(): Node {
    return this.#alternatives(0);
  }

  #alternatives(depth: number): Node {
    if (depth > 64) throw new PatternError("groups are nested deeper than 64");
    const parts = [this.#sequence(depth)];
    while (this.#take("|")) parts.push(this.#sequence(depth));
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { is: "any", parts };
  }

  #sequence(depth: number): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && !this.#sees("|") && !this.#sees(")")) {
      parts.push(this.#quantified(this.#atom(depth)));
    }
    return { is: "all", parts };
  }

  #quantified(node: Node): Node {
    const found = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(this.#source.slice(this.#at));
    if (found === null) return node;
    this.#at += found[0].length;
    if (found[1] !== undefined) {
      const min = Number(found[1]);
      const max = found[2] === "" ? min : found[3] === "" ? Infinity : Number(found[3]);
      return { is: "repeat", node, min, max };
    }
    return { is: "repeat", node, min: found[0].startsWith("+") ? 1 : 0, max: found[0].startsWith("?") ? 1 : Infinity };
  }

  #atom(depth: number): Node {
    if (this.#take("(")) {
      const head = /^\?(?:<[^=!][^>]*>|:)/.exec(this.#source.slice(this.#at));
      if (head !== null) this.#at += head[0].length;
      else if (this.#sees("?")) throw new PatternError("lookaround and inline flags are not supported in a pattern");
      const inner = this.#alternatives(depth + 1);
      this.#take(")");
      return inner;
    }
    if (this.#take("^")) return { is: "assert", what: "start" };
    if (this.#take("$")) return { is: "assert", what: "end" };
    if (this.#take("\\b")) return { is: "assert", what: "word" };
    if (this.#take("\\B")) return { is: "assert", what: "notWord" };
    return { is: "char", test: charTest(this.#charSource()) };
  }

  /** The text of one class, escape, dot or plain character. */
  #charSource(): string {
    const rest = this.#source.slice(this.#at);
    const found =
      /^\[(?:\\[^]|[^\]\\])*\]/u.exec(rest) ??
      /^\\(?:u\{[0-9a-fA-F]+\}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[pP]\{[^}]*\}|[^])/u.exec(rest) ??
      /^[^]/u.exec(rest);
    const text = found?.[0] ?? "";
    if (/^\\(?:[1-9]|k)/.test(text)) throw new PatternError("back references are not supported in a pattern");
    this.#at += text.length;
    return text;
  }

  #sees(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false;
    this.#at += text.length;
    return true;
  }
}

/** One character is left to the engine itself: there is nothing in it to backtrack over. */
function charTest(source: string): CharTest {
  const one = new RegExp(`^${source}$`, "u");
  const ascii = Uint8Array.from({ length: 128 }, (_, code) => (one.test(String.fromCharCode(code)) ? 1 : 0));
  return (code, text) => (code < 128 ? ascii[code] === 1 : one.test(text));
}

/** `budget` bounds the work itself: repetitions of nothing would otherwise cost time and no instruction. */
function emit(node: Node, program: Instruction[], budget: { left: number }): void {
  if (program.length > MAX_PROGRAM || budget.left-- === 0) throw new PatternError(`the pattern needs more than ${MAX_PROGRAM} steps`);
  switch (node.is) {
    case "char":
      program.push({ op: "char", test: node.test });
      return;
    case "assert":
      program.push({ op: "assert", what: node.what });
      return;
    case "all":
      for (const part of node.parts) emit(part, program, budget);
      return;
    case "any": {
      const fork: number[] = [];
      const ends: number[][] = [];
      program.push({ op: "jump", to: fork });
      for (const part of node.parts) {
        fork.push(program.length);
        emit(part, program, budget);
        const end: number[] = [];
        ends.push(end);
        program.push({ op: "jump", to: end });
      }
      for (const end of ends) end.push(program.length);
      return;
    }
    case "repeat": {
      if (node.min > MAX_PROGRAM || (node.max !== Infinity && node.max > MAX_PROGRAM)) {
        throw new PatternError(`a repetition of more than ${MAX_PROGRAM} is not supported in a pattern`);
      }
      for (let i = 0; i < node.min; i++) emit(node.node, program, budget);
      if (node.max === Infinity) {
        const start = program.length;
        const exit: number[] = [start + 1];
        program.push({ op: "jump", to: exit });
        emit(node.node, program, budget);
        program.push({ op: "jump", to: [start] });
        exit.push(program.length);
        return;
      }
      const exits: number[][] = [];
      for (let i = node.min; i < node.max; i++) {
        const exit: number[] = [program.length + 1];
        exits.push(exit);
        program.push({ op: "jump", to: exit });
        emit(node.node, program, budget);
      }
      for (const exit of exits) exit.push(program.length);
    }
  }
}

function run(program: readonly Instruction[], text: string): boolean {
  /** The position at which an instruction was last reached: each is followed once per position. */
  const reached = new Int32Array(program.length).fill(-1);
  let now: number[] = [];
  let at = 0;
  const follow = (from: number, into: number[]): boolean => {
    const stack = [from];
    for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
      const instruction = program[pc];
      if (instruction === undefined || reached[pc] === at) continue;
      reached[pc] = at;
      if (instruction.op === "match") return true;
      if (instruction.op === "char") into.push(pc);
      else if (instruction.op === "jump") stack.push(...instruction.to);
      else if (holds(instruction.what, text, at)) stack.push(pc + 1);
    }
    return false;
  };
  while (true) {
    if (follow(0, now)) return true;
    const code = text.codePointAt(at);
    if (code === undefined) return false;
    const char = code < 128 ? "" : String.fromCodePoint(code);
    at += code > 0xffff ? 2 : 1;
    const next: number[] = [];
    for (const pc of now) {
      const instruction = program[pc];
      if (instruction?.op === "char" && instruction.test(code, char) && follow(pc + 1, next)) return true;
    }
    now = next;
  }
}

function holds(what: Assertion, text: string, at: number): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === text.length;
  const edge = isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at));
  return what === "word" ? edge : !edge;
}

function isWord(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
}
