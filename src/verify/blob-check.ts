// Blobs that entries named: there, and what their names say.
import { sha256Hex } from '../log/merkle.ts';
import type { TreeEvidence } from './tree-check.ts';

/** Checks those named since the last call. */
export async function checkBlobs({ sources, inventory, findings, counts, signal }: TreeEvidence): Promise<void> {
  for (const [hex, { leafIndex }] of sources.takeBlobs()) {
    const file = `blobs/sha256/${hex}`;
    const stored = await inventory.read(file, signal);
    if (stored === undefined) {
      findings.add({ code: 'Missing', file, leafIndex, message: 'the blob that an entry names is missing' });
      continue;
    }
    counts.blobs += 1;
    if (sha256Hex(stored) !== hex) findings.add({ code: 'Mismatch', file, leafIndex, message: 'the blob is not what its name says' });
  }
}
