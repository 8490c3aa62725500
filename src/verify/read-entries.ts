// Reading a log's entries in order: what is published from bundles, the rest from the journal.
import { decodeBundle } from '../log/bundle.ts';
import { type Checkpoint, checkpointKey, openCheckpoint } from '../log/checkpoint.ts';
import { digestKey, openDigest } from '../log/digest.ts';
import { decodeJournalBody } from '../log/journal-body.ts';
import { journalKey, openJournal } from '../log/journal.ts';
import type { VerifierKey } from '../log/keys.ts';
import { parseNote } from '../log/note.ts';
import { bundleKey, tileWidth, widthOf } from '../log/tile.ts';
import { RowsealError } from '../model/errors.ts';
import type { LogReader } from '../ports/log-store.ts';

export interface ReadLeaf {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export interface EntryRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The published tree head, with its bytes; undefined where nothing was published. Throws BadNote or BadLogData. */
export async function readCheckpoint(reader: LogReader, key: VerifierKey | undefined, signal: AbortSignal): Promise<{ head: Checkpoint; bytes: Uint8Array } | undefined> {
  const bytes = await reader.read(checkpointKey, signal);
  if (bytes === undefined) return undefined;
  const known = key ?? unverifiedKey(bytes);
  return { head: openCheckpoint(bytes, known.name, [known]), bytes };
}

/** Published entries of a range. Throws BadLogData naming a bundle that is missing or malformed. */
export async function* readPublished(reader: LogReader, { from, to }: EntryRange, signal: AbortSignal): AsyncGenerator<ReadLeaf> {
  for (let index = Math.floor(from / tileWidth); index * tileWidth < to; index += 1) {
    const entries = await readBundle(reader, { index, size: to }, signal);
    for (const [offset, bytes] of entries.entries()) {
      const leaf = index * tileWidth + offset;
      if (leaf >= from && leaf < to) yield { index: leaf, bytes };
    }
  }
}

/** A partial bundle may be gone once a full one covers it (C2SP tlog-tiles, Partial Tiles). */
async function readBundle(reader: LogReader, { index, size }: { index: number; size: number }, signal: AbortSignal): Promise<Buffer[]> {
  for (const width of new Set([widthOf(0, index, size), tileWidth])) {
    const bytes = await reader.read(bundleKey({ index, width }), signal);
    if (bytes !== undefined) return decodeBundle(bytes, width);
  }
  const file = bundleKey({ index, width: widthOf(0, index, size) });
  throw new RowsealError('BadLogData', `${file} is missing`, { object: `${reader.location}/${file}`, next: 'run rowseal verify' });
}

export interface JournalStart {
  readonly key: VerifierKey | undefined;
  /** Number of the first object. */
  readonly number: number;
}

/** Entries of one journal object; undefined where it is not there. Throws BadNote or BadLogData. */
export async function readJournalEntries(reader: LogReader, { key, number }: JournalStart, signal: AbortSignal): Promise<ReadLeaf[] | undefined> {
  const bytes = await reader.read(journalKey(number), signal);
  if (bytes === undefined) return undefined;
  const known = key ?? unverifiedKey(headerOf(bytes));
  const object = openJournal(bytes, known.name, [known]);
  return decodeJournalBody(object).entries.map((entry, offset) => ({ index: object.sizeBefore + offset, bytes: entry }));
}

/** Number of the first journal object that no digest record covers. */
export async function firstUncovered(reader: LogReader, key: VerifierKey | undefined, signal: AbortSignal): Promise<number> {
  let last = 0;
  for await (const stored of reader.list('digests/', signal)) {
    const number = Number(/^digests\/(\d{20})$/.exec(stored.key)?.[1] ?? 0);
    if (Number.isSafeInteger(number)) last = Math.max(last, number);
  }
  const bytes = last === 0 ? undefined : await reader.read(digestKey(last), signal);
  if (bytes === undefined) return 1;
  const known = key ?? unverifiedKey(bytes);
  return openDigest(bytes, known.name, [known]).lastJournal + 1;
}

/** For reading without a key: believes the file's own first signature. `verify` is what says whether that is right. */
function unverifiedKey(note: Uint8Array): VerifierKey {
  const [first] = parseNote(note).signatures;
  if (first === undefined) throw new RowsealError('BadNote', 'a note without a signature');
  return { name: first.name, id: first.id, text: '', verify: () => true };
}

function headerOf(journal: Uint8Array): Uint8Array {
  const whole = Buffer.from(journal.buffer, journal.byteOffset, journal.byteLength);
  return whole.subarray(0, whole.indexOf('\n\n', whole.indexOf('\n\n') + 2) + 1);
}
