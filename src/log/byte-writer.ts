// A growing buffer that is written once, piece by piece, and given away in parts: what was given away is never written again.

/** Small enough that a batch which keeps its chunk alive wastes little, large enough that chunks are rare. */
const chunkBytes = 1024 * 1024;
/** Copying in a loop is quicker than a call up to about here. */
const loopBytes = 48;

export class ByteWriter {
  /** Whoever writes into it calls `ensure` first and moves `length` on. */
  buffer = Buffer.allocUnsafeSlow(chunkBytes);
  /** Bytes of `buffer` that are written. */
  length = 0;
  #start = 0;

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
    const { buffer, length } = this;
    if (source.length > loopBytes) buffer.set(source, length);
    else for (let index = 0; index < source.length; index++) buffer[length + index] = source[index] ?? 0;
    this.length = length + source.length;
  }

  /** As UTF-8. */
  text(value: string): void {
    this.ensure(value.length * 3);
    this.length += this.buffer.write(value, this.length);
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
