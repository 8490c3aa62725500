// PostgreSQL's log files in a folder that the operator can read: what is there, and whole records from an offset on.
import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RowsealError } from '../../model/errors.ts';
import type { ReadSettings, ServerLog, ServerLogEvent, ServerLogFile } from '../../ports/server-log.ts';
import { eventOf, parseRecords } from './server-log-records.ts';

const endings = { jsonlog: '.json', csvlog: '.csv' } as const;
const chunkBytes = 1024 * 1024;
/** A record longer than this is no record. */
const maxRecordBytes = 64 * 1024 * 1024;

export function createServerLog({ folder, format }: ReadSettings, database: string): ServerLog {
  const reach = async <T>(doing: string, action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      if (error instanceof RowsealError) throw error;
      // Paths are the declarer's own; contents are never said.
      throw new RowsealError('ServerLogUnreachable', `${doing} failed: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`, {
        object: `server log in ${folder}`,
        next: 'mount the folder of log_directory into the operator, readable',
        retryable: true,
        cause: error,
      });
    }
  };
  return {
    files: () => reach('listing the files', () => filesIn(folder, endings[format])),
    fingerprint: (name, bytes) =>
      reach('reading a file', async () => {
        const head = await readAt(join(folder, name), 0, bytes);
        return head.length < bytes ? undefined : createHash('sha256').update(head).digest('hex');
      }),
    read: (name, from, signal) =>
      reach('reading a file', async () => {
        for (let size = chunkBytes; ; size *= 2) {
          signal.throwIfAborted();
          const bytes = await readAt(join(folder, name), from, size);
          const { records, length, unreadable } = parseRecords(bytes, format);
          if (length === 0 && bytes.length === size && size < maxRecordBytes) continue;
          const events = records.flatMap(({ start, record }): ServerLogEvent[] => {
            const event = eventOf(record, database);
            return event === undefined ? [] : [{ ...event, start: from + start } as ServerLogEvent];
          });
          const stuck = length === 0 && bytes.length === size;
          return { events, end: from + (stuck ? size : length), unreadable: unreadable + (stuck ? size : 0) };
        }
      }),
  };
}

async function filesIn(folder: string, ending: string): Promise<readonly ServerLogFile[]> {
  const found: ServerLogFile[] = [];
  for (const name of await readdir(folder)) {
    if (!name.endsWith(ending)) continue;
    const facts = await stat(join(folder, name)).catch(() => undefined);
    if (facts?.isFile() === true) found.push({ name, size: facts.size, modifiedMs: facts.mtimeMs });
  }
  return found.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.name < b.name ? -1 : 1));
}

async function readAt(path: string, from: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
