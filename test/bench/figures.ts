/** Numbers about numbers. */

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

/** In the unit of the values, to a tenth; zero for none. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => tenth(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}

export const tenth = (value: number): number => Math.round(value * 10) / 10;

export const hundredth = (value: number): number => Math.round(value * 100) / 100;

/** Milliseconds since the epoch, finer than whole ones. */
export const clock = (): number => performance.timeOrigin + performance.now();
