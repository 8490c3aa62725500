// From keys to paths below the log's root, and from errors of the file system to Rowseal's.
import { join } from 'node:path';
import { RowsealError } from '../../model/errors.ts';

/** Folders of files in the making; they are no part of the log. */
export const temporaryPrefix = '.tmp-';

/** Throws BadUsage for a key that would leave the root or name a temporary file. */
export function pathOf(root: string, key: string): string {
  const parts = key.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.startsWith(temporaryPrefix) || part.includes('\0'))) {
    throw new RowsealError('BadUsage', `not a key of a log: ${JSON.stringify(key)}`);
  }
  return join(root, ...parts);
}

/** The errno name, such as `ENOENT`; empty for anything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const transient = ['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE', 'ETIMEDOUT'];
const full = ['ENOSPC', 'EDQUOT'];

/** `action` completes the sentence "cannot …". */
export function storageError(error: unknown, action: string, object: string): RowsealError {
  if (error instanceof RowsealError) return error;
  const code = errnoOf(error);
  const message = `cannot ${action}: ${code === '' ? 'the file system refuses' : code}`;
  if (full.includes(code)) return new RowsealError('StorageUnreachable', message, { object, next: 'free space on the volume', retryable: true, cause: error });
  if (transient.includes(code)) return new RowsealError('StorageUnreachable', message, { object, next: 'it is tried again', retryable: true, cause: error });
  return new RowsealError('StorageRefused', message, { object, next: nextStep(code), cause: error });
}

function nextStep(code: string): string {
  switch (code) {
    case 'EROFS':
      return 'mount the volume for writing, or choose another path';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'choose a path where every part is a folder';
    case 'EACCES':
    case 'EPERM':
      return 'let the account that Rowseal runs as read and write this folder';
    default:
      return 'check the volume and its mount';
  }
}
