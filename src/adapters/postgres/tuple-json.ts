// Tuples of pgoutput straight to canonical JSON bytes (RFC 8785): names sorted and escaped once a relation, no object a column.
import type { ByteWriter } from '../../log/byte-writer.ts';
import { writeJsonText } from '../../log/json-bytes.ts';
import { type ColumnTreatment, hidesValue } from '../../model/audited-columns.ts';
import type { DecodedTable, RelationShape } from '../../ports/audit-database.ts';
import { type ByteReader, malformed } from './byte-reader.ts';
import { treatedJson } from './column-value.ts';

/** What is prepared once for each relation that the stream describes. */
export interface RelationPlan {
  readonly shape: RelationShape;
  /** `"name":` by attribute position. */
  readonly labels: readonly Buffer[];
  readonly labelBytes: number;
  /** Attribute positions in the order of their sorted names. */
  readonly sorted: readonly number[];
  /** Positions of the replica identity's columns, sorted by name. */
  readonly identity: readonly number[];
  /** What `key` was last resolved from. */
  table: DecodedTable | undefined;
  /** Positions of the key's columns, sorted by name; empty without a key. */
  key: readonly number[];
  /** By position, where values are not recorded as they are. */
  treatments: readonly (ColumnTreatment | undefined)[] | undefined;
}

const nullLength = -1;
const unsentLength = -2;
const nullText = Buffer.from('null');

/** Where each column's value is in the message; used again for every message. */
export class Tuple {
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  #bytes = 0;
  #whole = true;

  /** Reads TupleData. A value marked unchanged is taken from `old`, where the server sends it under REPLICA IDENTITY FULL. */
  read(reader: ByteReader, plan: RelationPlan, old: Tuple | undefined): void {
    const count = reader.u16();
    if (count !== plan.labels.length) throw malformed(`a tuple of ${count} columns for a relation of ${plan.labels.length}`);
    this.#bytes = plan.labelBytes;
    this.#whole = true;
    for (let index = 0; index < count; index++) {
      const kind = reader.u8();
      let start = 0;
      let length = nullLength;
      if (kind === 0x74) {
        length = reader.i32();
        start = reader.skip(length);
      } else if (kind === 0x75) {
        start = old?.startOf(index) ?? 0;
        length = old?.lengthOf(index) ?? unsentLength;
        if (length === unsentLength) this.#whole = false;
      } else if (kind !== 0x6e) throw malformed(`column kind ${kind}`);
      this.#starts[index] = start;
      this.#lengths[index] = length;
      this.#bytes += length + 8;
    }
  }

  startOf(position: number): number {
    return this.#starts[position] ?? 0;
  }

  lengthOf(position: number): number {
    return this.#lengths[position] ?? unsentLength;
  }

  /** False when a column was not sent. */
  get whole(): boolean {
    return this.#whole;
  }

  sent(position: number): boolean {
    return this.lengthOf(position) !== unsentLength;
  }

  /** The JSON object of these columns; those that were not sent are left out. */
  write(writer: ByteWriter, source: Buffer, { plan, positions }: { readonly plan: RelationPlan; readonly positions: readonly number[] }): void {
    const { treatments } = plan;
    writer.ensure(this.#bytes);
    writer.byte(0x7b);
    let first = true;
    for (let index = 0; index < positions.length; index++) {
      const position = positions[index] ?? 0;
      const length = this.#lengths[position] ?? unsentLength;
      const treatment = treatments?.[position];
      if (treatment === undefined ? length === unsentLength : isLeftOut(treatment, length)) continue;
      if (first) first = false;
      else writer.byte(0x2c);
      writer.bytes(plan.labels[position] ?? nullText);
      if (treatment !== undefined) writer.text(treatedJson(treatment, length < 0 ? null : source.subarray(this.#starts[position], (this.#starts[position] ?? 0) + length)));
      else if (length === nullLength) writer.bytes(nullText);
      else writeJsonText(writer, source, this.#starts[position] ?? 0, length);
    }
    writer.byte(0x7d);
  }
}

export function planRelation(shape: RelationShape): RelationPlan {
  const names = shape.columns.map((column) => column.name);
  const labels = names.map((name) => Buffer.from(`${JSON.stringify(name)}:`));
  const sorted = names.map((_name, index) => index).sort((a, b) => compare(names[a] ?? '', names[b] ?? ''));
  const plan: RelationPlan = {
    shape,
    labels,
    labelBytes: labels.reduce((sum, label) => sum + label.length, 0),
    sorted,
    identity: sorted.filter((index) => shape.columns[index]?.identity === true),
    table: undefined,
    key: [],
    treatments: undefined,
  };
  resolveTable(plan, undefined);
  return plan;
}

/** The primary key where it is known; else the replica identity, unless that is the whole row. */
export function resolveTable(plan: RelationPlan, table: DecodedTable | undefined): void {
  plan.table = table;
  const wanted = new Set(table?.key ?? []);
  const known = plan.sorted.filter((position) => wanted.has(plan.shape.columns[position]?.name ?? ''));
  if (wanted.size > 0 && known.length === wanted.size) plan.key = known;
  else plan.key = plan.shape.replicaIdentity === 'full' ? [] : plan.identity;
  plan.treatments = table?.treatments;
  // Rows could not be told apart by what is not written.
  if (plan.key.some((position) => hidesValue(plan.treatments?.[position]))) plan.key = [];
}

/** A redacted column is written whatever was sent, a hashed one like any other. */
function isLeftOut({ mode }: ColumnTreatment, length: number): boolean {
  return mode === 'omit' || (mode === 'hash' && length === unsentLength);
}

/** Names of the columns that were not sent as a JSON array, or undefined when all were. */
export function unsentJson(tuple: Tuple, plan: RelationPlan): string | undefined {
  if (tuple.whole) return undefined;
  const unsent = plan.sorted.filter((position) => !tuple.sent(position) && !hidesValue(plan.treatments?.[position]));
  return unsent.length === 0 ? undefined : JSON.stringify(unsent.map((position) => plan.shape.columns[position]?.name));
}

/** By UTF-16 code units, as RFC 8785 §3.2.3 sorts. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
