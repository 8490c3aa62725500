// Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2), built from the hashes of complete subtrees.
import type { LeafIndex, TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import { nodeHash } from './merkle.ts';

/** The complete subtree of 2^`height` leaves that begins at leaf `index` × 2^`height`. */
export interface SubtreeId {
  readonly height: number;
  readonly index: number;
}

/** Hashes of the asked subtrees, in their order; `hashOf` of tile.ts says where in the tiles they are. */
export type HashSource = (subtrees: readonly SubtreeId[]) => Promise<readonly Uint8Array[]>;

/** Leaves `from` (inclusive) to `to` (exclusive), as RFC 6962's recursion splits them. */
interface LeafRange {
  readonly from: number;
  readonly to: number;
}

/** From the leaf's sibling up to the root's child. Throws BadUsage when the tree has no such leaf. */
export async function inclusionProof(index: LeafIndex, size: TreeSize, source: HashSource): Promise<Uint8Array[]> {
  if (index >= size) throw new RowsealError('BadUsage', `entry ${index} is not in a tree of ${size} entries`, { next: `ask for an entry below ${size}` });
  const ranges: LeafRange[] = [];
  for (let from = 0, to: number = size; to - from > 1; ) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      ranges.push({ from: middle, to });
      to = middle;
    } else {
      ranges.push({ from, to: middle });
      from = middle;
    }
  }
  return hashRanges(ranges.reverse(), source);
}

/** That the tree of `oldSize` leaves is a prefix of the tree of `size`. Empty when they are equal or the old one is empty. */
export async function consistencyProof(oldSize: TreeSize, size: TreeSize, source: HashSource): Promise<Uint8Array[]> {
  if (oldSize > size) throw new RowsealError('BadUsage', `a tree of ${oldSize} entries is not a prefix of one of ${size}`);
  if (oldSize === 0 || oldSize === size) return [];
  const ranges: LeafRange[] = [];
  let from = 0;
  let to: number = size;
  while (to !== oldSize) {
    const middle = from + splitOf(to - from);
    if (oldSize <= middle) {
      ranges.push({ from: middle, to });
      to = middle;
    } else {
      ranges.push({ from, to: middle });
      from = middle;
    }
  }
  // The old root itself is known to who asks, so RFC 6962 leaves it out when it is one complete subtree from leaf 0.
  if (from > 0) ranges.push({ from, to });
  return hashRanges(ranges.reverse(), source);
}

/** The largest power of two below `width`. */
function splitOf(width: number): number {
  let split = 1;
  while (split * 2 < width) split *= 2;
  return split;
}

async function hashRanges(ranges: readonly LeafRange[], source: HashSource): Promise<Uint8Array[]> {
  const parts = ranges.map(subtreesOf);
  const hashes = await source(parts.flat());
  let next = 0;
  return parts.map((part) => {
    const own = hashes.slice(next, next + part.length);
    next += part.length;
    return own.reduceRight((right, left) => nodeHash(left, right));
  });
}

/** A range that RFC 6962's recursion meets begins at a multiple of its own split, so it falls into complete subtrees, largest first. */
function subtreesOf(range: LeafRange): SubtreeId[] {
  const subtrees: SubtreeId[] = [];
  for (let from = range.from; from < range.to; ) {
    let height = 0;
    while (from + 2 ** (height + 1) <= range.to) height += 1;
    subtrees.push({ height, index: from / 2 ** height });
    from += 2 ** height;
  }
  return subtrees;
}
