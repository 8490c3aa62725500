// Entries of rows are written byte for byte: the same as RFC 8785 makes of the entry as an object, whatever is in the row.
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/adapters/postgres/pgoutput.ts';
import { createCapture } from '../../src/audit/capture.ts';
import { createMicrosFormat, formatMicros } from '../../src/audit/entry-text.ts';
import { decodeEntries } from '../../src/log/bundle.ts';
import { sha256Hex } from '../../src/log/merkle.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import { lsn } from '../../src/model/branded.ts';
import { beginFrame, changeFrame, commitFrame, type Identity, relationFrame, type Value } from '../parts/pgoutput-frames.ts';

const oid = 7;
const name = { system: '7312', database: 'a "b" é', timeline: 3 };
const commitTime = '2026-11-23T10:00:00.123456Z';

interface Row {
  readonly kind: 'I' | 'U' | 'D';
  readonly old: readonly Value[] | undefined;
  readonly new: readonly Value[] | undefined;
}

interface Table {
  readonly columns: readonly string[];
  readonly identity: Identity;
  /** Positions of the replica identity. */
  readonly identityAt: readonly number[];
  readonly primaryKey: readonly string[];
  readonly rows: readonly Row[];
}

/** The slow and plain way to the same entries. */
function expectedEntries({ columns, identity, identityAt, primaryKey, rows }: Table, relation: string): string[] {
  const objectOf = (values: readonly Value[], positions: readonly number[]) =>
    Object.fromEntries(positions.filter((at) => values[at] !== undefined).map((at) => [columns[at], values[at]]));
  const all = columns.map((_, at) => at);
  const whole = primaryKey.map((column) => columns.indexOf(column));
  const keyAt = whole.length > 0 ? whole : identity === 'f' ? [] : identityAt;
  return rows.map((row, at) => {
    const heldOld = identity === 'f' ? all : identityAt;
    const after = row.new?.map((value, position) => (value === undefined && identity === 'f' ? row.old?.[position] : value));
    const held = after ?? row.old?.map((value, position) => (heldOld.includes(position) ? value : undefined)) ?? [];
    const hasKey = keyAt.length > 0 && keyAt.every((position) => held[position] !== undefined);
    const unsent = after === undefined ? [] : columns.filter((_, position) => after[position] === undefined).sort();
    const entry = {
      v: 1,
      type: { I: 'row.insert', U: 'row.update', D: 'row.delete' }[row.kind],
      time: commitTime,
      source: { ...name, incarnation: 1, lsn: `A/${(at * 16 + 1).toString(16).toUpperCase()}`, commitLsn: 'F/FFFFFFFF', xid: 4_000_000_000, seq: at + 1 },
      object: { schema: 'public', table: 't"', relation, ...(hasKey ? { key: objectOf(held, keyAt) } : {}) },
      actor: { unattributed: true },
      change: {
        ...(after === undefined ? {} : { after: objectOf(after, all) }),
        ...(row.old === undefined ? {} : { before: objectOf(row.old, heldOld) }),
        ...(unsent.length === 0 ? {} : { unsent }),
      },
      policy: { digest: null, evidence: 'unknown' },
    };
    return canonicalize(entry) ?? '';
  });
}

function capturedEntries({ columns, identity, identityAt, primaryKey, rows }: Table): { relation: string; entries: string[] } {
  const table = { oid, schema: 'public', table: 't"', ancestors: [], key: primaryKey, operations: ['Insert', 'Update', 'Delete'] };
  const state: SourceState = {
    source: 'postgresql/7312/x',
    position: { incarnation: 1, lsn: lsn(0n), seq: 0, complete: true },
    relations: {},
    policies: {},
    configuration: { claimsSetting: 'c', tables: [table] },
    counters: { changes: 0, attributed: 0, gaps: 0 },
  };
  const key = { inner: Buffer.alloc(64), outer: Buffer.alloc(64) };
  const capture = createCapture({ name, captureName: 'rowseal_x', key, state, maxBatchBytes: 1024 });
  const decoder = createDecoder(capture.tableOf);
  const accept = (data: Buffer, at = 1n): void => capture.accept(decoder.decode({ walStart: lsn(at), data }));
  accept(beginFrame({ commitLsn: 0xf_ffff_ffffn, time: commitTime, xid: 4_000_000_000 }));
  accept(relationFrame({ oid, schema: 'public', table: 't"', identity, columns, identityAt }));
  for (const [at, row] of rows.entries()) {
    const old = row.old === undefined ? undefined : { part: identity === 'f' ? ('O' as const) : ('K' as const), values: row.old };
    accept(changeFrame({ kind: row.kind, oid, old, new: row.new }), 0xa_0000_0000n + BigInt(at) * 16n + 1n);
  }
  accept(commitFrame(0xf_ffff_ffffn, 0xf_ffff_ffffn));
  const batch = capture.take();
  const entries = decodeEntries(batch?.entries.bytes ?? Buffer.alloc(0)).map(String);
  expect(batch?.entries.count).toBe(entries.length);
  const [first = '{}', ...others] = entries;
  const { relation, object } = JSON.parse(first) as { relation: object; object: { relation: string } };
  expect(canonicalize(JSON.parse(first))).toBe(first);
  expect(object.relation).toBe(`sha256:${sha256Hex(Buffer.from(canonicalize(relation) ?? ''))}`);
  return { relation: object.relation, entries: others };
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\u0001', '\u007f', 'é', '\u2028', '😀', ' '), maxLength: 200 }),
  fc.string({ minLength: 60, maxLength: 70 }),
  fc.integer().map(String),
).map((value) => value.replaceAll('\0', ''));
const value = fc.oneof({ weight: 6, arbitrary: text }, { weight: 1, arbitrary: fc.constant(null) });

const tables: fc.Arbitrary<Table> = fc
  .record({ columns: fc.uniqueArray(text.filter((column) => column !== '' && column !== '__proto__'), { minLength: 1, maxLength: 8 }), identity: fc.constantFrom<Identity>('d', 'f', 'i', 'n') })
  .chain(({ columns, identity }) => {
    const positions = fc.subarray(columns.map((_, at) => at));
    const values = fc.array(value, { minLength: columns.length, maxLength: columns.length });
    const newValues = fc.array(fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: fc.constant(undefined) }), { minLength: columns.length, maxLength: columns.length });
    const row = fc.oneof(
      fc.record({ kind: fc.constant('I' as const), old: fc.constant(undefined), new: values }),
      fc.record({ kind: fc.constant('U' as const), old: fc.option(values, { nil: undefined }), new: newValues }),
      fc.record({ kind: fc.constant('D' as const), old: values, new: fc.constant(undefined) }),
    );
    return fc.record({
      columns: fc.constant(columns),
      identity: fc.constant(identity),
      identityAt: identity === 'f' ? fc.constant(columns.map((_, at) => at)) : positions,
      primaryKey: fc.subarray([...columns]),
      rows: fc.array(row, { minLength: 1, maxLength: 6 }),
    });
  });

describe('the bytes of row entries', () => {
  it('hold the time of the commit to the microsecond', () => {
    const format = createMicrosFormat();
    for (const micros of [0n, 1_000_000n, 1_795_000_000_000_001n, 1_795_000_000_999_999n, 1_795_000_001_000_000n, 1_794_999_999_999_999n]) {
      const time = `${new Date(Number(micros / 1000n)).toISOString().slice(0, -1)}${String(micros % 1000n).padStart(3, '0')}Z`;
      expect([format(micros), formatMicros(micros)]).toEqual([time, time]);
    }
  });

  it('are those of the canonical form of the entry', { timeout: 600_000 }, () => {
    const run = fc.check(
      fc.property(tables, (table) => {
        const { relation, entries } = capturedEntries(table);
        expect(entries).toEqual(expectedEntries(table, relation));
      }),
      { numRuns: Number(process.env['ROWSEAL_ROW_RUNS'] ?? 500) },
    );
    console.log(`seed ${run.seed}`);
    if (run.failed) throw new Error(fc.defaultReportMessage(run), { cause: run.errorInstance });
  });

  it('keep what is no UTF-8, and put a row that no leaf can hold aside as a blob', () => {
    const table: Table = { columns: ['x'], identity: 'd', identityAt: [], primaryKey: [], rows: [{ kind: 'I', old: undefined, new: [Buffer.of(0x61, 0xff)] }] };
    expect(capturedEntries(table).entries.map((entry) => (JSON.parse(entry) as { change: object }).change)).toEqual([{ after: { x: { base64: 'Yf8=' } } }]);
    const large = capturedEntries({ ...table, rows: [{ kind: 'I', old: undefined, new: ['\u00e9'.repeat(40_000)] }, { kind: 'I', old: undefined, new: ['1'] }] });
    const json = `{"after":{"x":"${'\u00e9'.repeat(40_000)}"}}`;
    const blob = `sha256:${sha256Hex(Buffer.from(json))}`;
    expect(large.entries.map((entry) => JSON.parse(entry) as object)).toMatchObject([
      { blobs: [blob], change: { blob, bytes: Buffer.byteLength(json) }, source: { seq: 1 } },
      { change: { after: { x: '1' } }, source: { seq: 2 } },
    ]);
  });
});
