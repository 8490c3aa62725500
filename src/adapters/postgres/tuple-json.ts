// Tuples of pgoutput straight to canonical JSON (RFC 8785): names sorted and escaped once a relation, no object a column.
import type { RelationShape } from '../../ports/audit-database.ts';
import { type ByteReader, malformed } from './byte-reader.ts';

/** What is prepared once for each relation that the stream describes. */
export interface RelationPlan {
  readonly shape: RelationShape;
  /** `"name":` by attribute position. */
  readonly labels: readonly string[];
  /** Attribute positions in the order of their sorted names. */
  readonly sorted: readonly number[];
  /** Positions of the replica identity's columns, sorted by name. */
  readonly identity: readonly number[];
  /** Names the key was last resolved from, and its positions sorted by name. */
  keyNames: readonly string[] | undefined;
  key: readonly number[] | undefined;
}

/** JSON text of each column by position; `null` is SQL's NULL, undefined was not sent. */
export type TupleTexts = readonly (string | undefined)[];

export function planRelation(shape: RelationShape): RelationPlan {
  const names = shape.columns.map((column) => column.name);
  const sorted = names.map((_name, index) => index).sort((a, b) => compare(names[a] ?? '', names[b] ?? ''));
  return {
    shape,
    labels: names.map((name) => `${JSON.stringify(name)}:`),
    sorted,
    identity: sorted.filter((index) => shape.columns[index]?.identity === true),
    keyNames: undefined,
    key: undefined,
  };
}

/** Reads TupleData. A value marked unchanged is taken from `old`, where the server sends it under REPLICA IDENTITY FULL. */
export function readTuple(reader: ByteReader, plan: RelationPlan, old: TupleTexts | undefined): TupleTexts {
  const count = reader.u16();
  if (count !== plan.labels.length) throw malformed(`a tuple of ${count} columns for a relation of ${plan.labels.length}`);
  const texts: (string | undefined)[] = [];
  for (let index = 0; index < count; index++) {
    const kind = reader.u8();
    if (kind === 0x74) texts.push(JSON.stringify(reader.bytes(reader.i32()).toString('utf8')));
    else if (kind === 0x6e) texts.push('null');
    else if (kind === 0x75) texts.push(old?.[index]);
    else throw malformed(`column kind ${kind}`);
  }
  return texts;
}

/** The JSON object of these columns; those that were not sent are left out. */
export function rowJson(texts: TupleTexts, plan: RelationPlan, positions: readonly number[]): string {
  let json = '{';
  for (const position of positions) {
    const text = texts[position];
    if (text === undefined) continue;
    json += (json.length === 1 ? '' : ',') + (plan.labels[position] ?? '') + text;
  }
  return `${json}}`;
}

/** Names of the columns that were not sent as a JSON array, or undefined when all were. */
export function unsentJson(texts: TupleTexts, plan: RelationPlan): string | undefined {
  if (!texts.includes(undefined)) return undefined;
  return JSON.stringify(plan.sorted.filter((position) => texts[position] === undefined).map((position) => plan.shape.columns[position]?.name));
}

/** The key's object, if every column of it was sent. */
export function keyJson(texts: TupleTexts, plan: RelationPlan, names: readonly string[] | undefined): string | undefined {
  if (plan.keyNames !== names || plan.key === undefined) resolveKey(plan, names);
  const key = plan.key ?? [];
  if (key.length === 0 || key.some((position) => texts[position] === undefined)) return undefined;
  return rowJson(texts, plan, key);
}

/** The primary key where it is known; else the replica identity, unless that is the whole row. */
function resolveKey(plan: RelationPlan, names: readonly string[] | undefined): void {
  plan.keyNames = names;
  const wanted = new Set(names ?? []);
  const known = plan.sorted.filter((position) => wanted.has(plan.shape.columns[position]?.name ?? ''));
  if (wanted.size > 0 && known.length === wanted.size) plan.key = known;
  else plan.key = plan.shape.replicaIdentity === 'full' ? [] : plan.identity;
}

/** By UTF-16 code units, as RFC 8785 §3.2.3 sorts. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
