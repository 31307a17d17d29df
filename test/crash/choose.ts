/** Which disturbances are tried: all of them, or as many as there is time for, chosen by a seed; and those that once failed. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Disturbance } from "./disturb.ts";
import type { Program } from "./programs.ts";

const KEPT = new URL("./kept.json", import.meta.url);
const KEPT_PROGRAMS = new URL("./kept-programs.json", import.meta.url);

/** Disturbances that failed once: tried first, always. */
export function kept(): Disturbance[] {
  return JSON.parse(readFileSync(KEPT, "utf8")) as Disturbance[];
}

export function keep(failed: Disturbance): void {
  const all = kept();
  if (all.some((one) => JSON.stringify(one) === JSON.stringify(failed))) return;
  writeFileSync(KEPT, `${JSON.stringify([...all, failed], undefined, 2)}\n`);
}

/** A program that failed once, itself: what a seed means changes with the generator. */
export interface KeptProgram {
  /** How it was found, and what it showed. */
  readonly why: string;
  readonly program: Program;
}

/** Programs that failed once: played first, always. */
export function keptPrograms(): KeptProgram[] {
  return JSON.parse(readFileSync(KEPT_PROGRAMS, "utf8")) as KeptProgram[];
}

export function keepProgram(failed: KeptProgram): void {
  const all = keptPrograms();
  if (all.some(({ program }) => JSON.stringify(program) === JSON.stringify(failed.program))) return;
  writeFileSync(KEPT_PROGRAMS, `${JSON.stringify([...all, failed], undefined, 2)}\n`);
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** In an order in which every kind of boundary comes before any comes a second time. */
export function shuffled(all: readonly Disturbance[], seed: number): Disturbance[] {
  const next = random(seed);
  const kinds = new Map<string, Disturbance[]>();
  for (const one of all) {
    const kind = `${one.capability} ${one.part} ${one.at.side} ${one.at.name}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  const rounds: Disturbance[] = [];
  const left = [...kinds.values()];
  while (left.some((kind) => kind.length > 0)) {
    for (const [, kind] of left.map((kind) => [next(), kind] as const).sort(([a], [b]) => a - b)) {
      const [one] = kind.splice(Math.floor(next() * kind.length), 1);
      if (one !== undefined) rounds.push(one);
    }
  }
  return rounds;
}

/** CRASH_SEED, else one that nobody has tried; a failure prints it. */
export function seed(): number {
  const given = process.env["CRASH_SEED"];
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}

export const ALL = process.env["CRASH_ALL"] === "1";
