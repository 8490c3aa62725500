// What each kind of witness does, and when its leak counts as shown. Counts only: no value of a row leaves the server.
import type { TableName } from '../../policy/table-name.ts';
import type { Shown, Witness } from '../../policy/witness.ts';
import { errorCodeOf } from './database-error.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { existenceTold } from './witness-existence.ts';
import { oidOf } from './witness-size.ts';
import { writesOpenly } from './witness-write.ts';

/** Enough to show a leak, few enough for any table. */
const mostRows = 1000;

/** `become` turns the connection into the role; what needs the catalog is looked up before. */
export async function actOut(query: RunQuery, witness: Witness, become: () => Promise<void>): Promise<Shown> {
  const act = `${witness.role} reads`;
  switch (witness.kind) {
    case 'ReadsRows':
      await readOnlyAs(query, become);
      return moreThan({ act, found: await countIn(query, quoteTable(witness.relation)), allowed: 0 });
    case 'ReadsPastPolicies':
      return readsPastPolicies(query, witness.relation, become);
    case 'ReadsPastRoot':
      await readOnlyAs(query, become);
      return moreThan({
        act,
        found: await countIn(query, quoteTable(witness.relation)),
        allowed: await tryCount(query, sameRowsOfRoot(witness.relation, witness.through)),
        against: 'through its root',
      });
    case 'ViewReadsMore':
      return viewReadsMore(query, witness.view, { role: witness.role, become });
    case 'WritesUnseen':
      await become();
      return moreThan({ act: `${witness.role} reaches`, found: await reached(query, witness), allowed: await tryCount(query, quoteTable(witness.table)), against: 'that it sees' });
    case 'Cascades':
      await become();
      return moreThan({ act: `${witness.set === undefined ? 'deleting from' : 'updating'} ${witness.from.table}, ${witness.role} changes`, found: await cascaded(query, witness), allowed: await tryCount(query, quoteTable(witness.into)), against: 'that it sees' });
    case 'PeeksBehindView':
      await become();
      return peeksBehindView(query, witness.view, witness.role);
    case 'WritesOpenly':
      await become();
      return writesOpenly(query, witness);
    case 'CallReadsMore':
      await readOnlyAs(query, become);
      return moreThan({
        act: `calling ${witness.call.name}, ${witness.role} gets`,
        found: await countIn(query, `${quoteName(witness.call.schema)}.${quoteName(witness.call.name)}()`),
        allowed: await tryCount(query, quoteTable(witness.table)),
        against: 'that it sees in the table',
      });
    case 'ExistenceTold':
      await become();
      return existenceTold(query, witness);
    case 'Truncates':
      await become();
      await query(`truncate table ${quoteTable(witness.table)}${witness.cascade ? ' cascade' : ''}`);
      return { result: 'Shown', detail: `${witness.role} emptied the table; it was rolled back` };
  }
}

async function readOnlyAs(query: RunQuery, become: () => Promise<void>): Promise<void> {
  await query('set transaction read only');
  await become();
}

/** With row_security off, PostgreSQL answers with an error wherever a policy would have been asked. */
async function readsPastPolicies(query: RunQuery, relation: TableName, become: () => Promise<void>): Promise<Shown> {
  await query('set local row_security = off');
  await readOnlyAs(query, become);
  try {
    const rows = await countIn(query, quoteTable(relation));
    return { result: 'Shown', detail: `no policy was asked; ${counted(rows)} can be read` };
  } catch (error) {
    if (errorCodeOf(error) !== '42501') throw error;
    return { result: 'NotShown', detail: 'a policy was asked, or the right to read is missing' };
  }
}

/** The view against its own query under the role's own rights: what differs, the view lent. */
async function viewReadsMore(query: RunQuery, view: TableName, { role, become }: { readonly role: string; readonly become: () => Promise<void> }): Promise<Shown> {
  const [row] = await query<{ definition: string }>(`select pg_get_viewdef(${oidOf(view)}) as definition`);
  const own = `(${(row?.definition ?? '').trim().replace(/;$/, '')})`;
  await readOnlyAs(query, become);
  const through = await countIn(query, quoteTable(view));
  const direct = await tryCount(query, own);
  const counts = moreThan({ act: `${role} reads`, found: through, allowed: direct, against: 'with its own rights' });
  if (through > direct || through === 0 || through >= mostRows) return counts;
  // As many rows, but an aggregate of other ones? A query that answers itself differently each time proves nothing.
  const [first, again] = [await contentOf(query, quoteTable(view)), await contentOf(query, quoteTable(view))];
  const differs = first === again && first !== (await contentOf(query, own).catch(() => first));
  return differs ? { result: 'Shown', detail: `${role} reads other values than with its own rights` } : counts;
}

async function contentOf(query: RunQuery, source: string): Promise<string> {
  const [row] = await query<{ digest: string | null }>(`select md5(string_agg(md5(x::text), ',' order by md5(x::text))) as digest from ${source} x`);
  return row?.digest ?? '';
}

/** Rows of the root that are stored in the relation or below it. */
function sameRowsOfRoot(relation: TableName, root: TableName): string {
  return `(select 1 from ${quoteTable(root)} r where r.tableoid in (with recursive t as (
      select ${oidOf(relation)} as oid union all select i.inhrelid from pg_inherits i join t on i.inhparent = t.oid) select t.oid from t))`;
}

/** How many rows a write without WHERE reaches. RETURNING, or a column that is read, would bring in the SELECT policies, so PL/pgSQL counts. */
async function reached(query: RunQuery, act: Extract<Witness, { kind: 'WritesUnseen' }>): Promise<number> {
  const table = quoteTable(act.table);
  const write = act.command === 'Delete' ? `delete from ${table}` : `update ${table} set ${quoteName(act.column)} = null`;
  await query('savepoint write');
  const body = `declare n bigint; begin ${write}; get diagnostics n = row_count; perform set_config('rowseal.reached', n::text, false); end`;
  await query(`do ${quoteLiteral(body)}`);
  const [row] = await query<{ reached: string }>(`select current_setting('rowseal.reached') as reached`);
  await query('rollback to savepoint write');
  return Number(row?.reached ?? 0);
}

/** Rows that foreign keys, rules or triggers changed in the other table, which the statistics of the running transaction count for everybody. */
async function cascaded(query: RunQuery, { from, into, set }: Extract<Witness, { kind: 'Cascades' }>): Promise<number> {
  const before = await changesOf(query, into);
  await query('savepoint write');
  await query(set === undefined ? `delete from ${quoteTable(from)}` : `update ${quoteTable(from)} set ${quoteName(set)} = ${quoteName(set)}`);
  const after = await changesOf(query, into);
  await query('rollback to savepoint write');
  return after - before;
}

/** What earlier transactions of the connection changed and rolled back is still counted, so only a difference says something. */
async function changesOf(query: RunQuery, table: TableName): Promise<number> {
  const [row] = await query<{ rows: number }>(
    `select (pg_stat_get_xact_tuples_deleted(t.oid) + pg_stat_get_xact_tuples_updated(t.oid))::int as rows from (select ${oidOf(table)} as oid) t`,
  );
  return row?.rows ?? 0;
}

/** A function so cheap that the planner runs it first; it only counts how often it was called. */
async function peeksBehindView(query: RunQuery, view: TableName, role: string): Promise<Shown> {
  await query(`select set_config('rowseal.peeked', '0', false)`);
  const body = `begin perform set_config('rowseal.peeked', (current_setting('rowseal.peeked')::int + 1)::text, false); return true; end`;
  await query(`create function pg_temp.rowseal_peek(anyelement) returns boolean language plpgsql cost 0.0000001 as ${quoteLiteral(body)}`);
  const shown = await countIn(query, `(select v.* from ${quoteTable(view)} v where pg_temp.rowseal_peek(v) offset 0)`);
  const [row] = await query<{ peeked: number }>(`select current_setting('rowseal.peeked')::int as peeked`);
  return moreThan({ act: `a function of ${role} is handed`, found: row?.peeked ?? 0, allowed: shown, against: 'that the view returns' });
}

/** Zero where the role may not read it, or where its policies fail without claims. */
async function tryCount(query: RunQuery, source: string): Promise<number> {
  await query('savepoint counting');
  try {
    return await countIn(query, source);
  } catch (error) {
    if (errorCodeOf(error) === undefined || errorCodeOf(error) === '57014') throw error;
    await query('rollback to savepoint counting');
    return 0;
  }
}

async function countIn(query: RunQuery, source: string): Promise<number> {
  const [row] = await query<{ count: number }>(`select count(*)::int as count from (select 1 from ${source} as source limit ${mostRows}) as counted`);
  return row?.count ?? 0;
}

interface Comparison {
  /** `app reads`. */
  readonly act: string;
  readonly found: number;
  readonly allowed: number;
  /** What the allowed ones are: `with its own rights`. */
  readonly against?: string;
}

function moreThan({ act, found, allowed, against }: Comparison): Shown {
  const rest = against === undefined ? '' : `, ${allowed === 0 ? 'none' : counted(allowed)} ${against}`;
  return { result: found > allowed ? 'Shown' : 'NotShown', detail: found === 0 ? `there is no row now that ${act}` : `${act} ${counted(found)}${rest}` };
}

function counted(rows: number): string {
  return rows >= mostRows ? `${mostRows} rows or more` : `${rows} ${rows === 1 ? 'row' : 'rows'}`;
}
