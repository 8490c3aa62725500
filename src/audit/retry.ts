// Transient storage errors are tried again with full jitter, within a deadline.
import { describeError, RowsealError } from '../model/errors.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';

export interface RetryContext {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** For all attempts together, in milliseconds. */
  readonly deadlineMs: number;
}

const attemptDeadlineMs = 30_000;
const firstDelayMs = 50;
const longestDelayMs = 5_000;

/** Throws what the attempt threw when that is not retryable, StorageUnreachable when the deadline is over. */
export async function withRetries<T>(context: RetryContext, object: string, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const startedMs = context.clock.monotonicMs();
  for (let count = 0; ; count += 1) {
    try {
      return await limited(context, attempt);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof RowsealError) || !error.retryable) throw error;
      const waitMs = jitter(context.randomness, Math.min(longestDelayMs, firstDelayMs * 2 ** count));
      if (context.clock.monotonicMs() + waitMs - startedMs > context.deadlineMs) throw givenUp(error, object);
      context.logger.debug({ object, code: error.code, waitMs }, 'storage is tried again');
      await context.clock.sleep(waitMs, context.signal);
    }
  }
}

/** One attempt, with a deadline of its own: a store that hangs must not hold the log for ever. */
async function limited<T>({ clock, signal }: RetryContext, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = new AbortController();
  const timer = clock.sleep(attemptDeadlineMs, AbortSignal.any([done.signal, signal])).then(
    () => late.abort(new RowsealError('StorageUnreachable', 'the storage did not answer in time', { retryable: true })),
    () => undefined,
  );
  const limit = AbortSignal.any([late.signal, signal]);
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(limit.reason);
  // Taken off again below: a combined signal that still has a listener is never collected.
  limit.addEventListener('abort', onAbort, { once: true });
  if (limit.aborted) onAbort();
  try {
    return await Promise.race([attempt(limit), stopped]);
  } finally {
    limit.removeEventListener('abort', onAbort);
    done.abort();
    await timer;
  }
}

function jitter(randomness: Randomness, limitMs: number): number {
  const [high = 0, low = 0] = randomness.bytes(2);
  return Math.floor((limitMs * (high * 256 + low)) / 65_536);
}

function givenUp(cause: RowsealError, object: string): RowsealError {
  return new RowsealError('StorageUnreachable', `the storage kept failing: ${describeError(cause)}`, {
    object: cause.object ?? object,
    next: cause.next ?? 'check the storage; Rowseal opens the log again and recovers',
    retryable: true,
    cause,
  });
}
