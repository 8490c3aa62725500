// Writing so that it outlives a power cut: files and folders are fsynced, and one failed fsync ends all trust.
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RowsealError } from '../../model/errors.ts';
import { errnoOf, storageError } from './paths.ts';

export interface DurableFiles {
  /** Writes a new file with mode 0444 and fsyncs it. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Gives a written file its final name, durably; `exists` when the name is taken, also durably. */
  link(from: string, to: string): Promise<'created' | 'exists'>;
  /** Replaces `to` by a written file, durably. */
  rename(from: string, to: string): Promise<void>;
  /** Makes a folder and its missing parents, durably. */
  folder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Throws StorageRefused once an fsync failed: what the kernel then still holds may never reach the disk. */
  assertSound(): void;
}

export function createDurableFiles(location: string): DurableFiles {
  let failure: RowsealError | undefined;

  const sync = async (handle: { sync(): Promise<void> }): Promise<void> => {
    try {
      await handle.sync();
    } catch (cause) {
      failure = new RowsealError('StorageRefused', `fsync failed (${errnoOf(cause)}); nothing more is written`, {
        object: location,
        next: 'check the disk, then restart Rowseal, which recovers from what is stored',
        cause,
      });
      throw failure;
    }
  };
  const syncFolder = async (path: string): Promise<void> => {
    const handle = await open(path, 'r');
    try {
      await sync(handle);
    } finally {
      await handle.close();
    }
  };
  let making: Promise<unknown> = Promise.resolve();
  const makeFolder = async (path: string): Promise<void> => {
    // mkdir names the topmost folder it made; every parent from there down holds a new name.
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    for (let at = path; ; at = dirname(at)) {
      await syncFolder(dirname(at));
      if (at === first || dirname(at) === at) return;
    }
  };
  /** One after the other: who finds a folder that somebody else just made must not go on before its parents are fsynced. */
  const folder = (path: string): Promise<void> => {
    const turn = making.then(() => makeFolder(path));
    making = turn.catch(() => undefined);
    return turn;
  };

  return {
    write: async (path, bytes) => {
      const handle = await open(path, 'wx', 0o444);
      try {
        await handle.chmod(0o444);
        await handle.writeFile(bytes);
        await sync(handle);
      } finally {
        await handle.close();
      }
    },
    link: async (from, to) => {
      let outcome: 'created' | 'exists' = 'created';
      try {
        await link(from, to);
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
        outcome = 'exists';
      }
      await syncFolder(dirname(to));
      return outcome;
    },
    rename: async (from, to) => {
      await rename(from, to);
      await syncFolder(dirname(to));
    },
    folder,
    remove: async (path) => {
      await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
        throw storageError(error, 'remove a temporary file', location);
      });
    },
    assertSound: () => {
      if (failure !== undefined) throw failure;
    },
  };
}
