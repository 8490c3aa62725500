// The verdict: what is sealed against what sessions said they did and against the order that PostgreSQL's own test_decoding gives.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ExpectedChange, Row } from './script.ts';

/** An entry as the log holds it. */
export interface SealedEntry {
  readonly type: string;
  readonly object?: { readonly table: string };
  readonly actor?: Record<string, unknown>;
  readonly change?: { readonly before?: Row; readonly after?: Row; readonly unsent?: readonly string[]; readonly blob?: string };
  readonly source: { readonly incarnation: number; readonly commitLsn: string; readonly xid: number; readonly seq: number };
}

/** A row of the oracle table. */
export interface Said {
  readonly xid: number;
  readonly pid: number;
  readonly expected: readonly ExpectedChange[];
}

/** One change as test_decoding prints it, in the order of the commits. */
export interface Refereed {
  readonly xid: number;
  readonly table: string;
  readonly operation: string;
  /** Empty for TRUNCATE. */
  readonly id: string;
}

const maxProblems = 20;
const longText = 64;

export interface Testimony {
  readonly said: readonly Said[];
  readonly refereed: readonly Refereed[];
  /** A row as the log may hold it; as it is when left out. */
  readonly treat?: (table: string, row: Row) => Row;
  /** Partitions are covered by the next look only: without event triggers they have neither before-images nor actors at first. */
  readonly coveredLater?: boolean;
}

/** Nothing when every change is sealed once, in order, with its values and its actor; else what is wrong. */
export function judge(sealed: readonly SealedEntry[], { said, refereed, treat = (_table, row) => row, coveredLater = false }: Testimony): readonly string[] {
  const treated = said.map((one) => ({ ...one, expected: one.expected.map((change) => treatedChange(change, treat)) }));
  const rows = sealed.filter(({ type }) => type.startsWith('row.'));
  const problems = [...unwanted(sealed), ...orderOfPositions(rows), ...sameSequence(rows, refereed), ...sameChanges(rows, treated, coveredLater)];
  return problems.length > maxProblems ? [...problems.slice(0, maxProblems), `and ${problems.length - maxProblems} more`] : problems;
}

function treatedChange(change: ExpectedChange, treat: (table: string, row: Row) => Row): ExpectedChange {
  const { table, before, after } = change;
  return { ...change, ...(before && { before: treat(table, before) }), ...(after && { after: treat(table, after) }) };
}

function unwanted(sealed: readonly SealedEntry[]): string[] {
  return sealed.filter(({ type }) => ['gap', 'gap.rewound', 'forgery'].includes(type)).map((entry) => `unwanted: ${JSON.stringify(entry)}`);
}

function orderOfPositions(rows: readonly SealedEntry[]): string[] {
  return rows.flatMap((row, index) => {
    const before = rows[index - 1];
    if (before === undefined) return [];
    const [a, b] = [before.source, row.source].map(({ incarnation, commitLsn, seq }) => [BigInt(incarnation), lsnValue(commitLsn), BigInt(seq)] as const);
    const grows = a !== undefined && b !== undefined && (a[0] < b[0] || (a[0] === b[0] && (a[1] < b[1] || (a[1] === b[1] && a[2] < b[2]))));
    return grows ? [] : [`out of order: ${JSON.stringify(before.source)} before ${JSON.stringify(row.source)}`];
  });
}

function sameSequence(rows: readonly SealedEntry[], refereed: readonly Refereed[]): string[] {
  const logged = rows.map((row) => `${row.source.xid} ${tableOf(row)} ${row.type.slice(4)} ${idOf(row.change ?? {})}`);
  const wanted = refereed.map(({ xid, table, operation, id }) => `${xid} ${table} ${operation} ${id}`);
  for (let index = 0; index < Math.max(logged.length, wanted.length); index++) {
    if (logged[index] === wanted[index]) continue;
    const around = (list: readonly string[]) => JSON.stringify(list.slice(Math.max(0, index - 2), index + 4));
    return [`the sequence differs at change ${index} of ${logged.length} sealed, ${wanted.length} committed: sealed ${around(logged)}, committed ${around(wanted)}`];
  }
  return [];
}

function sameChanges(rows: readonly SealedEntry[], said: readonly Said[], coveredLater: boolean): string[] {
  const changeKey = changeKeys(coveredLater);
  const expectedKey = (change: ExpectedChange, pid: number): string => `${changeKey(change)} by ${expectedActor(change, pid)}`;
  const problems: string[] = [];
  const byTransaction = Map.groupBy(rows, ({ source }) => source.xid);
  for (const { xid, pid, expected } of said) {
    const wanted = new Map<string, number>();
    const count = (key: string, by: number) => wanted.set(key, (wanted.get(key) ?? 0) + by);
    for (const change of expected) count(expectedKey(change, pid), 1);
    const loose = new Map(expected.filter(({ unattributedToo }) => coveredLater && unattributedToo).map((change) => [changeKey(change), expectedKey(change, pid)]));
    for (const row of byTransaction.get(xid) ?? []) {
      const change = { table: tableOf(row), operation: row.type.slice(4), ...row.change };
      const strict = `${changeKey(change)} by ${sealedActor(row.actor)}`;
      const key = row.actor?.['unattributed'] === true ? (loose.get(changeKey(change)) ?? strict) : strict;
      count(key, -1);
    }
    byTransaction.delete(xid);
    for (const [key, difference] of wanted) {
      if (difference !== 0) problems.push(`transaction ${xid}: ${difference > 0 ? 'not sealed' : 'sealed, but not done'} (${Math.abs(difference)}×): ${key}`);
    }
  }
  for (const [xid, extra] of byTransaction) problems.push(`transaction ${xid}: sealed ${extra.length} changes that nobody made, such as ${JSON.stringify(extra[0])}`);
  return problems;
}

function expectedActor({ actor }: ExpectedChange, pid: number): string {
  const { user, role, effective, application, claims } = actor;
  return canonicalize([user, role, effective, application, claims, pid]) ?? '';
}

function sealedActor(actor: Record<string, unknown> | undefined): string {
  if (actor === undefined || actor['unattributed'] === true) return 'unattributed';
  const { user, role, effective, application, claims, pid } = actor;
  return canonicalize([user, role, effective, application ?? '', claims ?? null, pid]) ?? '';
}

interface Change {
  readonly table: string;
  readonly operation: string;
  readonly before?: Row;
  readonly after?: Row;
  readonly unsent?: readonly string[];
}

function changeKeys(coveredLater: boolean): (change: Change) => string {
  return (change) => {
    const { table, operation, before, after, unsent } = change;
    return `${table} ${operation} ${JSON.stringify([short(coveredLater ? firstMoments(change) : before), short(after), unsent ?? null])}`;
  };
}

/** Partitions of the sessions' own making. */
const youngTable = /^region_w/;

/** Until the capture covers a new partition its old rows are only their keys, or nothing where the key stayed. */
function firstMoments({ table, before, after }: Change): Row | undefined {
  if (before === undefined || !youngTable.test(table)) return before;
  const { id, area } = before;
  return after === undefined ? { id: id ?? null, area: area ?? null } : undefined;
}

/** In the order of names, long texts by their digest. */
function short(row: Row | undefined): unknown {
  if (row === undefined) return null;
  const names = Object.keys(row).sort();
  return names.map((name) => {
    const value = row[name] ?? null;
    return [name, value !== null && value.length > longText ? `${value.length}:${createHash('sha1').update(value).digest('hex')}` : value];
  });
}

function tableOf({ object }: SealedEntry): string {
  return object?.table ?? '';
}

function idOf({ before, after }: { before?: Row; after?: Row }): string {
  return before?.['id'] ?? after?.['id'] ?? '';
}

function lsnValue(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
