// Time and randomness, passed in so that everything outside adapters and cli is repeatable.

export interface Clock {
  /** Wall-clock time. */
  now(): Date;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Randomness {
  bytes(length: number): Uint8Array;
}
