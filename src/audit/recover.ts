// From the stored log to where writing goes on: last digest record → its tree → the journal after it (DESIGN §6, Recovery).
import { encodeEntries } from '../log/bundle.ts';
import { type Checkpoint, checkpointKey, openCheckpoint } from '../log/checkpoint.ts';
import { digestKey, type DigestRecord, openDigest } from '../log/digest.ts';
import { journalKey, type JournalObject, openJournal } from '../log/journal.ts';
import { decodeJournalBody } from '../log/journal-body.ts';
import { TreeEdge } from '../log/merkle.ts';
import { parseNote, signers } from '../log/note.ts';
import { type EntryRun, entryRun, type TreeFront } from '../log/tree-front.ts';
import { RowsealError } from '../model/errors.ts';
import { nothingPublished, type Published } from './publish.ts';
import { readFront } from './read-front.ts';
import { nothingSealed, type SealContext, type Sealed } from './seal.ts';
import { inconsistent, trusted } from './stored.ts';

/** A committed journal object that no digest record covers yet. */
export interface Unpublished {
  readonly sealed: Sealed;
  readonly runs: readonly EntryRun[];
}

export interface Recovered {
  readonly sealed: Sealed;
  /** The last digest record; whether its checkpoint was stored too is for `storeCheckpoint` to see. */
  readonly published: Published;
  readonly front: TreeFront;
  readonly unpublished: readonly Unpublished[];
}

type Digest = DigestRecord & { readonly digest: string };

/** Throws BadKey for a log of another signer, LogInconsistent when its parts disagree in any way but "not yet published". */
export async function recoverLog(context: SealContext): Promise<Recovered> {
  const checkpoint = await readCheckpoint(context);
  const lastDigest = await lastNumber('digests/', digestKey, context);
  const lastJournal = await lastNumber('journal/', journalKey, context);
  const record = lastDigest === 0 ? undefined : await readDigest(lastDigest, context);
  const previous = lastDigest > 1 ? await readDigest(lastDigest - 1, context) : undefined;
  checkDigests(record, previous, context);
  checkCheckpoint(checkpoint?.head, { record, previous, context });

  const front = await readFront(record?.size ?? 0, record?.root, context.files);
  const covered = await coveredEnd(record, front, context);
  const unpublished = await readUnpublished(covered, lastJournal, context);
  const published: Published =
    record === undefined
      ? nothingPublished
      : {
          number: record.number,
          digest: record.digest,
          lastJournal: record.lastJournal,
          size: record.size,
          root: record.root,
          time: record.time,
          ...(checkpoint === undefined ? {} : { checkpoint: checkpoint.bytes }),
        };
  return { sealed: unpublished.at(-1)?.sealed ?? covered, published, front, unpublished };
}

async function readCheckpoint({ files, origin, key }: SealContext): Promise<{ readonly head: Checkpoint; readonly bytes: Uint8Array } | undefined> {
  const bytes = await files.read(checkpointKey);
  if (bytes === undefined) return undefined;
  const object = files.name(checkpointKey);
  const note = trusted(object, () => parseNote(bytes));
  if (!note.signatures.some(({ name, id }) => name === key.name && id === key.verifier.id)) {
    throw new RowsealError('BadKey', `the log is signed by ${signers(note)}, not by ${key.name}`, { object, next: 'give the signing key of this log, or an empty place for a new one' });
  }
  return { head: trusted(object, () => openCheckpoint(bytes, origin, [key.verifier])), bytes };
}

/** The chain's highest number; 0 when there is none. A hole before it cannot come from expiry, which removes a prefix. */
async function lastNumber(prefix: string, keyOf: (number: number) => string, { files }: SealContext): Promise<number> {
  const keys = await files.keys(prefix);
  const numbers = keys.map((key) => Number(key.slice(prefix.length)));
  const first = numbers[0];
  const last = numbers.at(-1);
  if (first === undefined || last === undefined) return 0;
  const strange = keys.find((key, at) => keyOf(first + at) !== key);
  if (strange !== undefined) throw inconsistent('a key is missing before this one, or it is no key of the chain', files.name(strange));
  return last;
}

async function readDigest(number: number, { files, origin, key }: SealContext): Promise<Digest> {
  const object = files.name(digestKey(number));
  const bytes = await files.read(digestKey(number));
  if (bytes === undefined) throw inconsistent('a digest record is missing', object);
  const record = trusted(object, () => openDigest(bytes, origin, [key.verifier]));
  if (record.number !== number) throw inconsistent(`this is digest record ${record.number}`, object);
  return record;
}

function checkDigests(record: Digest | undefined, previous: Digest | undefined, { files }: SealContext): void {
  if (record === undefined || previous === undefined) return;
  const follows = record.previous === previous.digest && record.firstJournal === previous.lastJournal + 1 && record.size >= previous.size;
  if (!follows) throw inconsistent('the last digest record does not follow the one before it', files.name(digestKey(record.number)));
}

/** `checkpoint` is the last digest record's, or, when we died between the two, the one's before it. */
function checkCheckpoint(head: Checkpoint | undefined, { record, previous, context }: { record: Digest | undefined; previous: Digest | undefined; context: SealContext }): void {
  const fits = (digest: Digest | undefined): boolean =>
    head === undefined ? digest === undefined : digest !== undefined && digest.size === head.size && Buffer.compare(digest.root, head.root) === 0;
  if (fits(record) || fits(previous)) return;
  throw inconsistent(
    head === undefined ? 'digest records exist, and the checkpoint is missing' : 'the checkpoint is not the one of the last digest record',
    context.files.name(checkpointKey),
  );
}

/** The journal up to the last digest record, which must be what that record says. */
async function coveredEnd(record: Digest | undefined, front: TreeFront, context: SealContext): Promise<Sealed> {
  if (record === undefined) return nothingSealed;
  const object = await readJournal(record.lastJournal, context);
  if (object.sizeAfter !== record.size || Buffer.compare(object.rootAfter, record.root) !== 0) {
    throw inconsistent('the journal contradicts the last digest record', context.files.name(journalKey(object.number)));
  }
  const { state } = trusted(context.files.name(journalKey(object.number)), () => decodeJournalBody(object));
  const edge = edgeOf(front);
  return { number: object.number, digest: object.digest, edge, state, time: object.time };
}

async function readUnpublished(covered: Sealed, lastJournal: number, context: SealContext): Promise<Unpublished[]> {
  const unpublished: Unpublished[] = [];
  let before = covered;
  for (let number = covered.number + 1; number <= lastJournal; number += 1) {
    const object = await readJournal(number, context);
    const next = follow(object, before, context.files.name(journalKey(number)));
    unpublished.push(next);
    before = next.sealed;
  }
  return unpublished;
}

function follow(object: JournalObject, before: Sealed, name: string): Unpublished {
  if (object.previous !== before.digest || object.sizeBefore !== before.edge.size) throw inconsistent('a journal object does not follow the one before it', name);
  const { state, entries } = trusted(name, () => decodeJournalBody(object));
  const edge = before.edge.clone();
  const run = entryRun(encodeEntries(entries), edge);
  if (Buffer.compare(edge.root(), object.rootAfter) !== 0) throw inconsistent('the entries of a journal object do not give the root it names', name);
  return { sealed: { number: object.number, digest: object.digest, edge, state, time: object.time }, runs: [run] };
}

async function readJournal(number: number, { files, origin, key }: SealContext): Promise<JournalObject> {
  const name = files.name(journalKey(number));
  const bytes = await files.read(journalKey(number));
  if (bytes === undefined) throw inconsistent('a journal object is missing', name);
  const object = trusted(name, () => openJournal(bytes, origin, [key.verifier]));
  if (object.number !== number) throw inconsistent(`this is journal object ${object.number}`, name);
  return object;
}

/** The complete subtrees of a front: within a level the larger ones are on the left. */
function edgeOf(front: TreeFront): TreeEdge {
  const hashes: Uint8Array[] = [];
  for (const level of [...front.levels].reverse()) {
    const part = new TreeEdge();
    for (const hash of level) part.append(hash);
    hashes.push(...part.hashes);
  }
  return new TreeEdge(front.size, hashes);
}
