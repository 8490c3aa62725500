// A growing buffer that is written once, piece by piece, and given away in parts: what was given away is never written again.

/** Small enough that a batch which keeps its chunk alive wastes little, large enough that chunks are rare. */
const chunkBytes = 1024 * 1024;

export class ByteWriter {
  /** Whoever writes into it calls `ensure` first and moves `length` on. */
  buffer: Buffer;
  /** Bytes of `buffer` that are written. */
  length = 0;
  #start = 0;

  constructor(firstBytes = chunkBytes) {
    this.buffer = Buffer.allocUnsafeSlow(firstBytes);
  }

  /** Bytes written since the last `give`. */
  get kept(): number {
    return this.length - this.#start;
  }

  /** Makes room for so many more bytes; `buffer` and `length` may be others afterwards, `kept` is not. */
  ensure(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    const { kept } = this;
    const next = Buffer.allocUnsafeSlow(Math.max(chunkBytes, 2 * (kept + count)));
    this.buffer.copy(next, 0, this.#start, this.length);
    this.buffer = next;
    this.#start = 0;
    this.length = kept;
  }

  bytes(source: Uint8Array): void {
    this.ensure(source.length);
    this.buffer.set(source, this.length);
    this.length += source.length;
  }

  byte(value: number): void {
    this.ensure(1);
    this.buffer[this.length++] = value;
  }

  /** A non-negative integer's decimal digits. */
  decimal(value: number): void {
    this.ensure(16);
    let end = this.length + 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++;
    this.length = end;
    let rest = value;
    do {
      const next = Math.floor(rest / 10);
      this.buffer[--end] = 0x30 + (rest - next * 10);
      rest = next;
    } while (rest > 0);
  }

  /** As UTF-8. */
  text(value: string): void {
    this.ensure(value.length * 3);
    this.length += this.buffer.write(value, this.length);
  }

  /** Upper-case hexadecimal digits of a 32-bit number, without leading zeros. */
  hex(value: number): void {
    this.ensure(8);
    let end = this.length + 1;
    for (let rest = value >>> 4; rest > 0; rest >>>= 4) end++;
    this.length = end;
    let rest = value >>> 0;
    do {
      const digit = rest & 15;
      this.buffer[--end] = digit < 10 ? 0x30 + digit : 0x37 + digit;
      rest >>>= 4;
    } while (rest > 0);
  }

  /** Overwrites two bytes, big-endian, at a distance from the first kept byte. */
  putUint16(at: number, value: number): void {
    this.buffer.writeUInt16BE(value, this.#start + at);
  }

  /** Forgets what was written behind the first `count` kept bytes. */
  rewind(count: number): void {
    this.length = this.#start + count;
  }

  /** The first `count` kept bytes, which are the caller's from now on. */
  give(count: number): Buffer {
    const given = this.buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    return given;
  }
}
