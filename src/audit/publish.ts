// One publication: tiles and bundles → digest record → checkpoints/<size> → checkpoint (DESIGN §6, Publishing).
import { checkpointKey, openCheckpoint, publishedCheckpointKey, signCheckpoint } from '../log/checkpoint.ts';
import { digestKey, type DigestRecord, openDigest, signDigest } from '../log/digest.ts';
import { noPrevious } from '../log/journal.ts';
import type { LogState } from '../log/log-state.ts';
import { emptyRoot, sha256Hex } from '../log/merkle.ts';
import type { TreeObject } from '../log/tree-front.ts';
import { treeSize, type TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { SealContext } from './seal.ts';
import { trusted } from './stored.ts';

/** The last publication. */
export interface Published {
  /** Of the digest record; 0 before the first. */
  readonly number: number;
  readonly digest: string;
  readonly lastJournal: number;
  readonly size: TreeSize;
  readonly root: Uint8Array;
  /** What is stored under `checkpoint`. */
  readonly checkpoint?: Uint8Array;
  /** RFC 3339. */
  readonly time?: string;
}

export const nothingPublished: Published = { number: 0, digest: noPrevious, lastJournal: 0, size: treeSize(0), root: emptyRoot() };

/** The journal object up to which is published. */
export interface PublicationTarget {
  readonly lastJournal: number;
  readonly size: TreeSize;
  readonly root: Uint8Array;
  readonly state: LogState;
}

const concurrentWrites = 16;

/** Throws WriterFenced when somebody else published otherwise, LogInconsistent when stored objects contradict the journal. */
export async function publish(target: PublicationTarget, objects: readonly TreeObject[], { before, context }: { before: Published; context: SealContext }): Promise<Published> {
  // If we die among these, the restart makes the same bytes from the journal, and finds some of them stored already.
  await createAll(objects, context);
  const record = await storeDigest(target, before, context);
  return storeCheckpoint({ ...record, checkpoint: before.checkpoint }, context);
}

/** The second half: also what a restart does for the last digest record, whose checkpoint may never have been stored. */
export async function storeCheckpoint(
  { checkpoint: expected, ...record }: Omit<Published, 'checkpoint'> & { readonly checkpoint: Uint8Array | undefined },
  context: SealContext,
): Promise<Published> {
  const { files, origin, key } = context;
  const signed = await signCheckpoint({ origin, size: record.size, root: record.root }, key);
  // If we die before or after this, the restart does it again: the digest record says size and root.
  const { stored } = await files.create(publishedCheckpointKey(record.size), signed, 'full');
  const head = trusted(files.name(publishedCheckpointKey(record.size)), () => openCheckpoint(stored, origin, [key.verifier]));
  if (head.size !== record.size || Buffer.compare(head.root, record.root) !== 0) {
    throw new RowsealError('LogInconsistent', 'a published checkpoint contradicts the journal', { object: files.name(publishedCheckpointKey(record.size)), next: 'run rowseal verify' });
  }
  if (expected === undefined || Buffer.compare(expected, stored) !== 0) await pointTo(stored, { expected, size: record.size, context });
  return { ...record, checkpoint: stored };
}

/** If we die before this, the restart finds the digest record ahead of `checkpoint` and moves it. It never goes back. */
async function pointTo(bytes: Uint8Array, { expected, size, context }: { expected: Uint8Array | undefined; size: TreeSize; context: SealContext }): Promise<void> {
  const { files, origin, key } = context;
  if (await files.replaceCheckpoint(bytes, expected)) return;
  const current = await files.read(checkpointKey);
  if (current !== undefined && Buffer.compare(current, bytes) === 0) return;
  const ahead = current !== undefined && trusted(files.name(checkpointKey), () => openCheckpoint(current, origin, [key.verifier])).size >= size;
  if (!ahead && (await files.replaceCheckpoint(bytes, current))) return;
  throw fenced('another writer moved the checkpoint', files.name(checkpointKey));
}

async function storeDigest(target: PublicationTarget, before: Published, { files, origin, key, clock }: SealContext): Promise<Omit<Published, 'checkpoint'>> {
  const record: DigestRecord = {
    origin,
    number: before.number + 1,
    previous: before.digest,
    firstJournal: before.lastJournal + 1,
    lastJournal: target.lastJournal,
    size: target.size,
    root: target.root,
    time: clock.now().toISOString(),
    sources: [...target.state.values()].map(({ source, position }) => ({ name: source, incarnation: position.incarnation, lsn: position.lsn, seq: position.seq })),
  };
  // If we die after this and before the checkpoint, the restart takes the record as the last one and completes it.
  const { stored, same } = await files.create(digestKey(record.number), await signDigest(record, key), 'full');
  const kept = same ? record : trusted(files.name(digestKey(record.number)), () => openDigest(stored, origin, [key.verifier]));
  if (!agrees(kept, record)) throw fenced('another writer published the next checkpoint', files.name(digestKey(record.number)));
  return { number: record.number, digest: sha256Hex(stored), lastJournal: record.lastJournal, size: record.size, root: record.root, time: kept.time };
}

/** A stored record is adopted when nothing but its time differs. */
function agrees(kept: DigestRecord, record: DigestRecord): boolean {
  return (
    kept.number === record.number &&
    kept.previous === record.previous &&
    kept.firstJournal === record.firstJournal &&
    kept.lastJournal === record.lastJournal &&
    kept.size === record.size &&
    Buffer.compare(kept.root, record.root) === 0
  );
}

async function createAll(objects: readonly TreeObject[], { files }: SealContext): Promise<void> {
  const queue = objects.values();
  const work = async (): Promise<void> => {
    for (const { key, bytes, partial } of queue) await files.createSame(key, bytes, partial ? 'uncovered' : 'full');
  };
  // All are awaited even when one fails: nothing may be written after this returns.
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(concurrentWrites, objects.length) }, work));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

function fenced(message: string, object: string): RowsealError {
  return new RowsealError('WriterFenced', message, { object, next: 'run one writer a log; this one opens the log again and goes on from what is there', retryable: true });
}
