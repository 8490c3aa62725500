// Bounded reading of big-endian protocol bytes: past the end is an error, never another message's bytes.
import { RowsealError } from '../../model/errors.ts';

export interface ByteReader {
  readonly remaining: () => number;
  u8(): number;
  u16(): number;
  u32(): number;
  i32(): number;
  u64(): bigint;
  /** A NUL-terminated UTF-8 string, without the NUL. */
  text(): string;
  /** A view of the next bytes. */
  bytes(length: number): Buffer;
  /** Throws when anything is left. */
  end(): void;
}

export function readerOf(data: Uint8Array): ByteReader {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const take = (length: number): number => {
    if (length < 0 || at + length > buffer.length) throw malformed(`needs ${length} bytes at ${at} of ${buffer.length}`);
    at += length;
    return at - length;
  };
  return {
    remaining: () => buffer.length - at,
    u8: () => buffer.readUInt8(take(1)),
    u16: () => buffer.readUInt16BE(take(2)),
    u32: () => buffer.readUInt32BE(take(4)),
    i32: () => buffer.readInt32BE(take(4)),
    u64: () => buffer.readBigUInt64BE(take(8)),
    text: () => {
      const end = buffer.indexOf(0, at);
      if (end < 0) throw malformed('a string without its end');
      const start = take(end + 1 - at);
      return buffer.toString('utf8', start, end);
    },
    bytes: (length) => {
      const start = take(length);
      return buffer.subarray(start, start + length);
    },
    end: () => {
      if (at !== buffer.length) throw malformed(`${buffer.length - at} bytes too many`);
    },
  };
}

export function malformed(what: string): RowsealError {
  return new RowsealError('BadLogData', `malformed replication message: ${what}`, {
    object: 'replication stream',
    next: 'check that the server is an unmodified PostgreSQL 15 or newer; nothing was confirmed to it',
  });
}
