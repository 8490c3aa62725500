// Parser of pgoutput's protocol version 1, text format: one frame to one event, bounded by the frame.
import { type Lsn, lsn, zeroLsn } from '../../model/branded.ts';
import type { ChangeDecoder, DecodedTable, RelationShape, StreamEvent } from '../../ports/audit-database.ts';
import { builtinTypes } from './builtin-types.ts';
import { ByteReader, malformed } from './byte-reader.ts';
import { DecodedRow } from './decoded-row.ts';
import { planRelation, type RelationPlan, resolveTable } from './tuple-json.ts';

type TableOf = (oid: number) => DecodedTable | undefined;

/** Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const postgresEpochMicros = 946_684_800_000_000n;
/** The last instant that a Date can hold. */
const lastMicros = 8_640_000_000_000_000_000n;
const identities = { d: 'default', n: 'nothing', f: 'full', i: 'index' } as const;

/** A decoder for one stream: it remembers the relations that the server described. */
export function createDecoder(tableOf: TableOf): ChangeDecoder {
  const reader = new ByteReader();
  const context: Context = { relations: new Map(), types: new Map(), tableOf, row: new DecodedRow(), lsn: zeroLsn };
  return {
    decode: (frame) => {
      reader.reset(frame.data);
      context.lsn = frame.walStart;
      const event = decodeMessage(reader, context);
      reader.end();
      return event;
    },
  };
}

interface Context {
  readonly relations: Map<number, RelationPlan>;
  readonly types: Map<number, string>;
  readonly tableOf: TableOf;
  /** The one that every change is read into. */
  readonly row: DecodedRow;
  lsn: Lsn;
}

function decodeMessage(reader: ByteReader, context: Context): StreamEvent {
  const kind = String.fromCharCode(reader.u8());
  switch (kind) {
    case 'B':
      return { type: 'begin', commitLsn: lsn(reader.u64()), commitTimeMicros: commitTime(reader), xid: reader.u32() };
    case 'C':
      return commit(reader);
    case 'R':
      return relation(reader, context);
    case 'I':
    case 'U':
    case 'D':
      return change(kind, reader, context);
    case 'T':
      return truncate(reader, context);
    case 'M':
      return message(reader);
    case 'O':
      reader.u64();
      reader.text();
      return { type: 'other' };
    case 'Y':
      return namedType(reader, context);
    default:
      throw malformed(`message type ${JSON.stringify(kind)}`);
  }
}

function commitTime(reader: ByteReader): bigint {
  const micros = BigInt.asIntN(64, reader.u64()) + postgresEpochMicros;
  if (micros > lastMicros || micros < -lastMicros) throw malformed('the time of a commit');
  return micros;
}

function namedType(reader: ByteReader, context: Context): StreamEvent {
  const oid = reader.u32();
  const schema = reader.text();
  const name = reader.text();
  context.types.set(oid, schema === '' ? name : `${schema}.${name}`);
  return { type: 'other' };
}

function commit(reader: ByteReader): StreamEvent {
  reader.u8();
  const event: StreamEvent = { type: 'commit', commitLsn: lsn(reader.u64()), endLsn: lsn(reader.u64()) };
  reader.u64();
  return event;
}

function relation(reader: ByteReader, context: Context): StreamEvent {
  const oid = reader.u32();
  const schema = reader.text();
  const table = reader.text();
  const identity = identities[String.fromCharCode(reader.u8()) as keyof typeof identities] as RelationShape['replicaIdentity'] | undefined;
  if (identity === undefined) throw malformed('replica identity');
  const count = reader.u16();
  const columns: RelationShape['columns'][number][] = [];
  for (let index = 0; index < count; index++) {
    const flags = reader.u8();
    const name = reader.text();
    const type = reader.u32();
    columns.push({ name, type: context.types.get(type) ?? builtinTypes.get(type) ?? `oid:${type}`, typeModifier: reader.i32(), identity: (flags & 1) === 1 });
  }
  // An empty schema stands for pg_catalog in this protocol.
  const shape: RelationShape = { oid, schema: schema === '' ? 'pg_catalog' : schema, table, replicaIdentity: identity, columns };
  context.relations.set(oid, planRelation(shape));
  return { type: 'relation', relation: shape };
}

const operations = { I: 'insert', U: 'update', D: 'delete' } as const;

function change(kind: 'I' | 'U' | 'D', reader: ByteReader, { relations, tableOf, row, lsn: at }: Context): StreamEvent {
  const oid = reader.u32();
  const plan = relations.get(oid);
  if (plan === undefined) throw malformed(`a change of relation ${oid}, which was not described`);
  const table = tableOf(oid);
  if (plan.table !== table) resolveTable(plan, table);
  row.read(kind, reader, plan);
  return { type: 'change', operation: operations[kind], lsn: at, relation: oid, row };
}

function truncate(reader: ByteReader, context: Context): StreamEvent {
  const count = reader.u32();
  const flags = reader.u8();
  if (count * 4 !== reader.remaining()) throw malformed(`a truncate of ${count} relations`);
  const relations: number[] = [];
  for (let index = 0; index < count; index++) relations.push(reader.u32());
  return { type: 'truncate', lsn: context.lsn, relations, cascade: (flags & 1) === 1, restartIdentity: (flags & 2) === 2 };
}

function message(reader: ByteReader): StreamEvent {
  const flags = reader.u8();
  const at = lsn(reader.u64());
  const prefix = reader.text();
  return { type: 'message', lsn: at, transactional: (flags & 1) === 1, prefix, content: reader.bytes(reader.i32()) };
}
