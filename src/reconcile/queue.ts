// A keyed work queue: each key at most once in line and at most once running, again when it changed meanwhile, later after a failure.
import type { Clock, Randomness } from '../ports/clock.ts';

export interface QueueOptions {
  readonly clock: Clock;
  readonly random: Randomness;
  /** How many keys run at the same time. */
  readonly concurrency: number;
  /** After the n-th failure in a row a key waits a random time up to `baseMs · 2ⁿ`, at most `capMs`. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
}

export interface AddOptions {
  /** Not before this time has passed; an earlier request for the same key wins. */
  readonly afterMs?: number;
  /** Higher runs first; 0 when left out. A key that waits keeps the highest it was added with. */
  readonly priority?: number;
}

/** Runs one key. Returns when to look again by itself, or throws: then the key is retried with backoff. */
export type Work = (key: string, signal: AbortSignal) => Promise<{ readonly requeueAfterMs?: number }>;

const defaultBackoff = { baseMs: 200, capMs: 60_000 } as const;
const maxDoublings = 30;
/** A queue that sleeps wakes at least this often, so that no timer overflows. */
const longestNapMs = 3_600_000;

interface Waiting {
  readonly priority: number;
  /** Order of arrival among equals. */
  readonly sequence: number;
}

export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #ready = new Map<string, Waiting>();
  readonly #delayed = new Map<string, { readonly dueMs: number; readonly priority: number }>();
  readonly #running = new Set<string>();
  readonly #dirty = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #sequence = 0;
  #stopped = false;
  #wake: AbortController = new AbortController();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many keys are in line or running; delayed ones are not counted. */
  get depth(): number {
    return this.#ready.size + this.#running.size;
  }

  /** Puts a key in line. While it runs it is only marked, and runs once more afterwards. */
  add(key: string, { afterMs = 0, priority = 0 }: AddOptions = {}): void {
    if (this.#stopped) return;
    if (afterMs > 0) this.#delay(key, afterMs, priority);
    else if (this.#running.has(key)) this.#dirty.set(key, Math.max(priority, this.#dirty.get(key) ?? priority));
    else this.#line(key, priority);
    this.#wake.abort();
  }

  /**
   * Runs keys until the signal is aborted, then waits for those that run (which get the same signal) and returns.
   * `onFailure` is told of each failure and of the time until the retry.
   */
  async run(work: Work, signal: AbortSignal, onFailure: (key: string, error: unknown, retryInMs: number) => void): Promise<void> {
    const runs = new Set<Promise<void>>();
    while (!signal.aborted) {
      this.#promoteDue();
      const key = this.#running.size < this.#options.concurrency ? this.#takeNext() : undefined;
      if (key === undefined) {
        await this.#nap(signal);
        continue;
      }
      const run = this.#runOne(key, { work, signal, onFailure }).finally(() => {
        runs.delete(run);
        this.#wake.abort();
      });
      runs.add(run);
    }
    this.#stopped = true;
    await Promise.allSettled(runs);
  }

  async #runOne(
    key: string,
    options: { readonly work: Work; readonly signal: AbortSignal; readonly onFailure: (key: string, error: unknown, retryInMs: number) => void },
  ): Promise<void> {
    this.#running.add(key);
    let after: { readonly ms: number } | undefined;
    try {
      const { requeueAfterMs } = await options.work(key, options.signal);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined) after = { ms: requeueAfterMs };
    } catch (error) {
      after = { ms: this.#nextBackoffMs(key) };
      if (!options.signal.aborted) options.onFailure(key, error, after.ms);
    } finally {
      this.#running.delete(key);
    }
    const dirtyPriority = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (dirtyPriority !== undefined) this.add(key, { priority: dirtyPriority });
    else if (after !== undefined) this.add(key, { afterMs: Math.max(1, after.ms) });
  }

  #nextBackoffMs(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const { baseMs, capMs } = this.#options.backoff ?? defaultBackoff;
    const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(failures, maxDoublings));
    const [a = 0, b = 0, c = 0] = this.#options.random.bytes(3);
    return Math.max(1, Math.round((ceilingMs * (a * 65_536 + b * 256 + c)) / 2 ** 24));
  }

  #line(key: string, priority: number): void {
    const waiting = this.#ready.get(key);
    this.#delayed.delete(key);
    if (waiting === undefined) this.#ready.set(key, { priority, sequence: (this.#sequence += 1) });
    else if (waiting.priority < priority) this.#ready.set(key, { ...waiting, priority });
  }

  #delay(key: string, afterMs: number, priority: number): void {
    if (this.#ready.has(key)) return;
    const dueMs = this.#options.clock.monotonicMs() + afterMs;
    const before = this.#delayed.get(key);
    this.#delayed.set(key, {
      dueMs: Math.min(dueMs, before?.dueMs ?? dueMs),
      priority: Math.max(priority, before?.priority ?? priority),
    });
  }

  #promoteDue(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [key, { dueMs, priority }] of this.#delayed) {
      if (dueMs > nowMs) continue;
      this.#delayed.delete(key);
      this.add(key, { priority });
    }
  }

  #takeNext(): string | undefined {
    let best: { key: string; waiting: Waiting } | undefined;
    for (const [key, waiting] of this.#ready) if (best === undefined || goesFirst(waiting, best.waiting)) best = { key, waiting };
    if (best !== undefined) this.#ready.delete(best.key);
    return best?.key;
  }

  /** Sleeps until something is added, a run ends, the next delayed key is due, or the signal is aborted. */
  async #nap(signal: AbortSignal): Promise<void> {
    if (this.#wake.signal.aborted) {
      this.#wake = new AbortController();
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    let napMs = longestNapMs;
    for (const { dueMs } of this.#delayed.values()) napMs = Math.min(napMs, dueMs - nowMs);
    const either = AbortSignal.any([this.#wake.signal, signal]);
    await this.#options.clock.sleep(Math.max(1, napMs), either).catch(() => undefined);
  }
}

function goesFirst(one: Waiting, other: Waiting): boolean {
  return one.priority !== other.priority ? one.priority > other.priority : one.sequence < other.sequence;
}
