// A text's bytes as a canonical JSON string (RFC 8785 §3.2.2.2), copied where nothing is to be escaped: almost always.
import { isUtf8 } from 'node:buffer';
import type { ByteWriter } from './byte-writer.ts';

const escaped = 1;
const beyondAscii = 2;
/** What a byte asks for: nothing, an escape, or a look at the whole. */
const classes = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x20 || byte === 0x22 || byte === 0x5c ? escaped : byte >= 0x80 ? beyondAscii : 0));
/** Up to here a loop that copies while it looks is quicker than looking first. */
const loopBytes = 64;

/** Bytes that are no UTF-8, which only a database without an encoding sends, become `{"base64":"…"}`: nothing is lost. */
export function writeJsonText(writer: ByteWriter, source: Buffer, start: number, length: number): void {
  writer.ensure(length + 2);
  const { buffer, length: at } = writer;
  const end = start + length;
  let found = 0;
  if (length <= loopBytes) {
    let to = at + 1;
    for (let from = start; from < end; from++) {
      const byte = source[from] ?? 0;
      buffer[to++] = byte;
      found |= classes[byte] ?? 0;
    }
  } else {
    for (let from = start; from < end; from++) found |= classes[source[from] ?? 0] ?? 0;
    if (found !== 0) return writeOddText(writer, source.subarray(start, end), found);
    buffer.set(source.subarray(start, end), at + 1);
  }
  if (found !== 0) return writeOddText(writer, source.subarray(start, end), found);
  buffer[at] = 0x22;
  buffer[at + length + 1] = 0x22;
  writer.length = at + length + 2;
}

function writeOddText(writer: ByteWriter, bytes: Buffer, found: number): void {
  if ((found & beyondAscii) !== 0 && !isUtf8(bytes)) writer.text(`{"base64":"${bytes.toString('base64')}"}`);
  else writer.text(JSON.stringify(bytes.toString('utf8')));
}
