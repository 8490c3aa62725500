// Bounded reading of big-endian protocol bytes: past the end is an error, never another message's bytes.
import { isUtf8 } from 'node:buffer';
import { RowsealError } from '../../model/errors.ts';

/** One reader serves a whole stream: `reset` gives it the next message. */
export class ByteReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;

  reset(data: Uint8Array): void {
    this.#buffer = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    this.#at = 0;
  }

  /** What is read; positions that `skip` gives are in it. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  remaining(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#buffer[this.skip(1)] ?? 0;
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.skip(2));
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.skip(4));
  }

  i32(): number {
    return this.#buffer.readInt32BE(this.skip(4));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64BE(this.skip(8));
  }

  /** A NUL-terminated UTF-8 string, without the NUL; `base64:…` where a database without an encoding sends other bytes. */
  text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    if (end < 0) throw malformed('a string without its end');
    const start = this.skip(end + 1 - this.#at);
    const bytes = this.#buffer.subarray(start, end);
    // Two names that differ must not become one.
    return isUtf8(bytes) ? bytes.toString('utf8') : `base64:${bytes.toString('base64')}`;
  }

  /** A view of the next bytes. */
  bytes(length: number): Buffer {
    const start = this.skip(length);
    return this.#buffer.subarray(start, start + length);
  }

  /** Goes past the next bytes, and says where they begin. */
  skip(length: number): number {
    const at = this.#at;
    if (length < 0 || at + length > this.#buffer.length) throw malformed(`needs ${length} bytes at ${at} of ${this.#buffer.length}`);
    this.#at = at + length;
    return at;
  }

  /** Throws when anything is left. */
  end(): void {
    if (this.#at !== this.#buffer.length) throw malformed(`${this.#buffer.length - this.#at} bytes too many`);
  }
}

export function malformed(what: string): RowsealError {
  return new RowsealError('BadLogData', `malformed replication message: ${what}`, {
    object: 'replication stream',
    next: 'check that the server is an unmodified PostgreSQL 15 or newer; nothing was confirmed to it',
  });
}
