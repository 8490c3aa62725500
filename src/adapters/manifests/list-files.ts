// The manifest files of a path: itself when it is a file, else every visible YAML or JSON file below it, in a stable order.
import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { RowsealError } from '../../model/errors.ts';

const maxDepth = 16;
const maxFiles = 10_000;

/** Absolute paths, sorted. Hidden names and `ignore` (the state folder) are passed over; folders behind symbolic links too. */
export async function listFiles(path: string, ignore?: string): Promise<readonly string[]> {
  const root = resolve(path);
  const found = await stat(root).catch((cause: unknown) => {
    throw new RowsealError('BadUsage', `${path} cannot be read`, { object: path, next: 'give an existing file or folder of manifests', cause });
  });
  if (found.isFile()) return [root];
  const files: string[] = [];
  await collect(root, { ignore: ignore === undefined ? undefined : resolve(ignore), files, depth: 0 });
  return files.sort((a, b) => (relative(root, a) < relative(root, b) ? -1 : 1));
}

async function collect(folder: string, state: { readonly ignore: string | undefined; readonly files: string[]; readonly depth: number }): Promise<void> {
  if (state.depth > maxDepth) return;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || path === state.ignore) continue;
    if (entry.isDirectory()) await collect(path, { ...state, depth: state.depth + 1 });
    else if (/\.(ya?ml|json)$/i.test(entry.name)) state.files.push(path);
  }
  if (state.files.length > maxFiles) {
    throw new RowsealError('BadUsage', `${folder} holds more than ${maxFiles} manifests`, { object: folder, next: 'point Rowseal at the folder of its own manifests' });
  }
}
