// Messages of the server, cut out of chunks of any size.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMessageCutter } from '../../src/adapters/postgres/backend-messages.ts';

function message(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

describe('messages of the server', () => {
  it('are the same however the socket cuts them', () => {
    const messages = fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 300 })), { maxLength: 20 });
    const run = fc.check(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, sizes) => {
        const got: [number, number[]][] = [];
        const cut = createMessageCutter((type, body) => got.push([type, [...body]]));
        const all = Buffer.concat(sent.map(([type, body]) => message(type, body)));
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          cut(Buffer.from(all.subarray(at, at + size)));
          at += size;
        }
        expect(got).toEqual(sent.map(([type, body]) => [type, [...body]]));
      }),
    );
    console.log(`seed ${run.seed}`);
    if (run.failed) throw new Error(fc.defaultReportMessage(run), { cause: run.errorInstance });
  });

  it('are refused when their length is none', () => {
    const cut = createMessageCutter(() => undefined);
    for (const length of [0, 3, 0xffff_ffff]) {
      const header = Buffer.alloc(5, 0x64);
      header.writeUInt32BE(length, 1);
      expect(() => cut(header)).toThrow(expect.objectContaining({ code: 'BadLogData' }));
    }
  });
});
