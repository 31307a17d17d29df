/** Waits before trying again what an unreachable server did not take. Never part of a decision (law 1). */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
