// The real clock and the real source of randomness.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Randomness } from '../ports/clock.ts';

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    signal.throwIfAborted();
    await delay(ms, undefined, { signal });
  },
};

export const systemRandomness: Randomness = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
