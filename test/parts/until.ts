// Waiting in tests: for a condition, with a deadline, and with what was seen last in the error.
import { setTimeout as sleep } from 'node:timers/promises';

export async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>, what: string, deadlineMs = 15_000): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await sleep(20);
  }
}
