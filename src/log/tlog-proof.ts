// C2SP tlog-proof: an entry's index, its inclusion proof and the signed checkpoint, as one text.
import type { LeafIndex } from '../model/branded.ts';
import { encodeBase64 } from './base64.ts';

export interface InclusionEvidence {
  readonly index: LeafIndex;
  /** From the leaf's sibling up to the root's child. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: Uint8Array;
}

export function formatTlogProof({ index, hashes, checkpoint }: InclusionEvidence): Buffer {
  const lines = ['c2sp.org/tlog-proof@v1', `index ${index}`, ...hashes.map(encodeBase64), ''];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n`), checkpoint]);
}
