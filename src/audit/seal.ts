// One commit: batches → one journal object. Creating it is the commit point (DESIGN §6, Sealing).
import { journalKey, noPrevious, signJournal } from '../log/journal.ts';
import { compressJournalBody } from '../log/journal-body.ts';
import type { SigningKey } from '../log/keys.ts';
import { encodeLogState, type LogState } from '../log/log-state.ts';
import { sha256Hex, TreeEdge } from '../log/merkle.ts';
import { type EntryRun, entryRun } from '../log/tree-front.ts';
import { RowsealError } from '../model/errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Batch } from '../ports/log-writer.ts';
import type { LogFiles } from './log-files.ts';

/** The end of the journal. */
export interface Sealed {
  /** 0 before the first object. */
  readonly number: number;
  /** SHA-256 (hex) of the last object. */
  readonly digest: string;
  /** Never appended to in place. */
  readonly edge: TreeEdge;
  readonly state: LogState;
  /** RFC 3339, of the last object. */
  readonly time?: string;
}

export const nothingSealed: Sealed = { number: 0, digest: noPrevious, edge: new TreeEdge(), state: new Map() };

export interface SealContext {
  readonly files: LogFiles;
  readonly key: SigningKey;
  readonly origin: string;
  readonly clock: Clock;
}

const partBytes = 256 * 1024;

/** Throws WriterFenced when somebody else's object has the next number, and storage errors; then nothing changed in memory. */
export async function sealBatches(batches: readonly Batch[], before: Sealed, context: SealContext): Promise<{ readonly sealed: Sealed; readonly runs: readonly EntryRun[] }> {
  await storeBlobs(batches, context.files);
  const state = new Map(before.state);
  for (const batch of batches) state.set(batch.state.source, batch.state);

  const stateBytes = encodeLogState(state);
  const parts = gathered(batches.map((batch) => batch.entries.bytes));
  const body = compressJournalBody(stateBytes, parts);
  const edge = before.edge.clone();
  const runs = parts.map((part) => entryRun(part, edge));
  const time = context.clock.now().toISOString();
  const number = before.number + 1;
  const header = {
    origin: context.origin,
    number,
    previous: before.digest,
    sizeBefore: before.edge.size,
    sizeAfter: edge.size,
    rootAfter: edge.root(),
    time,
    stateDigest: sha256Hex(stateBytes),
  };
  const bytes = await signJournal(header, await body, context.key);
  // If we die before this, nothing happened: the source sends the changes again. If we die after it, the restart reads the
  // object and the source resumes after it. Without an answer it is created again: `exists` with our bytes is a commit.
  const { same } = await context.files.create(journalKey(number), bytes, 'uncovered');
  if (!same) {
    throw new RowsealError('WriterFenced', 'another writer sealed the next batch', {
      object: context.files.name(journalKey(number)),
      next: 'run one writer a log; this one opens the log again and goes on from what is there',
      retryable: true,
    });
  }
  return { sealed: { number, digest: sha256Hex(bytes), edge, state, time }, runs };
}

/** Large parts stay where they are; small ones are joined, since each costs a little on its way. */
function gathered(parts: readonly Buffer[]): Buffer[] {
  const large: Buffer[] = [];
  let small: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    small.push(part);
    bytes += part.length;
    if (bytes < partBytes) continue;
    large.push(small.length === 1 ? part : Buffer.concat(small, bytes));
    small = [];
    bytes = 0;
  }
  return bytes === 0 ? large : [...large, Buffer.concat(small, bytes)];
}

/** If we die between the blobs and the journal object, unnamed blobs stay, and the same changes will find and name them. */
async function storeBlobs(batches: readonly Batch[], files: LogFiles): Promise<void> {
  for (const blob of batches.flatMap((batch) => batch.blobs ?? [])) await files.createBlob(blobKey(sha256Hex(blob)), blob);
}

/** Where a payload is stored that was too large for its entry. */
export function blobKey(digest: string): string {
  return `blobs/sha256/${digest}`;
}
