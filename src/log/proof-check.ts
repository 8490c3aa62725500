// Checking inclusion and consistency proofs (RFC 9162 §2.1.3.2, §2.1.4.2); false for anything that does not fit.
import type { LeafIndex, TreeSize } from '../model/branded.ts';
import { emptyRoot, hashBytes, nodeHash } from './merkle.ts';

export interface InclusionClaim {
  readonly leafHash: Uint8Array;
  readonly index: LeafIndex;
  readonly size: TreeSize;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

export function checkInclusion({ leafHash, index, size, root, proof }: InclusionClaim): boolean {
  if (index >= size || !wellFormed(proof)) return false;
  let at: number = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    at = half(at);
    last = half(last);
  }
  return last === 0 && equalBytes(hash, root);
}

export interface ConsistencyClaim {
  readonly oldSize: TreeSize;
  readonly oldRoot: Uint8Array;
  readonly size: TreeSize;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

export function checkConsistency({ oldSize, oldRoot, size, root, proof }: ConsistencyClaim): boolean {
  if (oldSize > size || !wellFormed(proof)) return false;
  if (oldSize === size) return proof.length === 0 && equalBytes(oldRoot, root);
  if (oldSize === 0) return proof.length === 0 && equalBytes(oldRoot, emptyRoot());
  const [first, ...rest] = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  return foldConsistency({ oldSize, oldRoot, size, root, proof: rest }, first);
}

function foldConsistency({ oldSize, oldRoot, size, root, proof }: ConsistencyClaim, first: Uint8Array): boolean {
  let at = oldSize - 1;
  let last = size - 1;
  while (at % 2 === 1) {
    at = half(at);
    last = half(last);
  }
  let oldHash = first;
  let newHash = first;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (at % 2 === 0 && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    at = half(at);
    last = half(last);
  }
  return last === 0 && equalBytes(oldHash, oldRoot) && equalBytes(newHash, root);
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function isPowerOfTwo(value: number): boolean {
  let rest = value;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}

function wellFormed(proof: readonly Uint8Array[]): boolean {
  return proof.length <= 128 && proof.every((hash) => hash.length === hashBytes);
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
