// Entries as canonical JSON text: the fixed parts in the order of their sorted names, rows put in as they came (DESIGN §7).
import { hash } from 'node:crypto';
import { maxEntryBytes } from '../log/bundle.ts';
import { formatLsn, type Lsn } from '../model/branded.ts';
import type { ColumnTreatment } from '../model/audited-columns.ts';
import type { DecodedTable, RelationShape } from '../ports/audit-database.ts';
import { canonical } from './actor.ts';

export interface SourceName {
  readonly system: string;
  readonly database: string;
  readonly timeline: number;
}

/** The transaction an entry is of. */
export interface EntryTransaction {
  readonly incarnation: number;
  /** On which it was written; that of the server when left out. */
  readonly timeline?: number | undefined;
  readonly commitLsn: Lsn;
  readonly xid: number;
  /** RFC 3339, microseconds. */
  readonly time: string;
}

export interface EntryPlace {
  readonly name: SourceName;
  readonly transaction: EntryTransaction;
  readonly lsn: Lsn;
  readonly seq: number;
}

export interface EntryText {
  readonly text: string;
  readonly blobs: readonly Uint8Array[];
}

/** JSON texts of the members, each canonical; an undefined member is left out. */
export interface EntryMembers {
  readonly type: string;
  readonly actor?: string | undefined;
  readonly change?: string | undefined;
  readonly key?: string | undefined;
  /** Members of `object` after the key: `"relation":…,"schema":…,"table":…`. */
  readonly object?: string;
  readonly policy?: string;
  /** Digests of the payloads that were left out, so that the verifier finds them wherever they stood. */
  readonly blobs?: readonly string[];
  /** What else a type carries, by name. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** An entry at its place in the WAL. */
export function entryText(members: EntryMembers, place: EntryPlace): EntryText {
  return entryTextOf(members, { source: sourceJson(place), time: place.transaction.time });
}

/** An entry of any source: `source` is the canonical JSON of that member, `time` RFC 3339. */
export function entryTextOf(members: EntryMembers, place: { readonly source: string; readonly time: string }): EntryText {
  const text = assemble(members, place);
  if (fits(text)) return { text, blobs: [] };
  // The largest parts leave first; each is kept whole under its own digest.
  const blobs: Uint8Array[] = [];
  let small = members;
  for (const part of ['change', 'key'] as const) {
    const value = small[part];
    if (value !== undefined) small = { ...small, [part]: asBlob(value, blobs), blobs: blobs.map((blob) => digestOf(blob)) };
    const shorter = assemble(small, place);
    if (fits(shorter)) return { text: shorter, blobs };
  }
  const extra = Object.fromEntries(Object.entries(small.extra ?? {}).map(([name, value]) => [name, asBlob(value, blobs)]));
  return { text: assemble({ ...small, extra, blobs: blobs.map((blob) => digestOf(blob)) }, place), blobs };
}

/** A UTF-16 unit is at most three bytes, which spares counting most of the time. */
function fits(text: string): boolean {
  return text.length * 3 <= maxEntryBytes || Buffer.byteLength(text) <= maxEntryBytes;
}

function asBlob(json: string, blobs: Uint8Array[]): string {
  const bytes = Buffer.from(json);
  blobs.push(bytes);
  return `{"blob":"${digestOf(bytes)}","bytes":${bytes.length}}`;
}

export function digestOf(data: string | Uint8Array): string {
  return `sha256:${hash('sha256', data, 'hex')}`;
}

function assemble({ type, blobs, key, object, extra, ...parts }: EntryMembers, { source, time }: { readonly source: string; readonly time: string }): string {
  const members: Record<string, string | undefined> = {
    ...extra,
    ...parts,
    blobs: blobs === undefined ? undefined : JSON.stringify(blobs),
    object: object === undefined ? undefined : `{${key === undefined ? '' : `"key":${key},`}${object}}`,
    source,
    time: `"${time}"`,
    type: `"${type}"`,
    v: '1',
  };
  const present = Object.entries(members).filter(([, json]) => json !== undefined);
  // RFC 8785 §3.2.3: by UTF-16 code units, which is how strings compare.
  return `{${present.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}

/** The `source` member. */
function sourceJson({ name, transaction, lsn, seq }: EntryPlace): string {
  const { incarnation, commitLsn, xid, timeline = name.timeline } = transaction;
  const start = `{"commitLsn":"${formatLsn(commitLsn)}","database":${JSON.stringify(name.database)},"incarnation":${incarnation}`;
  return `${start},"lsn":"${formatLsn(lsn)}","seq":${seq},"system":"${name.system}","timeline":${timeline},"xid":${xid}}`;
}

/** Members of `object` for a row or a table. */
export function objectMembers(schema: string, table: string, relation?: string): string {
  const names = `"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`;
  return relation === undefined ? names : `"relation":"${relation}",${names}`;
}

/** What a `relation` entry says: columns in the table's order, types by PostgreSQL's names, the key. */
export function relationJson(shape: RelationShape, { key, treatments }: Pick<DecodedTable, 'key' | 'treatments'>): string {
  return canonical({
    columns: shape.columns.map(({ name, type, typeModifier, identity }, position) => ({ identity, modifier: typeModifier, name, type, ...treatmentMembers(treatments?.[position]) })),
    key,
    oid: shape.oid,
    replicaIdentity: shape.replicaIdentity,
    schema: shape.schema,
    table: shape.table,
  });
}

function treatmentMembers(treatment: ColumnTreatment | undefined): object {
  if (treatment === undefined) return {};
  return treatment.mode === 'hash' ? { hashKey: treatment.keyId, treatment: 'hash' } : { treatment: treatment.mode };
}

/** RFC 3339 in UTC with microseconds, from microseconds since 1970. */
export function formatMicros(micros: bigint): string {
  const millis = micros / 1000n;
  return `${new Date(Number(millis)).toISOString().slice(0, -1)}${(micros % 1000n).toString().padStart(3, '0')}Z`;
}

/** The same, quicker for times of one second after the other. */
export function createMicrosFormat(): (micros: bigint) => string {
  let second = -1n;
  let start = '';
  return (micros) => {
    const its = micros / 1_000_000n;
    if (its !== second) {
      second = its;
      start = formatMicros(micros).slice(0, '2026-11-23T10:00:00.'.length);
    }
    return `${start}${String(micros - its * 1_000_000n).padStart(6, '0')}Z`;
  };
}
