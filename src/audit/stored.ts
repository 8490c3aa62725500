// What the writer reads back is its own log: anything that cannot be opened there means that the log was altered.
import { describeError, RowsealError } from '../model/errors.ts';

const badEvidence = ['BadNote', 'BadLogData', 'LogInconsistent'];

/** Turns what a parser threw into LogInconsistent about `object`. */
export function trusted<T>(object: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RowsealError) || !badEvidence.includes(cause.code)) throw cause;
    throw inconsistent(describeError(cause), object, cause);
  }
}

export function inconsistent(message: string, object: string, cause?: unknown): RowsealError {
  return new RowsealError('LogInconsistent', message, { object, next: 'nothing is written; run rowseal verify, and restore the log from a copy that is sound', cause });
}
