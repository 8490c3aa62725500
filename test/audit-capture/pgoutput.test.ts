// The parser: malformed bytes are clear errors, never a hang, a crash or another message's bytes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/adapters/postgres/pgoutput.ts';
import { ByteWriter } from '../../src/log/byte-writer.ts';
import { lsn } from '../../src/model/branded.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { RowBytes } from '../../src/ports/audit-database.ts';

const text = (value: string) => Buffer.concat([Buffer.from(value), Buffer.from([0])]);
const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value | 0);
  return buffer;
};
const value = (content: string | null | undefined) =>
  content === undefined ? Buffer.from('u') : content === null ? Buffer.from('n') : Buffer.concat([Buffer.from('t'), u32(Buffer.byteLength(content)), Buffer.from(content)]);
const tuple = (...values: readonly (string | null | undefined)[]) => Buffer.concat([u16(values.length), ...values.map(value)]);
const relation = (identity: string, keys: readonly string[], ...columns: readonly string[]) =>
  Buffer.concat([
    Buffer.from('R'),
    u32(7),
    text('public'),
    text('t'),
    Buffer.from(identity),
    u16(columns.length),
    ...columns.map((name) => Buffer.concat([Buffer.from([keys.includes(name) ? 1 : 0]), text(name), u32(25), u32(-1)])),
  ]);
const change = (kind: string, ...parts: readonly Buffer[]) => Buffer.concat([Buffer.from(kind), u32(7), ...parts]);
const part = (kind: string, content: Buffer) => Buffer.concat([Buffer.from(kind), content]);

/** Events with their rows written out, as long as these are valid. */
function decodeAll(frames: readonly Buffer[], key?: readonly string[]): readonly object[] {
  const table = key === undefined ? undefined : { key };
  const decoder = createDecoder(() => table);
  return frames.map((data) => {
    const event = decoder.decode({ walStart: lsn(1n), data });
    return event.type === 'change' ? { ...event, ...writtenRow(event.row) } : event;
  });
}

function writtenRow(row: RowBytes): { change: string; key: string | undefined } {
  const writer = new ByteWriter();
  row.writeChange(writer);
  const change = writer.give(writer.kept).toString();
  if (!row.hasKey()) return { change, key: undefined };
  row.writeKey(writer);
  return { change, key: writer.give(writer.kept).toString() };
}

describe('pgoutput', () => {
  it('writes rows as canonical JSON: sorted names, null, escapes', () => {
    const events = decodeAll([relation('d', ['id'], 'z', 'id', 'a"b'), change('I', part('N', tuple('é"\u0001', '1', null)))]);
    expect(events[1]).toMatchObject({ operation: 'insert', change: '{"after":{"a\\"b":null,"id":"1","z":"é\\"\\u0001"}}', key: '{"id":"1"}' });
  });

  it('takes an unchanged out-of-line value from the old row, and names it where there is none', () => {
    const full = decodeAll([relation('f', ['id', 'big'], 'id', 'big'), change('U', part('O', tuple('1', 'long')), part('N', tuple('2', undefined)))], ['id']);
    expect(full[1]).toMatchObject({ change: '{"after":{"big":"long","id":"2"},"before":{"big":"long","id":"1"}}', key: '{"id":"2"}' });
    const keyed = decodeAll([relation('d', ['id'], 'id', 'big'), change('U', part('N', tuple('2', undefined)))]);
    expect(keyed[1]).toMatchObject({ change: '{"after":{"id":"2"},"unsent":["big"]}' });
  });

  it('keeps only the key of a key tuple, whose other columns are no NULLs', () => {
    const events = decodeAll([relation('d', ['id'], 'id', 'big'), change('D', part('K', tuple('1', null)))]);
    expect(events[1]).toMatchObject({ operation: 'delete', change: '{"before":{"id":"1"}}', key: '{"id":"1"}' });
  });

  it('refuses what is cut, too long, of another relation, or of another protocol', () => {
    const insert = change('I', part('N', tuple('1')));
    const known = relation('d', ['id'], 'id');
    for (const bad of [Buffer.from('Z'), Buffer.alloc(0), Buffer.concat([insert, Buffer.from([0])]), change('I', part('N', tuple('1', '2'))), change('I', part('O', tuple('1')))]) {
      expect(() => decodeAll([known, bad])).toThrow(RowsealError);
    }
    expect(() => decodeAll([insert])).toThrow(RowsealError);
    for (let length = 0; length < insert.length; length++) expect(() => decodeAll([known, insert.subarray(0, length)])).toThrow(RowsealError);
  });

  it('answers any bytes with an event or BadLogData', () => {
    const kinds = fc.constantFrom('B', 'C', 'O', 'R', 'Y', 'I', 'U', 'D', 'T', 'M', 'X').map((kind) => Buffer.from(kind));
    const frame = fc.tuple(kinds, fc.uint8Array({ maxLength: 80 })).map(([kind, rest]) => Buffer.concat([kind, rest]));
    const run = fc.check(
      fc.property(fc.array(frame, { maxLength: 5 }), (frames) => {
        const decoder = createDecoder(() => undefined);
        decoder.decode({ walStart: lsn(1n), data: relation('f', ['id'], 'id', 'x') });
        for (const data of frames) {
          try {
            decoder.decode({ walStart: lsn(1n), data });
          } catch (error) {
            if (!(error instanceof RowsealError) || error.code !== 'BadLogData') throw error;
          }
        }
      }),
      { numRuns: 5_000 },
    );
    console.log(`seed ${run.seed}`);
    expect(run.failed, fc.defaultReportMessage(run) ?? '').toBe(false);
  });
});
