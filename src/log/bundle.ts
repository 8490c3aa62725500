// Entries in C2SP tlog-tiles' bundle encoding: a big-endian uint16 length before each.
import { RowsealError } from '../model/errors.ts';

/** The longest entry that the encoding can hold. */
export const maxEntryBytes = 65_535;
/** Of the length before each entry. */
export const lengthBytes = 2;

/** Any number of entries in one buffer, in bundle encoding. */
export interface EncodedEntries {
  readonly bytes: Buffer;
  readonly count: number;
}

export const noEntries: EncodedEntries = { bytes: Buffer.alloc(0), count: 0 };

/** Throws BadLogData for an entry that is too long. */
export function encodedEntries(entries: readonly Uint8Array[]): EncodedEntries {
  return { bytes: encodeEntries(entries), count: entries.length };
}

/** One buffer for any number of entries. Throws BadLogData for an entry that is too long. */
export function encodeEntries(entries: readonly Uint8Array[]): Buffer {
  let total = 0;
  for (const entry of entries) {
    if (entry.length > maxEntryBytes) {
      throw new RowsealError('BadLogData', `an entry of ${entry.length} bytes is longer than ${maxEntryBytes}`, { next: 'store its payload as a blob' });
    }
    total += lengthBytes + entry.length;
  }
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const entry of entries) {
    bytes.writeUInt16BE(entry.length, at);
    bytes.set(entry, at + lengthBytes);
    at += lengthBytes + entry.length;
  }
  return bytes;
}

/** The entries, as views into `bytes`. Throws BadLogData when the bytes end within one. */
export function decodeEntries(bytes: Uint8Array): Buffer[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Buffer[] = [];
  for (let at = 0; at < whole.length; ) {
    const end = entryEnd(whole, at);
    entries.push(whole.subarray(at + lengthBytes, end));
    at = end;
  }
  return entries;
}

/** A bundle's entries; throws BadLogData unless there are exactly `width`. */
export function decodeBundle(bytes: Uint8Array, width: number): Buffer[] {
  const entries = decodeEntries(bytes);
  if (entries.length !== width) throw new RowsealError('BadLogData', `a bundle of ${width} entries holds ${entries.length}`);
  return entries;
}

/** Where the entry that begins at `at` ends; for walking encoded entries without cutting them out. */
export function entryEnd(encoded: Buffer, at: number): number {
  const end = at + lengthBytes <= encoded.length ? at + lengthBytes + encoded.readUInt16BE(at) : Number.POSITIVE_INFINITY;
  if (end > encoded.length) throw new RowsealError('BadLogData', 'the encoded entries end within an entry');
  return end;
}
