// A LogStore on a folder: files are written beside, fsynced, and linked to their final name, which is never taken twice.
import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RowsealError } from '../../model/errors.ts';
import type { LogStore } from '../../ports/log-store.ts';
import { DurableFiles } from './durable.ts';
import { errnoOf, pathOf, storageError, temporaryPrefix } from './paths.ts';
import { createReader } from './reader.ts';

const checkpointName = 'checkpoint';
const attempts = 5;

/**
 * Opens (and makes) the folder for writing. Throws StorageRefused when that is not possible, saying why.
 * Left-over temporary folders of a killed process are removed.
 */
export async function openFilesystemStore(path: string): Promise<LogStore> {
  const root = resolve(path);
  const location = pathToFileURL(root).href;
  const files = new DurableFiles(location);
  try {
    await files.folder(root);
    if (!(await stat(root)).isDirectory()) throw new RowsealError('StorageRefused', 'this is not a folder', { object: location, next: 'choose a folder' });
    for (const name of await readdir(root)) {
      if (name.startsWith(temporaryPrefix)) await files.removeFolder(join(root, name));
    }
    return createStore({ root, location, files, temporary: await mkdtemp(join(root, temporaryPrefix)) });
  } catch (error) {
    throw storageError(error, 'open the folder for writing', location);
  }
}

interface Place {
  readonly root: string;
  readonly location: string;
  readonly files: DurableFiles;
  readonly temporary: string;
}

function createStore(place: Place): LogStore {
  const reader = createReader(place.root);
  let written = 0;
  let closed = false;
  let replacing: Promise<unknown> = Promise.resolve();
  const nextTemporary = (): string => {
    written += 1;
    return join(place.temporary, String(written));
  };
  const assertOpen = (signal: AbortSignal): void => {
    signal.throwIfAborted();
    if (closed) throw new RowsealError('BadUsage', 'the store is closed', { object: place.location });
    place.files.assertSound();
  };

  const replace: LogStore['replaceCheckpoint'] = async (bytes, expected, signal) => {
    assertOpen(signal);
    const current = await reader.read(checkpointName, signal);
    if (!sameBytes(current, expected)) return false;
    return guarded(place, 'replace checkpoint', async () => {
      const temporary = nextTemporary();
      await writeTemporary(place, temporary, bytes);
      // If we die before the rename, the restart finds the old checkpoint and the digest record of the new one, and replaces
      // it then. Two processes can both pass the comparison; the journal has fenced one of them by then, and the other one
      // finds a checkpoint it did not expect at its next publication and puts its own back.
      await place.files.rename(temporary, join(place.root, checkpointName));
      return true;
    });
  };

  return {
    ...reader,
    create: async (key, bytes, { signal }) => {
      assertOpen(signal);
      if (key === checkpointName) throw new RowsealError('BadUsage', 'checkpoint is replaced, not created');
      return createFile(place, { key, nextTemporary, bytes });
    },
    replaceCheckpoint: (bytes, expected, signal) => {
      const turn = replacing.then(() => replace(bytes, expected, signal));
      replacing = turn.catch(() => undefined);
      return turn;
    },
    extendRetention: async (_key, _retainUntil, signal) => assertOpen(signal),
    probe: async (signal) => {
      assertOpen(signal);
      await probe(place, nextTemporary);
    },
    close: async () => {
      closed = true;
      await replacing;
      await place.files.removeFolder(place.temporary);
    },
  };
}

interface NewFile {
  readonly key: string;
  readonly nextTemporary: () => string;
  readonly bytes: Uint8Array;
}

async function createFile(place: Place, { key, nextTemporary, bytes }: NewFile): Promise<'created' | 'exists'> {
  const target = pathOf(place.root, key);
  return guarded(place, `write ${key}`, async () => {
    const temporary = nextTemporary();
    await writeTemporary(place, temporary, bytes);
    await place.files.folder(dirname(target));
    // If we die before the link, the name does not exist and the restart removes the temporary file; after it, the name
    // holds the whole, fsynced file, since a link never shows a part of one.
    const outcome = await place.files.link(temporary, target);
    await place.files.removeFile(temporary);
    return outcome;
  });
}

/** Another process that opens the folder removes our temporary files as left over; then they are written again. */
async function guarded<T>(place: Place, action: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === attempts) throw storageError(error, action, place.location);
      place.files.forgetFolders();
    }
  }
}

async function writeTemporary(place: Place, temporary: string, bytes: Uint8Array): Promise<void> {
  await place.files.folder(place.temporary);
  await place.files.write(temporary, bytes);
}

/** Tries the two things that everything rests on, in the temporary folder: an exclusive link, and fsync. */
async function probe(place: Place, nextTemporary: () => string): Promise<void> {
  const [file, name] = [nextTemporary(), nextTemporary()];
  try {
    await writeTemporary(place, file, Buffer.from('probe'));
    const outcomes = [await place.files.link(file, name), await place.files.link(file, name)];
    if (outcomes.join() !== 'created,exists') throw notWriteOnce(place, 'a second link to one name succeeds');
  } catch (error) {
    if (['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(errnoOf(error))) throw notWriteOnce(place, 'this file system has no hard links', error);
    throw storageError(error, 'write into the folder', place.location);
  } finally {
    await place.files.removeFile(file);
    await place.files.removeFile(name);
  }
}

function notWriteOnce(place: Place, message: string, cause?: unknown): RowsealError {
  return new RowsealError('StorageNotWriteOnce', message, { object: place.location, next: 'use a volume with a POSIX file system', cause });
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
