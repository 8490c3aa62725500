// Waiting a moment for what a live writer may be about to store.
import type { Clock } from '../ports/clock.ts';

const tries = 10;
const pauseMs = 200;

/** Asks until the answer is defined; undefined when two seconds did not help. */
export async function patiently<T>(ask: () => Promise<T | undefined>, clock: Clock, signal: AbortSignal): Promise<T | undefined> {
  for (let attempt = 1; attempt < tries; attempt += 1) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await clock.sleep(pauseMs, signal);
  }
  return ask();
}
