// An independent witness of the order of commits: a slot of PostgreSQL's own test_decoding, which shares nothing with our decoder.
import type pg from 'pg';
import type { Refereed, Said } from './judge.ts';
import type { ExpectedChange } from './script.ts';

const slot = 'referee';

export async function createReferee(admin: pg.Client): Promise<void> {
  await admin.query(`select pg_create_logical_replication_slot('${slot}', 'test_decoding')`);
}

/** Every change of the audited tables since the last call, in the order of the commits. */
export async function takeRefereed(admin: pg.Client, audited: ReadonlySet<string>): Promise<readonly Refereed[]> {
  const { rows } = await admin.query<{ xid: string; line: string }>(
    `select xid::text as xid, left(data, 300) as line from pg_logical_slot_get_changes('${slot}', null, null, 'skip-empty-xacts', 'on')`,
  );
  // Where the slot stands is on disk only after a checkpoint: a crash would give the same again.
  await admin.query('checkpoint');
  return rows.flatMap(({ xid, line }) => parseLine(Number(xid), line)).filter(({ table }) => audited.has(table) || table.startsWith('region_'));
}

/** What sessions said, which is then forgotten. */
export async function takeSaid(admin: pg.Client): Promise<readonly Said[]> {
  const { rows } = await admin.query<{ xid: string; pid: number; expected: readonly ExpectedChange[] }>(
    `with taken as (delete from oracle returning xid, pid, expected) select xid::text as xid, pid, expected from taken`,
  );
  return rows.map(({ xid, pid, expected }) => ({ xid: Number(BigInt(xid) & 0xffff_ffffn), pid, expected }));
}

/** `table public.a: INSERT: id[bigint]:1 …`, `table public.a, public.b: TRUNCATE: …`; with FULL identity an update's old row comes first. */
function parseLine(xid: number, line: string): Refereed[] {
  const [, names, operation] = /^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE):/s.exec(line) ?? [];
  if (names === undefined || operation === undefined) return [];
  const id = operation === 'TRUNCATE' ? '' : (/ id\[bigint\]:(-?\d+)/.exec(line)?.[1] ?? '');
  return names.split(', ').map((name) => ({ xid, table: name.replace(/^public\./, ''), operation: operation.toLowerCase(), id }));
}
