// What publishing must know of a published tree to go on: its partial tiles and its partial bundle. A pure function of the journal.
import { entryEnd } from './bundle.ts';
import { hashBytes, leafHash, nodeHash, rootOfHashes } from './merkle.ts';
import { bundleKey, partialTiles, tileKey, type TileId, tileWidth } from './tile.ts';

export interface TreeFront {
  readonly size: number;
  /** Hashes of the partial tile of each level; empty where that level has none. */
  readonly levels: readonly (readonly Uint8Array[])[];
  /** The entries of the partial bundle, encoded. */
  readonly bundle: Uint8Array;
}

/** Entries that follow each other, in bundle encoding, with their leaf hashes. */
export interface EntryRun {
  readonly encoded: Buffer;
  readonly leafHashes: readonly Uint8Array[];
}

/** A tile or a bundle; a partial one is covered, and may expire, once the full one is there. */
export interface TreeObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly partial: boolean;
}

export const emptyFront: TreeFront = { size: 0, levels: [], bundle: new Uint8Array(0) };

/** Hashes encoded entries, in order. Throws BadLogData when they end within one. */
export function entryRun(encoded: Buffer): EntryRun {
  const leafHashes: Uint8Array[] = [];
  for (let at = 0; at < encoded.length; ) {
    const end = entryEnd(encoded, at);
    leafHashes.push(leafHash(encoded.subarray(at + 2, end)));
    at = end;
  }
  return { encoded, leafHashes };
}

/** The front after the runs, and every object that this size of the tree needs and the old one had not: full ones first. */
export function growFront(front: TreeFront, runs: readonly EntryRun[]): { readonly front: TreeFront; readonly objects: readonly TreeObject[] } {
  const hashes = runs.flatMap((run) => run.leafHashes);
  const size = front.size + hashes.length;
  const bundles = cutBundles(front, runs);
  const tiles = growTiles(front, hashes);
  const grown: TreeFront = { size, levels: tiles.levels, bundle: bundles.rest };
  return { front: grown, objects: [...bundles.objects, ...tiles.objects, ...(hashes.length === 0 ? [] : partialObjects(grown))] };
}

/** The root of the front's tree; the partial tiles of all levels cover it. */
export function rootOfFront(front: TreeFront): Buffer {
  let root: Uint8Array | undefined;
  for (const hashes of front.levels) {
    if (hashes.length === 0) continue;
    root = root === undefined ? rootOfHashes(hashes) : joinRight(hashes, root);
  }
  return root === undefined ? rootOfHashes([]) : Buffer.from(root);
}

/** The objects of a front that are not full. */
export function partialObjects(front: TreeFront): TreeObject[] {
  return partialTiles(front.size).flatMap((tile): TreeObject[] => {
    const object = { key: tileKey(tile), bytes: Buffer.concat(front.levels[tile.level] ?? []), partial: true };
    return tile.level === 0 ? [{ key: bundleKey(tile), bytes: front.bundle, partial: true }, object] : [object];
  });
}

/** The complete subtrees of one level, then everything right of them: each is hashed with the whole rest. */
function joinRight(hashes: readonly Uint8Array[], right: Uint8Array): Uint8Array {
  let root = right;
  let end = hashes.length;
  for (let width = 1; end > 0; width *= 2) {
    if (Math.floor(end / width) % 2 === 0) continue;
    root = nodeHash(rootOfHashes(hashes.slice(end - width, end)), root);
    end -= width;
  }
  return root;
}

function growTiles(front: TreeFront, leaves: readonly Uint8Array[]): { levels: Uint8Array[][]; objects: TreeObject[] } {
  const levels = front.levels.map((hashes) => [...hashes]);
  const objects: TreeObject[] = [];
  const next = front.levels.map((_, level) => Math.floor(front.size / tileWidth ** (level + 1)));
  const add = (level: number, hash: Uint8Array): void => {
    const hashes = (levels[level] ??= []);
    hashes.push(hash);
    if (hashes.length < tileWidth) return;
    const tile: TileId = { level, index: next[level] ?? 0, width: tileWidth };
    objects.push({ key: tileKey(tile), bytes: Buffer.concat(hashes, tileWidth * hashBytes), partial: false });
    next[level] = tile.index + 1;
    levels[level] = [];
    add(level + 1, rootOfHashes(hashes));
  };
  for (const leaf of leaves) add(0, leaf);
  return { levels, objects };
}

function cutBundles(front: TreeFront, runs: readonly EntryRun[]): { objects: TreeObject[]; rest: Buffer } {
  const encoded = Buffer.concat([front.bundle, ...runs.map((run) => run.encoded)]);
  const objects: TreeObject[] = [];
  let index = Math.floor(front.size / tileWidth);
  let start = 0;
  let count = 0;
  for (let at = 0; at < encoded.length; ) {
    at = entryEnd(encoded, at);
    count += 1;
    if (count < tileWidth) continue;
    objects.push({ key: bundleKey({ index, width: tileWidth }), bytes: encoded.subarray(start, at), partial: false });
    index += 1;
    start = at;
    count = 0;
  }
  return { objects, rest: Buffer.from(encoded.subarray(start)) };
}
