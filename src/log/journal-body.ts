// The body of a journal object: gzip of the length-prefixed state and the entries in bundle encoding.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gunzipSync } from 'node:zlib';
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
const chunkSize = 64 * 1024;

export interface JournalContent {
  readonly state: LogState;
  /** Views into one buffer. */
  readonly entries: readonly Buffer[];
}

/** Compresses off the main thread. `state` is canonical JSON, `entries` are in bundle encoding, in any number of parts. */
export async function compressJournalBody(state: Uint8Array, entries: readonly Uint8Array[]): Promise<Buffer> {
  const bytes = entries.reduce((sum, { length }) => sum + length, lengthBytes + state.length);
  if (bytes > maxJournalBodyBytes) throw new RowsealError('BadLogData', 'a batch too large for one journal object', { next: 'append smaller batches' });
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(state.length);
  const compressed: Buffer[] = [];
  await pipeline(Readable.from([Buffer.concat([length, state]), ...entries]), createGzip({ level: gzipLevel, chunkSize }), async (chunks) => {
    for await (const chunk of chunks as AsyncIterable<Buffer>) compressed.push(chunk);
  });
  return Buffer.concat(compressed);
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
