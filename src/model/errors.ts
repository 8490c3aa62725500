// The one error class of Rowseal, with its closed set of codes. Every code is explained in docs/errors.md.

export const errorCodes = [
  'BadUsage',
  'BadManifest',
  'BadReference',
  'BadSecret',
  'BadPredicate',
  'BadKey',
  'BadNote',
  'BadLogData',
  'DatabaseUnreachable',
  'DatabaseAuthentication',
  'DatabasePrivilege',
  'DatabaseObjectMissing',
  'DatabaseConflict',
  'DatabaseStatement',
  'WaitingForLock',
  'Fenced',
  'OwnedByAnother',
  'NotGranted',
  'Contradiction',
  'TestFailed',
  'SlotLost',
  'SourceRewound',
  'SnapshotOutdated',
  'ServerLogUnreachable',
  'StorageUnreachable',
  'StorageRefused',
  'StorageNotWriteOnce',
  'StorageConflict',
  'WriterFenced',
  'LogInconsistent',
  'LogNotFound',
  'ClusterUnreachable',
  'ClusterRefused',
  'ClusterConflict',
  'Deadline',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorDetails {
  /** The thing the message is about, such as `RowPolicy shop/orders` or `file:///logs/journal/…`. */
  readonly object?: string;
  /** What the reader should do next, as one sentence. */
  readonly next?: string;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

export class RowsealError extends Error {
  override readonly name = 'RowsealError';
  readonly code: ErrorCode;
  readonly object: string | undefined;
  readonly next: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.object = details.object;
    this.next = details.next;
    this.retryable = details.retryable ?? false;
  }

  /** One line for a person: the object, what failed, and the next step. */
  describe(): string {
    const subject = this.object === undefined || this.message.includes(this.object) ? '' : `${this.object}: `;
    return `${subject}${this.message}${this.next === undefined ? '' : ` — ${this.next}`}`;
  }
}

/** The line a person should read about any thrown value; never a stack trace. */
export function describeError(error: unknown): string {
  if (error instanceof RowsealError) return error.describe();
  return error instanceof Error ? error.message : String(error);
}

/** Rowseal's own error for an unknown thrown value, so that callers can rely on `code` and `retryable`. */
export function toRowsealError(error: unknown, code: ErrorCode, details: ErrorDetails = {}): RowsealError {
  if (error instanceof RowsealError) return error;
  return new RowsealError(code, describeError(error), { ...details, cause: error });
}
