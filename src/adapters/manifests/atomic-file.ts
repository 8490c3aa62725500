// Replacing and creating small files so that a reader, or a restart after a crash, sees the old or the new content and nothing between.
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

interface WriteOptions {
  readonly mode?: number;
  /** Waits until the disk has it; for what cannot be made again. */
  readonly durable?: boolean;
}

/** If we die before the rename, the restart finds the old content and a stray `.new` file that the next write replaces. */
export function replaceFile(path: string, content: string, options: WriteOptions = {}): void {
  const fresh = writeBeside(path, content, options);
  renameSync(fresh, path);
  if (options.durable === true) syncFolder(dirname(path));
}

/** Creates the file whole, or returns false when there is one already. Dying before the link leaves only the `.new` file. */
export function createFile(path: string, content: string, options: WriteOptions = {}): boolean {
  const fresh = writeBeside(path, content, options);
  try {
    linkSync(fresh, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  if (options.durable === true) syncFolder(dirname(path));
  return true;
}

/** Undefined when there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function writeBeside(path: string, content: string, { mode = 0o644, durable = false }: WriteOptions): string {
  mkdirSync(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, 'wx', mode);
  try {
    writeSync(file, content);
    if (durable) fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return fresh;
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
