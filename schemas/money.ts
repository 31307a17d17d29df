/** Money inside the plane is a whole number of micro-dollars: sums are exact and bytes are the same everywhere. */

const MICRO = 1_000_000;

/** USD to micro-USD, rounded up: a fraction of a micro-dollar is never given away. */
export function microUsd(usd: number): number {
  return Math.ceil(usd * MICRO - 1e-6);
}

export function usd(micro: number): number {
  return micro / MICRO;
}
