// Messages of pgoutput's protocol version 1, made by hand for tests of what reads them.

/** A text, bytes of any encoding, SQL's NULL, or unchanged and not sent. */
export type Value = string | Buffer | null | undefined;
export type Identity = 'd' | 'n' | 'f' | 'i';

const postgresEpochMicros = 946_684_800_000_000n;

const text = (value: string): Buffer => Buffer.concat([Buffer.from(value), Buffer.of(0)]);
const u8 = (value: number): Buffer => Buffer.of(value);

function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function u64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}

/** `time` is RFC 3339 with six digits after the second. */
export function beginFrame({ commitLsn, time, xid }: { readonly commitLsn: bigint; readonly time: string; readonly xid: number }): Buffer {
  const micros = BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1000n + BigInt(time.slice(20, 26));
  return Buffer.concat([Buffer.from('B'), u64(commitLsn), u64(micros - postgresEpochMicros), u32(xid)]);
}

export function commitFrame(commitLsn: bigint, endLsn: bigint): Buffer {
  return Buffer.concat([Buffer.from('C'), u8(0), u64(commitLsn), u64(endLsn), u64(0n)]);
}

export interface RelationParts {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly identity: Identity;
  readonly columns: readonly string[];
  /** Positions of the replica identity's columns. */
  readonly identityAt: readonly number[];
}

/** All columns are of type `text`. */
export function relationFrame({ oid, schema, table, identity, columns, identityAt }: RelationParts): Buffer {
  const described = columns.map((name, at) => Buffer.concat([u8(identityAt.includes(at) ? 1 : 0), text(name), u32(25), u32(0xffff_ffff)]));
  return Buffer.concat([Buffer.from('R'), u32(oid), text(schema), text(table), Buffer.from(identity), u16(columns.length), ...described]);
}

export interface ChangeParts {
  readonly kind: 'I' | 'U' | 'D';
  readonly oid: number;
  readonly old?: { readonly part: 'K' | 'O'; readonly values: readonly Value[] } | undefined;
  readonly new?: readonly Value[] | undefined;
}

export function changeFrame({ kind, oid, old, new: after }: ChangeParts): Buffer {
  return Buffer.concat([
    Buffer.from(kind),
    u32(oid),
    ...(old === undefined ? [] : [Buffer.from(old.part), tuple(old.values)]),
    ...(after === undefined ? [] : [Buffer.from('N'), tuple(after)]),
  ]);
}

function tuple(values: readonly Value[]): Buffer {
  return Buffer.concat([u16(values.length), ...values.map(encoded)]);
}

function encoded(value: Value): Buffer {
  if (value === undefined) return Buffer.from('u');
  if (value === null) return Buffer.from('n');
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
  return Buffer.concat([Buffer.from('t'), u32(bytes.length), bytes]);
}
