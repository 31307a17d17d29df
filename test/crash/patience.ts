/** Whoever speaks to a plane under fire: says the same again until it is heard, and looks whenever anything may have come. */
import { setTimeout as pause } from "node:timers/promises";
import type { Answer } from "../../schemas/answer.ts";
import { type TestActor, withPatience } from "../harness/plane.ts";

const PATIENCE_MS = 90_000;
const AGAIN_MS = 700;

/** Tries until it succeeds: the server may be away. */
export async function stubborn<T>(what: () => Promise<T>): Promise<T> {
  for (const began = performance.now(); ; ) {
    try {
      return await withPatience(what(), "a request was never answered", PATIENCE_MS);
    } catch (error) {
      if (performance.now() - began > PATIENCE_MS) throw error;
      // no answer is to be had before the connection is back, and nothing says when it is
      await pause(50);
    }
  }
}

/** Sends the same again and again until something is heard. What is heard is looked for whenever anything comes. */
export async function until<T>(send: () => Promise<unknown>, heard: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const began = performance.now();
  let sentAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const found = await heard();
    if (found !== undefined) return found;
    const now = performance.now();
    if (now - began > PATIENCE_MS) throw new Error(`nothing came of ${what}`);
    if (now - sentAt > AGAIN_MS) {
      sentAt = now;
      await stubborn(send);
    }
    await pause(10);
  }
}

/** Proposes until an answer fits. @returns the newest that does */
export function propose(actor: TestActor, run: string, body: { id: string; [key: string]: unknown }, fits: (answer: Answer) => boolean): Promise<Answer> {
  return until(
    () => actor.send("propose", run, body),
    () => actor.answers.findLast((answer) => answer.run === run && answer.id === body.id && fits(answer)),
    `proposal \`${body.id}\` of \`${run}\`; the last answers: ${JSON.stringify(actor.answers.filter((answer) => answer.run === run).slice(-3))}`,
  );
}
