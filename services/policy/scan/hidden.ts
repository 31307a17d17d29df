/**
 * What a text says to a machine and not to a person: text that cannot be seen, and text in another writing. Each is
 * given back as a text of its own; nothing is decoded twice, and no more than a bounded part of it.
 */

export interface Hidden {
  readonly text: string;
  /** People do not see it, or could not read it: less is needed to be suspicious of it. */
  readonly unseen: boolean;
}

const MAX_PARTS = 32;
const MAX_LENGTH = 8 * 1024;

/** Letters one by one in characters that show nothing; flags of regions have up to six of them. */
const TAGS = /[\u{e0020}-\u{e007e}]{7,}/gu;
/** Zero-width characters inside words of Latin letters, where no script needs them, and long rows of them. */
const ZERO_WIDTH = /(?:[A-Za-z][\u200b-\u200d\u2060\ufeff]+){4}|[\u200b-\u200d\u2060\ufeff]{12}|(?:[\u200b-\u200d\u2060\ufeff][\u200b-\u200d\u2060\ufeff]?){12}/;

/** Whether a text hides another in characters that cannot be seen. No honest text does. */
export function hidesText(text: string): boolean {
  TAGS.lastIndex = 0;
  return NOT_ASCII.test(text) && (ZERO_WIDTH.test(text) || TAGS.test(text));
}

const NOT_ASCII = /[^\x00-\x7f]/;

/** The texts within a text. */
export function hiddenIn(text: string): Hidden[] {
  const found: Hidden[] = [];
  const put = (part: string | undefined, unseen: boolean) => {
    if (part !== undefined && part.length >= 8 && found.length < MAX_PARTS) found.push({ text: part.slice(0, MAX_LENGTH), unseen });
  };
  if (NOT_ASCII.test(text)) {
    for (const [tags] of text.matchAll(TAGS)) put(String.fromCharCode(...[...tags].map((char) => (char.codePointAt(0) ?? 0) - 0xe0000)), true);
    if (MIXED.test(text)) put(text.replace(LOOKALIKE, (char) => LATIN.get(char) ?? char), false);
  }
  if (text.includes("<")) for (const pattern of MARKUP) for (const match of text.matchAll(pattern)) put(match[1], true);
  if (text.includes("[//]")) for (const match of text.matchAll(/\[\/\/\]: ?#? ?[("']([^\n]{8,2000})/g)) put(match[1], true);
  if (/\[white text\]/i.test(text)) put(text.slice(text.search(/\[white text\]/i)), true);
  for (const [run] of text.matchAll(ENCODED)) put(decoded(run), true);
  if (text.includes("%20")) put(percentDecoded(text), true);
  if (ENTITIES.test(text)) put(text.replace(/&#(x?)([0-9a-f]{1,6});/gi, (_, hex: string, code: string) => charOf(Number.parseInt(code, hex === "" ? 10 : 16))), true);
  if (/rot-?13/i.test(text)) put(text.replace(/[a-z]/gi, rotated), true);
  if (/snoitcurtsn|erongi|dragersid|tpmorp/i.test(text)) put([...text].reverse().join(""), true);
  if (/(?:^|\s)(?:[A-Za-z] ){5}/.test(text)) put(text.replace(/(?<=(?:^|\s)[A-Za-z]) (?=[A-Za-z](?:\s|$))/g, "").replace(/ {2,}/g, " "), true);
  if (LEET.test(text)) {
    const plain = text.replace(LEET_LETTER, (char) => LETTERS[char] ?? char);
    // numbers stand in words everywhere: only when they hide one that matters
    if (count(plain) > count(text)) put(plain, false);
  }
  return found;
}

/** Comments, and elements that are not shown. */
const MARKUP: readonly RegExp[] = [
  /<!--([^]{8,4000}?)(?:-->|$)/g,
  /<[a-z]{1,16}[^<>]{0,200}(?:display:\s?none|visibility:\s?hidden|opacity:\s?0(?![.\d])|font-size:\s?0|left:\s?-\d{3,}px|aria-hidden="true"|\shidden\b)[^<>]{0,200}>([^<]{8,4000})/gi,
  /<(?:img|meta|a|input)\b[^<>]{0,400}\s(?:alt|title|content|value)=["']([^"'<>]{8,2000})/gi,
  /<(?:noscript|script type="text\/plain"|template)>([^<]{8,4000})/gi,
];

/** Base64 and hexadecimal, long enough to say something. */
const ENCODED = /(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/]{24,16000}={0,2})(?![A-Za-z0-9+/_-])/g;
const ENTITIES = /(?:&#x?[0-9a-f]{1,6};){4}/i;

function decoded(run: string): string | undefined {
  const part = run.slice(0, 2 * MAX_LENGTH);
  const hex = /^(?:[0-9a-f]{2})+$/i.test(part) ? legible(Buffer.from(part, "hex")) : undefined;
  return hex ?? legible(Buffer.from(part, "base64"));
}

/** Text, if bytes are one that a person could have written: it is UTF-8, has spaces, and nothing that is not printed. */
function legible(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return text.includes(" ") && !/[\x00-\x08\x0e-\x1f\x7f\ufffd]/.test(text) ? text : undefined;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const charOf = (code: number) => (code > 0 && code < 0x110000 ? String.fromCodePoint(code) : "");

function rotated(char: string): string {
  const base = char <= "Z" ? 65 : 97;
  return String.fromCharCode(((char.charCodeAt(0) - base + 13) % 26) + base);
}

const LEET = /[a-z][0134579@$][a-z]/i;
const LEET_LETTER = /(?<=[a-z])[0134579@$]|[0134579@$](?=[a-z])/gi;
const LOADED = /ignor|previous|instruction|disregard|prompt|system|admin|reveal|password|approve|bypass|override|delete/gi;
const count = (text: string) => text.match(LOADED)?.length ?? 0;
const LETTERS: Readonly<Record<string, string>> = { "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "9": "g", "@": "a", $: "s" };

/** Letters of other scripts that look like Latin ones, and words in which both stand. */
const LATIN: ReadonlyMap<string, string> = new Map(
  ["аa", "еe", "оo", "рp", "сc", "хx", "уy", "іi", "ѕs", "јj", "һh", "ԁd", "ԛq", "ԝw", "ɡg", "ӏl", "АA", "ВB", "ЕE", "КK", "МM", "НH", "ОO", "РP", "СC", "ТT", "ХX", "ІI", "ЅS", "οo", "αa", "ιi", "νv", "ρp", "ΑA", "ΒB", "ΕE", "ΗH", "ΙI", "ΚK", "ΜM", "ΝN", "ΟO", "ΡP", "ΤT", "ΥY", "ΧX"].map((pair) => [pair[0]!, pair[1]!]),
);
const LOOKALIKE = new RegExp(`[${[...LATIN.keys()].join("")}]`, "g");
const MIXED = /[a-zA-Z][\u0370-\u03ff\u0400-\u04ff\u0500-\u052f\u0261]|[\u0370-\u03ff\u0400-\u04ff\u0500-\u052f\u0261][a-zA-Z]/;
