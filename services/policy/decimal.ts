/** Decimals compared exactly, as they are written: money is never compared as binary fractions. */

/** `units` × 10^-`scale`. */
interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}

/** Digits beyond this are no amount but an attempt to keep the plane busy. */
const MAX_DIGITS = 400;
/** A Cedar decimal has four places and 64 bits. */
const CEDAR_PLACES = 4;
const CEDAR_MAX = 2n ** 63n - 1n;

/** What was read last: the same limits, and mostly the same amounts, are read for every call. */
const READ = new Map<number | string, Decimal | undefined>();
const MAX_READ = 2048;

/** A number, or a decimal written out; undefined when it is neither. A number means its shortest decimal form. */
function parse(value: number | string): Decimal | undefined {
  const known = READ.get(value);
  if (known !== undefined || READ.has(value)) return known;
  const decimal = read(value);
  if (READ.size >= MAX_READ) READ.clear();
  READ.set(value, decimal);
  return decimal;
}

function read(value: number | string): Decimal | undefined {
  const found = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d{1,4}))?$/.exec(String(value));
  if (found === null || String(value).length > MAX_DIGITS) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = found;
  const scale = fraction.length - Number(exponent);
  const units = BigInt(`${sign ?? ""}${whole}${fraction}`);
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

/** Whether `a` is above `b`; undefined when one of them is no finite decimal. */
export function isAbove(a: number | string, b: number | string): boolean | undefined {
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined) return undefined;
  const scale = Math.max(left.scale, right.scale);
  return rescale(left, scale) > rescale(right, scale);
}

/** The sum, written out; undefined when one of them is no finite decimal. */
export function sumOf(values: readonly (number | string)[]): string | undefined {
  let sum: Decimal = { units: 0n, scale: 0 };
  for (const value of values) {
    const one = parse(value);
    if (one === undefined) return undefined;
    const scale = Math.max(sum.scale, one.scale);
    sum = { units: rescale(sum, scale) + rescale(one, scale), scale };
  }
  return text(sum);
}

/** So many times the value, written out; undefined when it is no finite decimal. */
export function times(value: number | string, factor: number): string | undefined {
  const one = parse(value);
  return one === undefined ? undefined : text({ units: one.units * BigInt(factor), scale: one.scale });
}

/** Ten-thousandths of a unit, in which amounts are counted. */
const COUNTED_PLACES = 4;
/** Ten billion units: what is beyond is counted as this, so that sums stay whole numbers, and is never let through unseen. */
export const MAX_COUNTED = 10 ** (10 + COUNTED_PLACES);

/** A decimal that is not negative in ten-thousandths, at most {@link MAX_COUNTED}; undefined when it is neither. */
export function countedUnits(value: number | string, round: "up" | "down"): number | undefined {
  const one = parse(value);
  if (one === undefined || one.units < 0n) return undefined;
  const scale = Math.max(one.scale, COUNTED_PLACES);
  const cut = 10n ** BigInt(scale - COUNTED_PLACES);
  const units = rescale(one, scale);
  const whole = units / cut + (round === "up" && units % cut > 0n ? 1n : 0n);
  return whole > BigInt(MAX_COUNTED) ? MAX_COUNTED : Number(whole);
}

/** Ten-thousandths as a decimal. */
export function countedText(units: number): string {
  const negative = units < 0;
  const digits = String(Math.abs(units)).padStart(COUNTED_PLACES + 1, "0");
  const fraction = digits.slice(-COUNTED_PLACES).replace(/0+$/, "");
  return `${negative ? "-" : ""}${digits.slice(0, -COUNTED_PLACES)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The number as a plain decimal without exponent; undefined when it is not finite. */
export function decimalText(value: number): string | undefined {
  const decimal = parse(value);
  return decimal === undefined ? undefined : text(decimal);
}

/**
 * The form that Cedar reads: four places. Digits beyond them are rounded in the stated direction, never cut, so
 * that 100.00001 is still above 100.
 * @returns undefined when the value is no decimal or beyond Cedar's range
 */
export function cedarDecimal(value: number | string, round: "up" | "down"): string | undefined {
  const decimal = parse(value);
  if (decimal === undefined) return undefined;
  let { units } = decimal;
  if (decimal.scale < CEDAR_PLACES) units *= 10n ** BigInt(CEDAR_PLACES - decimal.scale);
  if (decimal.scale > CEDAR_PLACES) {
    const cut = 10n ** BigInt(decimal.scale - CEDAR_PLACES);
    const rest = units % cut;
    units /= cut;
    // division of big integers goes towards zero
    if (round === "up" && rest > 0n) units += 1n;
    if (round === "down" && rest < 0n) units -= 1n;
  }
  if (units > CEDAR_MAX || units < -CEDAR_MAX) return undefined;
  return text({ units, scale: CEDAR_PLACES });
}

function rescale(decimal: Decimal, scale: number): bigint {
  return decimal.units * 10n ** BigInt(scale - decimal.scale);
}

function text({ units, scale }: Decimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const sign = units < 0n ? "-" : "";
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(digits.length - scale)}`;
}
