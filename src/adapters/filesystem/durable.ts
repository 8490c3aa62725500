// Writing so that it outlives a power cut: files and folders are fsynced, and one failed fsync ends all trust.
import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RowsealError } from '../../model/errors.ts';
import { errnoOf, storageError } from './paths.ts';

export class DurableFiles {
  readonly #location: string;
  #failure: RowsealError | undefined;
  #making: Promise<unknown> = Promise.resolve();

  /** `location` is for messages. */
  constructor(location: string) {
    this.#location = location;
  }

  /** Throws StorageRefused once an fsync failed: what the kernel then still holds may never reach the disk. */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes a new file with mode 0444 and fsyncs it. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const handle = await open(path, 'wx', 0o444);
    try {
      await handle.chmod(0o444);
      await handle.writeFile(bytes);
      await this.#sync(handle);
    } finally {
      await handle.close();
    }
  }

  /** Gives a written file its final name, durably; `exists` when the name is taken, also durably. */
  async link(from: string, to: string): Promise<'created' | 'exists'> {
    let outcome: 'created' | 'exists' = 'created';
    try {
      await link(from, to);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      outcome = 'exists';
    }
    await this.#syncFolder(dirname(to));
    return outcome;
  }

  /** Replaces `to` by a written file, durably. */
  async rename(from: string, to: string): Promise<void> {
    await rename(from, to);
    await this.#syncFolder(dirname(to));
  }

  /**
   * Makes a folder and its missing parents, durably. One after the other: who finds a folder that somebody else just made
   * must not go on before its parents are fsynced.
   */
  folder(path: string): Promise<void> {
    const turn = this.#making.then(() => this.#makeFolder(path));
    this.#making = turn.catch(() => undefined);
    return turn;
  }

  async remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      throw storageError(error, 'remove a temporary file', this.#location);
    });
  }

  async #makeFolder(path: string): Promise<void> {
    // mkdir names the topmost folder it made; every parent from there down holds a new name.
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    for (let at = path; ; at = dirname(at)) {
      await this.#syncFolder(dirname(at));
      if (at === first || dirname(at) === at) return;
    }
  }

  async #syncFolder(path: string): Promise<void> {
    const handle = await open(path, 'r');
    try {
      await this.#sync(handle);
    } finally {
      await handle.close();
    }
  }

  async #sync(handle: FileHandle): Promise<void> {
    try {
      await handle.sync();
    } catch (cause) {
      this.#failure = new RowsealError('StorageRefused', `fsync failed (${errnoOf(cause)}); nothing more is written`, {
        object: this.#location,
        next: 'check the disk, then restart Rowseal, which recovers from what is stored',
        cause,
      });
      throw this.#failure;
    }
  }
}
