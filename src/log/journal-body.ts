// The body of a journal object: gzip of the length-prefixed state and the entries in bundle encoding.
import { gunzipSync, gzip } from 'node:zlib';
import { RowsealError } from '../model/errors.ts';
import { decodeEntries } from './bundle.ts';
import type { JournalObject } from './journal.ts';
import { type LogState, parseLogState } from './log-state.ts';
import { sha256Hex } from './merkle.ts';

/** Uncompressed; what is longer is refused when sealing and when reading, so that no small object can fill the memory. */
const maxJournalBodyBytes = 256 * 1024 * 1024;
const lengthBytes = 4;
/** The fastest level: sealing waits for it, and entries of one table compress well at any. */
const gzipLevel = 1;
const leastChunkBytes = 16 * 1024;

export interface JournalContent {
  readonly state: LogState;
  /** Views into one buffer. */
  readonly entries: readonly Buffer[];
}

/** `state` is canonical JSON, `entries` are in bundle encoding, in parts. The returned entries are a view of the whole, where they follow each other. */
export function joinJournalBody(state: Uint8Array, entries: readonly Uint8Array[]): { readonly plain: Buffer; readonly entries: Buffer } {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(state.length);
  const plain = Buffer.concat([length, state, ...entries]);
  if (plain.length > maxJournalBodyBytes) {
    throw new RowsealError('BadLogData', 'a batch too large for one journal object', { next: 'append smaller batches' });
  }
  return { plain, entries: plain.subarray(lengthBytes + state.length) };
}

/** Compresses what `joinJournalBody` gave, off the main thread. */
export async function compressJournalBody(plain: Uint8Array): Promise<Buffer> {
  // In few pieces: each is a turn of the event loop.
  const options = { level: gzipLevel, chunkSize: Math.max(leastChunkBytes, Math.ceil(plain.length / 8)) };
  return new Promise((resolve, reject) => gzip(plain, options, (error, body) => (error ? reject(error) : resolve(body))));
}

/** State and entries of an object that `openJournal` accepted. Throws BadLogData when they are not what its header says. */
export function decodeJournalBody(object: JournalObject): JournalContent {
  const plain = inflate(object.body);
  const stateEnd = plain.length < lengthBytes ? Number.POSITIVE_INFINITY : lengthBytes + plain.readUInt32BE(0);
  if (stateEnd > plain.length) throw new RowsealError('BadLogData', 'the body of a journal object ends within its state');
  const state = plain.subarray(lengthBytes, stateEnd);
  if (sha256Hex(state) !== object.stateDigest) throw new RowsealError('BadLogData', 'the state in a journal object is not the one its header names');
  const entries = decodeEntries(plain.subarray(stateEnd));
  if (entries.length !== object.sizeAfter - object.sizeBefore) {
    throw new RowsealError('BadLogData', `a journal object of ${object.sizeAfter - object.sizeBefore} entries holds ${entries.length}`);
  }
  return { state: parseLogState(state), entries };
}

function inflate(body: Uint8Array): Buffer {
  try {
    return gunzipSync(body, { maxOutputLength: maxJournalBodyBytes });
  } catch (cause) {
    throw new RowsealError('BadLogData', 'the body of a journal object cannot be decompressed', { cause });
  }
}
