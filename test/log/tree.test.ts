// Trees, tiles and proofs, against RFC 6962 written down naively.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeEntries } from '../../src/log/bundle.ts';
import { leafHash, TreeEdge } from '../../src/log/merkle.ts';
import { consistencyProof, type HashSource, inclusionProof } from '../../src/log/proof.ts';
import { checkConsistency, checkInclusion } from '../../src/log/proof-check.ts';
import { bundleKey, hashAt, parseTileKey, partialTiles, placeOf, tileKey, tilesForGrowth } from '../../src/log/tile.ts';
import { emptyFront, entryRun, growFront, rootOfFront } from '../../src/log/tree-front.ts';
import { leafIndex, treeSize } from '../../src/model/branded.ts';
import { entryOf, rootOf } from '../parts/log-workload.ts';

const entries = Array.from({ length: 1_100 }, (_, at) => entryOf(at));
const leaves = entries.map(leafHash);

/** All objects ever published while the tree grew through these sizes. */
function publishThrough(sizes: readonly number[]) {
  const objects = new Map<string, Uint8Array>();
  const edge = new TreeEdge();
  let front = emptyFront;
  for (const size of sizes) {
    // In two runs, as two journal objects under one publication are.
    const middle = Math.floor((front.size + size) / 2);
    const runs = [entries.slice(front.size, middle), entries.slice(middle, size)].map((part) => entryRun(encodeEntries(part), edge));
    const grown = growFront(front, runs);
    front = grown.front;
    expect(edge.root()).toEqual(rootOfFront(front));
    for (const { key, bytes } of grown.objects) objects.set(key, bytes);
  }
  return { front, objects };
}

const sourceOf = (objects: ReadonlyMap<string, Uint8Array>, size: number): HashSource => async (subtrees) =>
  subtrees.map((subtree) => {
    const place = placeOf(subtree, size);
    const tile = objects.get(tileKey(place.tile));
    if (tile === undefined) throw new Error(`no ${tileKey(place.tile)}`);
    return hashAt(place, tile);
  });

describe('roots', () => {
  it('are those of RFC 6962, appended one by one, and from tiles published in any steps', () => {
    // The well-known vectors of Certificate Transparency's reference tree.
    const vectors = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => Buffer.from(hex, 'hex'));
    const edge = new TreeEdge();
    for (const vector of vectors) edge.append(leafHash(vector));
    expect(edge.root().toString('hex')).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
    expect(new TreeEdge().root().toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: entries.length }), { minLength: 1, maxLength: 8 }), (unsorted) => {
        const sizes = unsorted.toSorted((a, b) => a - b);
        const { front, objects } = publishThrough(sizes);
        expect(rootOfFront(front)).toEqual(rootOf(leaves.slice(0, front.size)));
        let from = 0;
        for (const size of sizes) {
          if (size > from) for (const tile of tilesForGrowth(from, size)) expect(objects.has(tileKey(tile)), `${tileKey(tile)} at ${size}`).toBe(true);
          from = size;
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('tiles', () => {
  it('have the names and widths of C2SP tlog-tiles', () => {
    expect(tileKey({ level: 1, index: 1_234_067, width: 256 })).toBe('tile/1/x001/x234/067');
    expect(bundleKey({ index: 0, width: 7 })).toBe('tile/entries/000.p/7');
    expect(partialTiles(70_000)).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
    expect(partialTiles(256)).toEqual([{ level: 1, index: 0, width: 1 }]);
    expect(tilesForGrowth(0, 70_000).filter(({ level }) => level === 0)).toHaveLength(274);
  });

  it('are found by their keys, and by no other spelling', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 7 }), fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (level, index, width) => {
        expect(parseTileKey(tileKey({ level, index, width }))).toEqual({ kind: 'tile', level, index, width });
        expect(parseTileKey(bundleKey({ index, width }))).toEqual({ kind: 'bundle', index, width });
      }),
    );
    for (const key of ['tile/0/0', 'tile/00/000', 'tile/0/x000/001', 'tile/0/000.p/256', 'tile/0/000.p/0', 'tile/0/000.p/07', 'tile/0/001/002', 'tile/entries/x001', 'tile/0/000/']) {
      expect(parseTileKey(key), key).toBeUndefined();
    }
  });
});

describe('proofs', () => {
  it('of inclusion hold for their entry alone, at sizes around tiles', async () => {
    for (const size of [1, 2, 3, 5, 8, 255, 256, 257, 511, 512, 513, 1_100]) {
      const { objects } = publishThrough([size]);
      const root = rootOf(leaves.slice(0, size));
      for (let index = 0; index < size; index += size > 20 ? 17 : 1) {
        const proof = await inclusionProof(leafIndex(index), treeSize(size), sourceOf(objects, size));
        const claim = { leafHash: leaves[index] ?? root, index: leafIndex(index), size: treeSize(size), root, proof };
        expect(checkInclusion(claim)).toBe(true);
        expect(checkInclusion({ ...claim, proof: [...proof, root] })).toBe(false);
        expect(checkInclusion({ ...claim, leafHash: Buffer.alloc(32) })).toBe(false);
        if (size > 1) expect(checkInclusion({ ...claim, index: leafIndex((index + 1) % size) })).toBe(false);
        if (proof.length > 0) expect(checkInclusion({ ...claim, proof: proof.slice(1) })).toBe(false);
      }
    }
    await expect(inclusionProof(leafIndex(5), treeSize(5), async () => [])).rejects.toMatchObject({ code: 'BadUsage' });
  });

  it('of consistency hold between any two sizes, and for no other root', async () => {
    for (const size of [1, 2, 3, 7, 8, 256, 257, 700]) {
      const { objects } = publishThrough([size]);
      const root = rootOf(leaves.slice(0, size));
      for (let oldSize = 0; oldSize <= size; oldSize += size > 20 ? 13 : 1) {
        const proof = await consistencyProof(treeSize(oldSize), treeSize(size), sourceOf(objects, size));
        const claim = { oldSize: treeSize(oldSize), oldRoot: rootOf(leaves.slice(0, oldSize)), size: treeSize(size), root, proof };
        expect(checkConsistency(claim)).toBe(true);
        expect(checkConsistency({ ...claim, oldRoot: Buffer.alloc(32) })).toBe(false);
        expect(checkConsistency({ ...claim, proof: [...proof, root] })).toBe(false);
        if (oldSize > 0 && oldSize < size) expect(checkConsistency({ ...claim, root: Buffer.alloc(32) })).toBe(false);
      }
    }
  });
});
