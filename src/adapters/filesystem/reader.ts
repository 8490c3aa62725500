// Reading a log from a folder; nothing is ever written, so it works on a read-only copy.
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RowsealError } from '../../model/errors.ts';
import type { LogReader, StoredKey, StoredVersion } from '../../ports/log-store.ts';
import { errnoOf, pathOf, storageError, temporaryPrefix } from './paths.ts';

/** Throws LogNotFound when there is no such folder. */
export async function openFilesystemReader(path: string): Promise<LogReader> {
  const root = resolve(path);
  const location = pathToFileURL(root).href;
  const found = await stat(root).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw storageError(error, 'open the folder', location);
  });
  if (found?.isDirectory() !== true) {
    throw new RowsealError('LogNotFound', found === undefined ? 'there is no such folder' : 'this is not a folder', { object: location, next: 'give the folder that holds the log' });
  }
  return createReader(root);
}

/** The reading half of the store. A folder keeps no versions and knows no locks. */
export function createReader(root: string): LogReader {
  const location = pathToFileURL(root).href;
  const read = async (key: string, signal: AbortSignal): Promise<Uint8Array | undefined> => {
    signal.throwIfAborted();
    try {
      return await readFile(pathOf(root, key), { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error))) return undefined;
      throw storageError(error, `read ${key}`, location);
    }
  };
  return {
    location,
    read,
    list: (prefix, signal) => listFiles({ root, location, prefix, signal }),
    versions: (prefix, signal) => listVersions({ root, location, prefix, signal }),
    readVersion: async (key, versionId, signal) => (versionId === '' ? read(key, signal) : undefined),
    retention: async (_key, _versionId, signal) => {
      signal.throwIfAborted();
      return undefined;
    },
  };
}

interface Listing {
  readonly root: string;
  readonly location: string;
  readonly prefix: string;
  readonly signal: AbortSignal;
}

async function* listVersions(listing: Listing): AsyncIterable<StoredVersion> {
  for await (const { key, sizeBytes } of listFiles(listing)) {
    const { mtime } = await stat(join(listing.root, key));
    yield { key, sizeBytes, versionId: '', deleteMarker: false, latest: true, lastModified: mtime.toISOString() };
  }
}

/** Only the folder that the prefix names is walked, not the whole log. */
async function* listFiles(listing: Listing): AsyncIterable<StoredKey> {
  const end = listing.prefix.lastIndexOf('/') + 1;
  yield* walk(listing.prefix.slice(0, end), listing);
}

async function* walk(folder: string, listing: Listing): AsyncIterable<StoredKey> {
  const { root, location, prefix, signal } = listing;
  signal.throwIfAborted();
  for (const { name, isFolder } of await sortedNames(folder, listing)) {
    signal.throwIfAborted();
    const key = folder + name;
    if (isFolder) {
      if (key.startsWith(prefix) || prefix.startsWith(key)) yield* walk(key, listing);
      continue;
    }
    if (!key.startsWith(prefix)) continue;
    const found = await stat(join(root, key)).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw storageError(error, `read ${key}`, location);
    });
    if (found !== undefined) yield { key, sizeBytes: found.size };
  }
}

/** By the UTF-8 bytes of whole keys, so a folder sorts as its name with the slash. */
async function sortedNames(folder: string, { root, location }: Listing): Promise<{ name: string; isFolder: boolean }[]> {
  let found: Dirent[];
  try {
    found = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) return [];
    throw storageError(error, `list ${folder === '' ? 'the folder' : folder}`, location);
  }
  return found
    .filter((one) => !one.name.startsWith(temporaryPrefix))
    .map((one) => ({ name: one.isDirectory() ? `${one.name}/` : one.name, isFolder: one.isDirectory() }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}
