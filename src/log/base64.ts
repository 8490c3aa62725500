// Canonical base64 only: Node's decoder accepts many spellings of one value, and a log may have exactly one.
import { RowsealError } from '../model/errors.ts';

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** RFC 4648 §4 with padding; undefined for every spelling that encoding the bytes again would not give. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** A SHA-256 value as it stands in checkpoints, journal objects and digest records. Throws BadLogData. */
export function decodeHash(text: string): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === undefined || bytes.length !== 32) throw new RowsealError('BadLogData', 'not the base64 of a SHA-256 value');
  return bytes;
}
