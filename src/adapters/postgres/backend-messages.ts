// Cuts the server's messages out of what the socket receives: views where one lies within a chunk, copied once where it does not.
import { malformed } from './byte-reader.ts';

const headerBytes = 5;
/** PostgreSQL itself allocates no more at once. */
const maxMessageBytes = 0x4000_0000;

/** `body` is what follows the length. */
export type OnMessage = (type: number, body: Buffer) => void;

/** Takes chunks that are never written again. Throws BadLogData on a length that no message has. */
export function createMessageCutter(onMessage: OnMessage): (chunk: Buffer) => void {
  /** Beginning of a message that is not whole yet: of known length once its header is there. */
  let begun: { readonly bytes: Buffer; have: number } | undefined;

  /** Fills what was begun; returns where in the chunk the next message begins. */
  const fill = (chunk: Buffer, at: number): number => {
    if (begun === undefined) return at;
    const taken = Math.min(begun.bytes.length - begun.have, chunk.length - at);
    chunk.copy(begun.bytes, begun.have, at, at + taken);
    begun.have += taken;
    if (begun.have < begun.bytes.length) return at + taken;
    const { bytes } = begun;
    const whole = wholeLength(bytes, 0);
    if (whole > bytes.length) {
      begun = { bytes: Buffer.allocUnsafeSlow(whole), have: bytes.length };
      bytes.copy(begun.bytes, 0);
      return fill(chunk, at + taken);
    }
    begun = undefined;
    onMessage(bytes[0] ?? 0, bytes.subarray(headerBytes));
    return at + taken;
  };

  return (chunk) => {
    let at = fill(chunk, 0);
    while (chunk.length - at >= headerBytes) {
      const end = at + wholeLength(chunk, at);
      if (end > chunk.length) break;
      onMessage(chunk[at] ?? 0, chunk.subarray(at + headerBytes, end));
      at = end;
    }
    if (at === chunk.length) return;
    const known = chunk.length - at >= headerBytes;
    begun = { bytes: Buffer.allocUnsafeSlow(known ? wholeLength(chunk, at) : headerBytes), have: 0 };
    fill(chunk, at);
  };
}

/** With its type and its length. */
function wholeLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at + 1);
  if (length < headerBytes - 1 || length > maxMessageBytes) throw malformed(`a message of ${length} bytes`);
  return length + 1;
}
