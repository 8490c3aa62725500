// What publishing must know of a published tree to go on: its partial tiles and its partial bundle. A pure function of the journal.
import { entryEnd, lengthBytes, maxEntryBytes } from './bundle.ts';
import { hashBytes, nodeHash, putSha256, rootOfHashes, type TreeEdge } from './merkle.ts';
import { bundleKey, partialTiles, tileKey, tileWidth } from './tile.ts';

export interface TreeFront {
  readonly size: number;
  /** Hashes of the partial tile of each level; empty where that level has none. */
  readonly levels: readonly (readonly Uint8Array[])[];
  /** The entries of the partial bundle, encoded. */
  readonly bundle: Uint8Array;
}

/** Entries that follow each other, in bundle encoding, hashed at their place in a tree. */
export interface EntryRun {
  readonly encoded: Buffer;
  /** Of the leaves, one after the other. */
  readonly hashes: Buffer;
  /** Roots of the tiles of level 0 that end in this run. */
  readonly tileRoots: readonly Uint8Array[];
}

/** A tile or a bundle; a partial one is covered, and may expire, once the full one is there. */
export interface TreeObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly partial: boolean;
}

export const emptyFront: TreeFront = { size: 0, levels: [], bundle: new Uint8Array(0) };

/** Hashes encoded entries, in order, and appends them to `edge`. Throws BadLogData when they end within one. */
export function entryRun(encoded: Buffer, edge: TreeEdge): EntryRun {
  const hashes = leafHashes(encoded);
  return { encoded, hashes, tileRoots: edge.appendAll(hashes) };
}

function leafHashes(encoded: Buffer): Buffer {
  let count = 0;
  for (let at = 0; at < encoded.length; count += 1) at = entryEnd(encoded, at);
  const hashes = Buffer.allocUnsafe(count * hashBytes);
  const leaf = Buffer.allocUnsafe(1 + Math.min(maxEntryBytes, encoded.length));
  leaf[0] = 0;
  let start = 0;
  for (let index = 0; index < count; index += 1) {
    const end = entryEnd(encoded, start);
    encoded.copy(leaf, 1, start + lengthBytes, end);
    putSha256(leaf.subarray(0, 1 + end - start - lengthBytes), hashes, index * hashBytes);
    start = end;
  }
  return hashes;
}

/** The front after the runs, and every object that this size of the tree needs and the old one had not: full ones first. */
export function growFront(front: TreeFront, runs: readonly EntryRun[]): { readonly front: TreeFront; readonly objects: readonly TreeObject[] } {
  const added = runs.reduce((sum, { hashes }) => sum + hashes.length / hashBytes, 0);
  const bundles = cutBundles(front, runs);
  const tiles = growTiles(front, runs);
  const grown: TreeFront = { size: front.size + added, levels: tiles.levels, bundle: bundles.rest };
  return { front: grown, objects: [...bundles.objects, ...tiles.objects, ...(added === 0 ? [] : partialObjects(grown))] };
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

function growTiles(front: TreeFront, runs: readonly EntryRun[]): { levels: Uint8Array[][]; objects: TreeObject[] } {
  const levels = front.levels.map((hashes) => [...hashes]);
  const objects: TreeObject[] = [];
  const next = front.levels.map((_, level) => Math.floor(front.size / tileWidth ** (level + 1)));
  const full = (level: number, bytes: Uint8Array): void => {
    const index = next[level] ?? 0;
    objects.push({ key: tileKey({ level, index, width: tileWidth }), bytes, partial: false });
    next[level] = index + 1;
  };
  const add = (level: number, hash: Uint8Array): void => {
    const hashes = (levels[level] ??= []);
    hashes.push(hash);
    if (hashes.length < tileWidth) return;
    full(level, Buffer.concat(hashes, tileWidth * hashBytes));
    levels[level] = [];
    add(level + 1, rootOfHashes(hashes));
  };
  const leaves = Buffer.concat([...(levels[0] ?? []), ...runs.map(({ hashes }) => hashes)]);
  const step = tileWidth * hashBytes;
  const fullEnd = leaves.length - (leaves.length % step);
  for (let at = 0; at < fullEnd; at += step) full(0, leaves.subarray(at, at + step));
  if (leaves.length > 0) levels[0] = hashesOf(Buffer.from(leaves.subarray(fullEnd)));
  // The sealing computed the roots of these tiles on its way.
  for (const root of runs.flatMap(({ tileRoots }) => tileRoots)) add(1, root);
  return { levels, objects };
}

function hashesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / hashBytes }, (_, index) => bytes.subarray(index * hashBytes, (index + 1) * hashBytes));
}

/** Bundles are views of a run where they lie within one. */
function cutBundles(front: TreeFront, runs: readonly EntryRun[]): { objects: TreeObject[]; rest: Buffer } {
  const objects: TreeObject[] = [];
  let index = Math.floor(front.size / tileWidth);
  let count = front.size % tileWidth;
  let parts: Uint8Array[] = [front.bundle];
  for (const { encoded } of runs) {
    let start = 0;
    for (let at = 0; at < encoded.length; ) {
      at = entryEnd(encoded, at);
      count += 1;
      if (count < tileWidth) continue;
      objects.push({ key: bundleKey({ index, width: tileWidth }), bytes: joined([...parts, encoded.subarray(start, at)]), partial: false });
      parts = [];
      index += 1;
      start = at;
      count = 0;
    }
    parts.push(encoded.subarray(start));
  }
  return { objects, rest: Buffer.concat(parts) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const filled = parts.filter(({ length }) => length > 0);
  const [first] = filled;
  return first !== undefined && filled.length === 1 ? first : Buffer.concat(filled);
}
