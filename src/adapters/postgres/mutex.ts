// One holder at a time, first come first served; whoever gives up waiting leaves the queue.

export interface Mutex {
  /** Runs `action` alone. Rejects with the signal's reason when it is aborted before the turn comes. */
  run<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createMutex(): Mutex {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    run: async (action, signal) => {
      const turn = tail;
      let release: () => void = () => undefined;
      // The next one waits for both: those before us, even if we gave up waiting for them, and us.
      const done = new Promise<void>((resolve) => (release = resolve));
      tail = turn.then(() => done);
      try {
        await untilAborted(turn, signal);
        return await action();
      } finally {
        release();
      }
    },
  };
}

/** The promise, or the signal's reason if that comes first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
