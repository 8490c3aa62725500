// The published tree's partial tiles and partial bundle, read back and checked against its root.
import { bundleKey, splitHashes, tileKey, partialTiles } from '../log/tile.ts';
import { decodeBundle } from '../log/bundle.ts';
import { leafHash } from '../log/merkle.ts';
import { emptyFront, rootOfFront, type TreeFront } from '../log/tree-front.ts';
import type { LogFiles } from './log-files.ts';
import { inconsistent, trusted } from './stored.ts';

/** Throws LogInconsistent, naming the tile or bundle, when what is stored does not give `root`. */
export async function readFront(size: number, root: Uint8Array | undefined, files: LogFiles): Promise<TreeFront> {
  const levels: Uint8Array[][] = [];
  let bundle: Uint8Array = emptyFront.bundle;
  for (const tile of partialTiles(size)) {
    const name = files.name(tileKey(tile));
    const bytes = await present(tileKey(tile), files);
    while (levels.length <= tile.level) levels.push([]);
    levels[tile.level] = trusted(name, () => splitHashes(bytes, tile));
    if (tile.level === 0) bundle = await present(bundleKey(tile), files);
  }
  const front = { size, levels, bundle };
  if (root !== undefined && Buffer.compare(rootOfFront(front), root) !== 0) {
    throw inconsistent('the partial tiles do not give the root of the last digest record', files.name(partialTiles(size).map(tileKey).join(', ')));
  }
  checkBundle(front, files);
  return front;
}

function checkBundle({ levels, bundle, size }: TreeFront, files: LogFiles): void {
  const hashes = levels[0] ?? [];
  const key = bundleKey({ index: Math.floor(size / 256), width: hashes.length });
  const entries = trusted(files.name(key), () => decodeBundle(bundle, hashes.length));
  const wrong = entries.findIndex((entry, at) => Buffer.compare(leafHash(entry), hashes[at] ?? new Uint8Array(0)) !== 0);
  if (wrong >= 0) throw inconsistent(`entry ${Math.floor(size / 256) * 256 + wrong} is not the one in the tree`, files.name(key));
}

async function present(key: string, files: LogFiles): Promise<Uint8Array> {
  const bytes = await files.read(key);
  if (bytes === undefined) throw inconsistent('a published object is missing', files.name(key));
  return bytes;
}
