/**
 * The headers of a stored message, kept as the text that came off the wire and taken apart when somebody asks for one.
 * Whoever reads a whole journal asks for none, but whether they are what the body says: taking them apart was the
 * largest part of what reading costs here, more than the client's own work.
 */
const FIRST = "NATS/1.0\r\n".length;

export class StoredHeaders implements ReadonlyMap<string, string> {
  readonly #text: string;
  readonly #stop: number;
  readonly #parse: (text: string, stop: number) => ReadonlyMap<string, string>;
  #map: ReadonlyMap<string, string> | undefined;

  /** @param stop where the message's own headers end in the text */
  constructor(text: string, stop: number, parse: (text: string, stop: number) => ReadonlyMap<string, string>) {
    this.#text = text;
    this.#stop = stop;
    this.#parse = parse;
  }

  /**
   * True only if these lines, each with its line break, stand first, and no line behind them has a name that begins
   * like one of these: a name that came twice would have another value.
   */
  say(lines: string, names: readonly string[]): boolean {
    if (!this.#text.startsWith(lines, FIRST)) return false;
    const rest = FIRST + lines.length;
    if (rest > this.#stop) return false;
    return names.every((name) => {
      const again = this.#text.indexOf(`\r\n${name}`, rest - 2);
      return again < 0 || again >= this.#stop;
    });
  }

  get size(): number {
    return this.#all.size;
  }
  get(name: string): string | undefined {
    return this.#all.get(name);
  }
  has(name: string): boolean {
    return this.#all.has(name);
  }
  forEach(each: (value: string, name: string, map: ReadonlyMap<string, string>) => void): void {
    this.#all.forEach(each);
  }
  entries(): MapIterator<[string, string]> {
    return this.#all.entries();
  }
  keys(): MapIterator<string> {
    return this.#all.keys();
  }
  values(): MapIterator<string> {
    return this.#all.values();
  }
  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.#all[Symbol.iterator]();
  }

  get #all(): ReadonlyMap<string, string> {
    return (this.#map ??= this.#parse(this.#text, this.#stop));
  }
}
