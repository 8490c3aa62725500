// LOG and --key on the command line: a folder or s3://bucket/prefix, and a verifier key or a file that holds one.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { openFilesystemReader } from '../adapters/filesystem/reader.ts';
import { parseS3Location } from '../adapters/s3/s3-location.ts';
import { openS3Reader } from '../adapters/s3/s3-reader.ts';
import { parseVerifierKey, type VerifierKey } from '../log/keys.ts';
import { RowsealError } from '../model/errors.ts';
import type { LogReader } from '../ports/log-store.ts';
import { type Io, writeLine } from './io.ts';

/** Throws LogNotFound for a folder that is not there, BadUsage for a malformed s3:// location. */
export async function openLog(location: string, io: Io): Promise<LogReader> {
  if (/^s3:/i.test(location)) return openS3Reader(parseS3Location(location, io.env));
  return openFilesystemReader(resolve(io.cwd, location));
}

/** Throws BadKey for a text that is no key, BadUsage for a file that cannot be read. */
export async function readVerifierKey(key: string, io: Io): Promise<VerifierKey> {
  if (/^[^+/\s]\S*\+[0-9a-f]{8}\+\S+$/.test(key.trim()) || key.startsWith('PRIVATE+KEY+')) return parseVerifierKey(key);
  return parseVerifierKey((await readInput(key, io)).toString());
}

/** A file named on the command line. */
export async function readInput(path: string, io: Io): Promise<Buffer> {
  try {
    return await readFile(resolve(io.cwd, path), { signal: io.signal });
  } catch (cause) {
    io.signal.throwIfAborted();
    throw new RowsealError('BadUsage', `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { object: path, next: 'give a file that exists', cause });
  }
}

/** Undefined, with a message, when the log itself is bad, which is exit status 1; other errors pass. */
export async function onBadEvidence<T>(io: Io, action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof RowsealError) || (error.code !== 'BadNote' && error.code !== 'BadLogData')) throw error;
    writeLine(io.stderr, `rowseal: ${error.describe()}`);
    return undefined;
  }
}
