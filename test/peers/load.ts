/** The same load for every neighbour: so many at a time, each one after the other, for a while. */
import { percentiles, type Percentiles } from "../bench/figures.ts";

export const AT_A_TIME = [1, 16, 64] as const;

export interface Rate {
  readonly at_a_time: number;
  readonly per_s: number;
  readonly ms: Percentiles;
}

/** @param once does one thing; its number is different each time */
export async function rateOf(atATime: number, seconds: number, once: (n: number) => Promise<unknown>): Promise<Rate> {
  const until = performance.now() + seconds * 1000;
  const took: number[] = [];
  let next = 0;
  const began = performance.now();
  const worker = async () => {
    while (performance.now() < until) {
      const from = performance.now();
      await once((next += 1));
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return { at_a_time: atATime, per_s: Math.round((took.length * 1000) / (performance.now() - began)), ms: percentiles(took) };
}
