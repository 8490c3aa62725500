// Writing so that it outlives a power cut: files and folders are fsynced, and one failed fsync ends all trust.
// On file descriptors and plain callbacks: a log makes hundreds of files a second, and a FileHandle each costs more than the write.
import { close, fchmod, fsync, link, mkdir, open, rename, rm, unlink, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { RowsealError } from '../../model/errors.ts';
import { errnoOf, storageError } from './paths.ts';

const files = {
  close: promisify(close),
  fchmod: promisify(fchmod),
  fsync: promisify(fsync),
  link: promisify(link),
  mkdir: promisify(mkdir),
  open: promisify(open),
  rename: promisify(rename),
  rm: promisify(rm),
  unlink: promisify(unlink),
  write: promisify(write),
};

export class DurableFiles {
  readonly #location: string;
  #failure: RowsealError | undefined;
  #making: Promise<unknown> = Promise.resolve();
  /** Folders that were made, or found, durably. */
  readonly #known = new Set<string>();
  readonly #syncs = new Map<string, FolderSync>();

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
    const fd = await files.open(path, 'wx', 0o444);
    try {
      // The mode that a file is opened with is cut by the process's umask.
      await files.fchmod(fd, 0o444);
      for (let at = 0; at < bytes.length; ) at += (await files.write(fd, bytes, at, bytes.length - at, null)).bytesWritten;
      await this.#sync(fd);
    } finally {
      await files.close(fd);
    }
  }

  /** Gives a written file its final name, durably; `exists` when the name is taken, also durably. */
  async link(from: string, to: string): Promise<'created' | 'exists'> {
    let outcome: 'created' | 'exists' = 'created';
    try {
      await files.link(from, to);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      outcome = 'exists';
    }
    await this.#syncFolder(dirname(to));
    return outcome;
  }

  /** Replaces `to` by a written file, durably. */
  async rename(from: string, to: string): Promise<void> {
    await files.rename(from, to);
    await this.#syncFolder(dirname(to));
  }

  /**
   * Makes a folder and its missing parents, durably. One after the other: who finds a folder that somebody else just made
   * must not go on before its parents are fsynced.
   */
  async folder(path: string): Promise<void> {
    if (this.#known.has(path)) return;
    const turn = this.#making.then(() => this.#makeFolder(path));
    this.#making = turn.catch(() => undefined);
    await turn;
    this.#known.add(path);
  }

  /** After a file was not found: another process may have removed folders. */
  forgetFolders(): void {
    this.#known.clear();
  }

  /** A file that may be gone already. */
  async removeFile(path: string): Promise<void> {
    try {
      await files.unlink(path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw storageError(error, 'remove a temporary file', this.#location);
    }
  }

  /** A folder with what is in it. */
  async removeFolder(path: string): Promise<void> {
    this.#known.delete(path);
    await files.rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 }).catch((error: unknown) => {
      throw storageError(error, 'remove a temporary folder', this.#location);
    });
  }

  async #makeFolder(path: string): Promise<void> {
    // mkdir names the topmost folder it made; every parent from there down holds a new name.
    const first = await files.mkdir(path, { recursive: true });
    if (first === undefined) return;
    for (let at = path; ; at = dirname(at)) {
      await this.#syncFolder(dirname(at));
      if (at === first || dirname(at) === at) return;
    }
  }

  /** One fsync serves everybody who asked before it began. */
  #syncFolder(path: string): Promise<void> {
    const sync = this.#syncs.get(path) ?? new FolderSync();
    this.#syncs.set(path, sync);
    return sync.run(async () => {
      const fd = await files.open(path, 'r');
      try {
        await this.#sync(fd);
      } finally {
        await files.close(fd);
        if (sync.idle) this.#syncs.delete(path);
      }
    });
  }

  async #sync(fd: number): Promise<void> {
    try {
      await files.fsync(fd);
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

/** The fsyncs of one folder, one after the other. */
class FolderSync {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;

  get idle(): boolean {
    return this.#next === undefined;
  }

  /** Joins the run that has not begun yet, or asks for one. */
  run(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#running.then(() => {
      const running = work();
      this.#running = running.catch(() => undefined);
      this.#next = undefined;
      return running;
    });
    return this.#next;
  }
}
