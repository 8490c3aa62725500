// An inclusion proof for one entry from the stored tiles, checked before it is handed out.
import { type LeafIndex, leafIndex } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { VerifierKey } from '../log/keys.ts';
import { leafHash } from '../log/merkle.ts';
import { type HashSource, inclusionProof } from '../log/proof.ts';
import { checkInclusion } from '../log/proof-check.ts';
import { hashAt, type HashPlace, placeOf, tileKey, tileWidth } from '../log/tile.ts';
import { formatTlogProof } from '../log/tlog-proof.ts';
import type { LogReader } from '../ports/log-store.ts';
import { readCheckpoint, readPublished } from './read-entries.ts';

export interface EntryProof {
  /** C2SP tlog-proof. */
  readonly proof: Uint8Array;
  /** The leaf: what the proof is about. */
  readonly entry: Uint8Array;
}

export interface EntryQuestion {
  readonly index: number;
  /** Without one, the checkpoint's signature is left to whoever checks the proof. */
  readonly key: VerifierKey | undefined;
}

/** Throws BadUsage for an entry that is not published, LogNotFound without a checkpoint, BadNote or BadLogData for a log that proves nothing. */
export async function proveEntry(reader: LogReader, { index, key }: EntryQuestion, signal: AbortSignal): Promise<EntryProof> {
  const published = await readCheckpoint(reader, key, signal);
  if (published === undefined) {
    throw new RowsealError('LogNotFound', 'no checkpoint is stored here', { object: reader.location, next: 'check the path, or wait for the first publication' });
  }
  const { head, bytes: checkpoint } = published;
  const leaf: LeafIndex = leafIndex(index);
  const hashes = await inclusionProof(leaf, head.size, hashesFrom(reader, head.size, signal));
  const [entry] = await firstOf(readPublished(reader, { from: index, to: head.size }, signal));
  if (entry === undefined || !checkInclusion({ leafHash: leafHash(entry.bytes), index: leaf, size: head.size, root: head.root, proof: hashes })) {
    throw new RowsealError('BadLogData', `entry ${index} is not under the checkpoint: the log was changed`, { object: reader.location, next: 'run rowseal verify' });
  }
  return { proof: formatTlogProof({ index: leaf, hashes, checkpoint }), entry: entry.bytes };
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  for await (const item of items) return [item];
  return [];
}

function hashesFrom(reader: LogReader, size: number, signal: AbortSignal): HashSource {
  return async (subtrees) => Promise.all(subtrees.map(async (subtree) => readHash(reader, placeOf(subtree, size), signal)));
}

async function readHash(reader: LogReader, place: HashPlace, signal: AbortSignal): Promise<Uint8Array> {
  for (const width of new Set([place.tile.width, tileWidth])) {
    const tile = { ...place.tile, width };
    const bytes = await reader.read(tileKey(tile), signal);
    if (bytes !== undefined) return hashAt({ ...place, tile }, bytes);
  }
  throw new RowsealError('BadLogData', `${tileKey(place.tile)} is missing`, { object: `${reader.location}/${tileKey(place.tile)}`, next: 'run rowseal verify' });
}
