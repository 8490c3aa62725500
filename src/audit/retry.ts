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

/** Aborting with a reason of one's own spares making an error that nobody reads, hundreds of times a second. */
const attemptEnded = 'the attempt ended';

/** One attempt, with a deadline of its own: a store that hangs must not hold the log for ever. */
async function limited<T>({ clock, signal }: RetryContext, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const done = new AbortController();
  const limit = new AbortController();
  const timer = clock.sleep(attemptDeadlineMs, done.signal).then(
    () => limit.abort(new RowsealError('StorageUnreachable', 'the storage did not answer in time', { retryable: true })),
    () => undefined,
  );
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onLimit = (): void => reject(limit.signal.reason);
  const onAbort = (): void => limit.abort(signal.reason);
  limit.signal.addEventListener('abort', onLimit, { once: true });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([attempt(limit.signal), stopped]);
  } finally {
    limit.signal.removeEventListener('abort', onLimit);
    signal.removeEventListener('abort', onAbort);
    done.abort(attemptEnded);
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
