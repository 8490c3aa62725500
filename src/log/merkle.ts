// RFC 6962 hashing, and the right edge of a tree: all that appending and the root need.
import { hash } from 'node:crypto';
import { treeSize, type TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';

export const hashBytes = 32;
/** Of the subtree under a full tile of level 0. */
const tileHeight = 8;
const tileWidth = 2 ** tileHeight;

/** SHA-256 of any bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** The same into `target`: by way of text, which costs a third of a buffer of its own. */
export function putSha256(bytes: Uint8Array, target: Buffer, at: number): void {
  target.write(hash('sha256', bytes, 'hex'), at, hashBytes, 'hex');
}

export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** Hash of one entry (RFC 6962 §2.1): SHA-256 over 0x00 and the entry. */
export function leafHash(entry: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(entry.length + 1);
  input[0] = 0;
  input.set(entry, 1);
  return sha256(input);
}

/** Hash of an inner node: SHA-256 over 0x01 and both children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(1 + 2 * hashBytes);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + hashBytes);
  return sha256(input);
}

/** Root of the tree without leaves. */
export function emptyRoot(): Buffer {
  return sha256(new Uint8Array(0));
}

/** Root over `hashes`, neighbours of one level, as RFC 6962 splits them; a power of two of them is one complete subtree. */
export function rootOfHashes(hashes: readonly Uint8Array[]): Buffer {
  const edge = new TreeEdge();
  for (const one of hashes) edge.append(one);
  return edge.root();
}

/** The roots of the complete subtrees that a tree of `size` leaves consists of, from the largest to the smallest. */
export class TreeEdge {
  #size: number;
  readonly #hashes: Uint8Array[];

  /** Throws LogInconsistent when there is not one hash for every set bit of `size`. */
  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    if (hashes.length !== setBits(size) || hashes.some((one) => one.length !== hashBytes)) {
      throw new RowsealError('LogInconsistent', `${hashes.length} hashes are not the edge of a tree of ${size} leaves`);
    }
    this.#size = size;
    this.#hashes = [...hashes];
  }

  get size(): TreeSize {
    return treeSize(this.#size);
  }

  get hashes(): readonly Uint8Array[] {
    return this.#hashes;
  }

  clone(): TreeEdge {
    return new TreeEdge(this.#size, this.#hashes);
  }

  /** Appends one leaf by its hash. */
  append(leaf: Uint8Array): void {
    this.#appendSubtree(leaf, 0);
  }

  /** Appends leaves whose hashes follow each other; resolves with the roots of the tiles of level 0 that they complete. */
  appendAll(leaves: Buffer): Buffer[] {
    const roots: Buffer[] = [];
    const step = tileWidth * hashBytes;
    for (let at = 0; at < leaves.length; ) {
      const whole = this.#size % tileWidth === 0 && at + step <= leaves.length;
      const subtree = whole ? tileRoot(leaves.subarray(at, at + step)) : leaves.subarray(at, at + hashBytes);
      const root = this.#appendSubtree(subtree, whole ? tileHeight : 0);
      if (root !== undefined) roots.push(Buffer.from(root));
      at += whole ? step : hashBytes;
    }
    return roots;
  }

  /** Appends a complete subtree of this height; resolves with the root of the tile of level 0 that it completes. */
  #appendSubtree(subtree: Uint8Array, startHeight: number): Uint8Array | undefined {
    let node = subtree;
    let height = startHeight;
    let root = height === tileHeight ? node : undefined;
    for (let rest = Math.floor(this.#size / 2 ** height); rest % 2 === 1; rest = Math.floor(rest / 2)) {
      const left = this.#hashes.pop();
      if (left !== undefined) node = nodeHash(left, node);
      height += 1;
      if (height === tileHeight) root = node;
    }
    this.#hashes.push(node);
    this.#size += 2 ** startHeight;
    return root;
  }

  root(): Buffer {
    let root: Uint8Array | undefined;
    for (let index = this.#hashes.length - 1; index >= 0; index -= 1) {
      const left = this.#hashes[index];
      if (left !== undefined) root = root === undefined ? left : nodeHash(left, root);
    }
    return root === undefined ? emptyRoot() : Buffer.from(root);
  }
}

/** The root over the hashes of one full tile, computed in place in one buffer. */
function tileRoot(leaves: Buffer): Buffer {
  const pair = Buffer.allocUnsafe(1 + 2 * hashBytes);
  pair[0] = 1;
  const nodes = Buffer.from(leaves);
  for (let count = tileWidth / 2; count >= 1; count /= 2) {
    for (let index = 0; index < count; index++) {
      nodes.copy(pair, 1, 2 * index * hashBytes, 2 * (index + 1) * hashBytes);
      putSha256(pair, nodes, index * hashBytes);
    }
  }
  return nodes.subarray(0, hashBytes);
}

/** Sizes go beyond 32 bits, so no bit operators. */
function setBits(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}
