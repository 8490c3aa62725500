// Lets a loop sleep until something changed or a time is over.
import type { Clock } from '../ports/clock.ts';

export class Wakeup {
  readonly #clock: Clock;
  #sleeper = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends every wait that is under way. */
  wake(): void {
    const sleeper = this.#sleeper;
    this.#sleeper = new AbortController();
    sleeper.abort();
  }

  /** Resolves at the next `wake`, or after `ms` when given; rejects with the signal's reason. */
  async wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { signal: woken } = this.#sleeper;
    const both = AbortSignal.any([woken, signal]);
    await (ms === undefined ? aborted(both) : this.#clock.sleep(ms, both).catch(() => undefined));
    signal.throwIfAborted();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
