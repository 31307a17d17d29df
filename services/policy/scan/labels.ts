/**
 * What kind of data a text holds, as far as its form tells: addresses, accounts and cards of people. A label too many
 * keeps data from tools that are not cleared for it, so each form is checked beyond its look where it has a check.
 */
import type { Label } from "../../../schemas/label.ts";

export interface FoundLabel {
  readonly label: Label;
  readonly rule: string;
}

const EMAIL: FoundLabel = { label: "pii", rule: "email" };
const PHONE: FoundLabel = { label: "pii", rule: "phone" };
const IBAN: FoundLabel = { label: "pii", rule: "iban" };
const SSN: FoundLabel = { label: "pii", rule: "ssn" };
const CARD: FoundLabel = { label: "pci", rule: "card" };

/** The labels of one text, each rule once. Linear in its length. */
export function labelsIn(text: string): FoundLabel[] {
  const found: FoundLabel[] = [];
  if (text.length < 6) return found;
  if (hasEmail(text)) found.push(EMAIL);
  if (!DIGITS.test(text)) return found;
  if (any(text, CARDS, isCard)) found.push(CARD);
  if (any(text, IBANS, isIban)) found.push(IBAN);
  if (any(text, SSNS, () => true)) found.push(SSN);
  if (any(text, PHONES, isPhone)) found.push(PHONE);
  return found;
}

/** Fewer than this many digits are none of what is looked for: a cheap first look. */
const DIGITS = /\d(?:[^\d]{0,4}\d){6}/;

function any(text: string, pattern: RegExp, check: (match: string) => boolean): boolean {
  for (const [match] of text.matchAll(pattern)) if (check(match)) return true;
  return false;
}

const BEFORE_AT = /[A-Za-z0-9._%+'-]{1,64}$/;
const AFTER_AT = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])/;
/** Domains that nobody lives in, and files that look like one. */
const NOBODY = /(?:^|\.)(?:example\.(?:com|org|net)|invalid|test|localhost|local|png|jpe?g|gif|svg|webp|css|js)$/i;
/** How often an at sign may be looked at: a text of at signs is no list of people. */
const MAX_LOOKS = 4096;

function hasEmail(text: string): boolean {
  let looks = 0;
  for (let at = text.indexOf("@"); at >= 0 && looks < MAX_LOOKS; at = text.indexOf("@", at + 1), looks++) {
    if (!BEFORE_AT.test(text.slice(Math.max(0, at - 64), at))) continue;
    const domain = AFTER_AT.exec(text.slice(at + 1, at + 256))?.[0];
    if (domain !== undefined && !NOBODY.test(domain) && !/^(?:noreply|no-reply|git)$/i.test(BEFORE_AT.exec(text.slice(Math.max(0, at - 64), at))?.[0] ?? "")) return true;
  }
  return false;
}

/** 13 to 19 digits, together or in groups, and not part of something longer. */
const CARDS = /(?<![\w.+/-])\d{4}(?:[ -]?\d{2,7}){2,4}(?![\w/-]|\.\d)/g;
/** Of the networks that issue them. */
const ISSUED = /^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12})$/;

function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, "");
  return ISSUED.test(digits) && luhn(digits) && new Set(digits).size > 1;
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const IBANS = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])/g;

/** ISO 13616: the remainder of the rearranged number by 97 is 1. A last group that is the next word is left off. */
function isIban(text: string): boolean {
  for (let candidate = text; candidate.length >= 15; candidate = candidate.slice(0, Math.max(0, candidate.lastIndexOf(" ")))) {
    const compact = candidate.replaceAll(" ", "");
    if (compact.length >= 15 && compact.length <= 34 && mod97(compact.slice(4) + compact.slice(0, 4)) === 1) return true;
  }
  return false;
}

function mod97(text: string): number {
  let rest = 0;
  for (const char of text) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest;
}

/** Numbers that were never given out are none. */
const SSNS = /(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])/g;

/** International with its plus sign; of North America in its usual forms. */
const PHONES = /(?<![\w+])\+[1-9](?:[ ().\/-]{0,2}\d){7,14}(?![\w])|(?<![\w.-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}(?![\w-])/g;

function isPhone(text: string): boolean {
  return new Set(text.replace(/\D/g, "")).size > 2;
}
