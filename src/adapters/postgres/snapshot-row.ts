// A line of COPY's text format as the canonical JSON that the stream's rows have (PostgreSQL, COPY, Text Format).
import { isUtf8 } from 'node:buffer';
import { type ColumnTreatment, hidesValue } from '../../model/audited-columns.ts';
import type { SnapshotRow, SnapshotTable } from '../../ports/snapshot.ts';
import { treatedJson } from './column-value.ts';

const tab = 0x09;
const newline = 0x0a;
const backslash = 0x5c;
/** What follows a backslash; any other byte stands for itself. */
const escapes: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, newline],
  [0x72, 0x0d],
  [0x74, tab],
  [0x76, 0x0b],
]);

export type RowParser = (line: Buffer) => SnapshotRow;

/** Columns in the table's order, as the COPY names them. */
export function rowParser({ shape, key, treatments }: SnapshotTable): RowParser {
  const names = shape.columns.map((column) => column.name);
  const sorted = names.map((_name, index) => index).sort((a, b) => compare(names[a] ?? '', names[b] ?? ''));
  const labels = names.map((name) => `${JSON.stringify(name)}:`);
  const written = sorted.filter((index) => treatments?.[index]?.mode !== 'omit');
  const ofKey = sorted.filter((index) => isKey(index));
  // Rows could not be told apart by what is not written.
  const keyPositions = ofKey.some((index) => hidesValue(treatments?.[index])) ? [] : ofKey;
  const objectOf = (positions: readonly number[], values: readonly string[]): string => `{${positions.map((at) => `${labels[at] ?? ''}${values[at] ?? 'null'}`).join(',')}}`;
  return (line) => {
    const values = fieldsOf(line, treatments);
    return { row: objectOf(written, values), key: keyPositions.length === 0 ? undefined : objectOf(keyPositions, values) };
  };

  /** The primary key where there is one; else the replica identity, unless that is the whole row. */
  function isKey(index: number): boolean {
    if (key.length > 0) return key.includes(names[index] ?? '');
    return shape.replicaIdentity !== 'full' && shape.columns[index]?.identity === true;
  }
}

/** JSON text of each field. */
function fieldsOf(line: Buffer, treatments: SnapshotTable['treatments']): string[] {
  const end = line.at(-1) === newline ? line.length - 1 : line.length;
  const fields: string[] = [];
  for (let start = 0; start <= end; ) {
    const found = line.indexOf(tab, start);
    const stop = found < 0 || found > end ? end : found;
    fields.push(fieldJson(line.subarray(start, stop), treatments?.[fields.length]));
    start = stop + 1;
  }
  return fields;
}

function fieldJson(field: Buffer, treatment: ColumnTreatment | undefined): string {
  const isNull = field.length === 2 && field[0] === backslash && field[1] === 0x4e;
  const bytes = field.includes(backslash) ? unescaped(field) : field;
  if (treatment !== undefined) return treatedJson(treatment, isNull ? null : bytes);
  if (isNull) return 'null';
  // A database without an encoding may hold anything; nothing of it may be lost.
  return isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : `{"base64":"${bytes.toString('base64')}"}`;
}

function unescaped(field: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(field.length);
  let length = 0;
  for (let index = 0; index < field.length; index++) {
    const byte = field[index] ?? 0;
    if (byte !== backslash) bytes[length++] = byte;
    else {
      index++;
      const escaped = field[index] ?? 0;
      bytes[length++] = escapes.get(escaped) ?? escaped;
    }
  }
  return bytes.subarray(0, length);
}

/** By UTF-16 code units, as RFC 8785 §3.2.3 sorts. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
