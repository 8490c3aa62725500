// Every way rows change, on every supported server: nothing is left out, nothing is made up, in the order of the commits.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditSettings, connected, until } from '../parts/audited-database.ts';
import { type CapturedDatabase, startCaptured } from '../parts/captured.ts';
import type { CapturedEntry } from '../parts/memory-writer.ts';
import { supportedMajors } from '../parts/postgres.ts';

const tables = ['fence', 'keyed', 'indexed', 'nothing', 'keyless', 'whole', 'computed', 'parent', 'child', 'grandchild', 'parted', 'target', 'shifting', 'wide'];
const schema = `
  create table keyed (id int primary key, note text, big text); alter table keyed alter big set storage external;
  create table indexed (id int, code text not null, note text, big text not null); create unique index indexed_code on indexed (code); alter table indexed replica identity using index indexed_code;
  alter table indexed alter big set storage external;
  create table nothing (id int primary key, note text); alter table nothing replica identity nothing;
  create table keyless (a int, b text);
  create table whole (id int primary key, note text, big text); alter table whole alter big set storage external; alter table whole replica identity full;
  create table computed (id int primary key, price numeric, total numeric generated always as (price * 2) stored, name text);
  create table parent (id int primary key, note text);
  create table child (id int primary key, parent int references parent on delete cascade on update cascade);
  create table grandchild (id int primary key, child int references child on delete set null);
  create table parted (id int, region text, note text, primary key (id, region)) partition by list (region);
  create table parted_eu partition of parted for values in ('eu'); create table parted_us partition of parted for values in ('us') partition by range (id);
  create table parted_us_low partition of parted_us for values from (0) to (1000);
  create table target (id int primary key, n int, note text);
  create table shifting (id int primary key, a text, b text);
  create table wide (id int primary key, note text);`;

interface Change {
  readonly before?: Readonly<Record<string, string | null>>;
  readonly after?: Readonly<Record<string, string | null>>;
  readonly unsent?: readonly string[];
  readonly cascade?: boolean;
  readonly restartIdentity?: boolean;
}
const changeOf = (entry: CapturedEntry | undefined) => (entry?.['change'] ?? {}) as Change;
const objectOf = (entry: CapturedEntry) => entry['object'] as { table: string; key?: Readonly<Record<string, string>> };
const rowsOf = (entries: readonly CapturedEntry[]) => entries.filter((entry) => entry.type.startsWith('row.'));
const said = (entries: readonly CapturedEntry[]) =>
  rowsOf(entries).map((entry) => `${objectOf(entry).table} ${entry.type.slice(4)} ${JSON.stringify(objectOf(entry).key ?? null)}`);
const big = 'x'.repeat(5_000);

describe.each(supportedMajors)('completeness on PostgreSQL %s', (major) => {
  let captured: CapturedDatabase;
  const entriesOf: CapturedDatabase['entriesOf'] = (...statements) => captured.entriesOf(...statements);

  beforeAll(async () => {
    captured = await startCaptured({ major, schema, settings: auditSettings(tables, 'Keep'), serverSettings: ['max_prepared_transactions = 4', 'logical_decoding_work_mem = 64kB'] });
  });
  afterAll(async () => captured?.close());

  it('takes each replica identity for what it sends', async () => {
    const changes = (entries: readonly CapturedEntry[]) => rowsOf(entries).map((entry) => ({ key: objectOf(entry).key, before: changeOf(entry).before }));
    expect(changes(await entriesOf(`insert into keyed values (1, 'a')`, `update keyed set note = 'b'`, `update keyed set id = 2`, `delete from keyed`))).toEqual([
      { key: { id: '1' }, before: undefined },
      { key: { id: '1' }, before: undefined },
      { key: { id: '2' }, before: { id: '1' } },
      { key: { id: '2' }, before: { id: '2' } },
    ]);
    expect(changes(await entriesOf(`insert into indexed values (1, 'c', 'a', '')`, `update indexed set code = 'd'`, `delete from indexed`))).toEqual([
      { key: { code: 'c' }, before: undefined },
      { key: { code: 'd' }, before: { code: 'c' } },
      { key: { code: 'd' }, before: { code: 'd' } },
    ]);
    // Published with NOTHING an update would fail, and a table without a key has nothing else: both were made FULL.
    expect(changes(await entriesOf(`insert into nothing values (1, 'a')`, `update nothing set id = 2`, `delete from nothing`)).map(({ before }) => before)).toEqual([undefined, { id: '1', note: 'a' }, { id: '2', note: 'a' }]);
    expect(changes(await entriesOf(`insert into keyless values (1, 'a'), (1, 'a')`, `update keyless set b = null where ctid = '(0,1)'`, `delete from keyless`))).toEqual([
      { key: undefined, before: undefined },
      { key: undefined, before: undefined },
      { key: undefined, before: { a: '1', b: 'a' } },
      { key: undefined, before: { a: '1', b: 'a' } },
      { key: undefined, before: { a: '1', b: null } },
    ]);
  });

  it('never takes a value that was not sent for NULL', async () => {
    const update = async (table: string) => changeOf(rowsOf(await entriesOf(`insert into ${table} (id, note, big ${table === 'indexed' ? ', code' : ''}) values (9, 'a', '${big}' ${table === 'indexed' ? `, 'k'` : ''})`, `update ${table} set note = 'b' where id = 9`))[1]);
    expect(await update('keyed')).toEqual({ after: { id: '9', note: 'b' }, unsent: ['big'] });
    expect(await update('indexed')).toEqual({ after: { id: '9', code: 'k', note: 'b' }, unsent: ['big'] });
    expect(await update('whole')).toEqual({ before: { id: '9', note: 'a', big }, after: { id: '9', note: 'b', big } });
    expect(changeOf(rowsOf(await entriesOf(`update whole set big = big || 'y', note = null where id = 9`))[0])).toEqual({ before: { id: '9', note: 'b', big }, after: { id: '9', note: null, big: `${big}y` } });
    expect(changeOf(rowsOf(await entriesOf(`delete from whole where id = 9`))[0]).before).toEqual({ id: '9', note: null, big: `${big}y` });
  });

  it('takes stored generated columns where the server can send them', async () => {
    const [entry] = rowsOf(await entriesOf(`insert into computed (id, price, name) values (1, 1.50, 'a')`));
    expect(changeOf(entry).after).toEqual({ id: '1', price: '1.50', name: 'a', ...(major >= 18 ? { total: '3.00' } : {}) });
  });

  it('maps partitions, attached, detached, made in the transaction that fills them, and rows that move between them', async () => {
    expect(said(await entriesOf(`insert into parted values (1, 'eu', 'a'), (2, 'us', 'a')`, `update parted set region = 'us' where id = 1`, `update parted set region = 'eu' where region = 'us' and id = 2`))).toEqual([
      'parted_eu insert {"id":"1","region":"eu"}',
      'parted_us_low insert {"id":"2","region":"us"}',
      'parted_eu delete {"id":"1","region":"eu"}',
      'parted_us_low insert {"id":"1","region":"us"}',
      'parted_us_low delete {"id":"2","region":"us"}',
      'parted_eu insert {"id":"2","region":"eu"}',
    ]);
    const made = await entriesOf(
      'begin', `create table parted_asia partition of parted for values in ('asia')`, `insert into parted values (3, 'asia', 'x')`, 'commit',
      // Its columns are in another order, and one was dropped.
      `create table apart (note text, gone int, region text not null, id int not null, primary key (id, region)); alter table apart drop column gone`,
      `alter table parted attach partition apart for values in ('mars')`, `insert into parted values (4, 'mars', 'y')`,
      `alter table parted detach partition parted_asia`, `insert into parted values (5, 'mars', 'z')`,
    );
    expect(said(made)).toEqual(['parted_asia insert {"id":"3","region":"asia"}', 'apart insert {"id":"4","region":"mars"}', 'apart insert {"id":"5","region":"mars"}']);
    expect(changeOf(rowsOf(made)[1]).after).toEqual({ id: '4', region: 'mars', note: 'y' });
  });

  it('takes TRUNCATE of several tables, CASCADE and RESTART IDENTITY, of a root and of a leaf', async () => {
    const entries = rowsOf(await entriesOf(`truncate parent cascade`, `truncate keyed, target restart identity`, `truncate parted_eu`, `truncate parted`));
    const truncated = entries.map((entry) => ({ table: objectOf(entry).table, ...changeOf(entry) }));
    const of = (tables: readonly string[], cascade: boolean, restartIdentity: boolean) => tables.map((table) => ({ table, cascade, restartIdentity }));
    const first = truncated.slice(0, 3);
    expect(first.toSorted((a, b) => (a.table < b.table ? -1 : 1))).toEqual(of(['child', 'grandchild', 'parent'], true, false));
    expect(truncated.slice(3, 5)).toEqual(of(['keyed', 'target'], false, true));
    expect(truncated.slice(5, 6)).toEqual(of(['parted_eu'], false, false));
    expect(truncated.slice(6).map(({ table }) => table).toSorted()).toEqual(['apart', 'parted_eu', 'parted_us_low']);
  });

  it('takes COPY, MERGE, ON CONFLICT, data-modifying WITH and foreign-key cascades over levels', async () => {
    await entriesOf('truncate target');
    const merged = await entriesOf(
      `insert into target values (1, 1, 'old'), (2, 2, 'old')`,
      `merge into target t using (values (1, 10), (2, 20), (3, 30)) s(id, n) on t.id = s.id when matched and t.id = 1 then delete when matched then update set n = s.n when not matched then insert values (s.id, s.n, 'new')`,
      `insert into target values (2, 5, 'x'), (4, 4, 'x') on conflict (id) do update set n = excluded.n`,
      `with gone as (delete from target where id = 4 returning *) insert into target select id + 100, n, note from gone`,
    );
    expect(said(merged).slice(2)).toEqual([
      'target delete {"id":"1"}', 'target update {"id":"2"}', 'target insert {"id":"3"}', 'target update {"id":"2"}', 'target insert {"id":"4"}', 'target delete {"id":"4"}', 'target insert {"id":"104"}',
    ]);
    const cascaded = await entriesOf(`insert into parent values (1, 'p')`, `insert into child values (10, 1), (11, 1)`, `insert into grandchild values (100, 10)`, `update parent set id = 2`, `delete from parent`);
    expect(said(cascaded).slice(4).toSorted()).toEqual(
      ['parent update {"id":"2"}', 'child update {"id":"10"}', 'child update {"id":"11"}', 'parent delete {"id":"2"}', 'child delete {"id":"10"}', 'child delete {"id":"11"}', 'grandchild update {"id":"100"}'].toSorted(),
    );
    const copied = await captured.entriesAfter(async () => {
      await captured.admin.query(`create or replace function pg_temp.f() returns void language sql as ''`);
      await captured.admin.query(`do $$ begin execute 'copy target (id, n, note) from program ''printf "900\\t1\\tcopied\\n901\\t\\\\\\\\N\\tnull\\n"'''; end $$`);
    });
    expect(rowsOf(copied).map((entry) => changeOf(entry).after)).toEqual([{ id: '900', n: '1', note: 'copied' }, { id: '901', n: null, note: 'null' }]);
  });

  it('follows a table whose columns change between the rows, also within one transaction', async () => {
    const entries = await entriesOf(
      `insert into shifting values (1, 'a', 'b')`,
      'begin', `insert into shifting values (2, 'a', 'b')`, `alter table shifting drop column a`, `insert into shifting values (3, 'b')`, `alter table shifting rename b to c`, `alter table shifting add d int default 7`,
      `insert into shifting values (4, 'c')`, `alter table shifting alter d type text using d::text || '!'`, `update shifting set c = 'z' where id = 4`, 'commit',
    );
    // A changed type rewrites the table, which the server does not send: only the row that was updated then.
    expect(rowsOf(entries).map((entry) => changeOf(entry).after)).toEqual([{ id: '1', a: 'a', b: 'b' }, { id: '2', a: 'a', b: 'b' }, { id: '3', b: 'b' }, { id: '4', c: 'c', d: '7' }, { id: '4', c: 'z', d: '7!' }]);
    const types = entries.filter((entry) => entry.type === 'relation').map((entry) => (entry['relation'] as { columns: readonly { name: string; type: string }[] }).columns.map(({ name, type }) => `${name} ${type}`).join());
    expect(types).toEqual(['id int4,a text,b text', 'id int4,b text', 'id int4,c text,d int4', 'id int4,c text,d text']);
  });

  it('leaves out what was rolled back: subtransactions, transactions, prepared transactions; and takes those that commit at their commit', async () => {
    const entries = await entriesOf(
      'begin', `insert into wide values (1, 'kept')`, 'savepoint a', `insert into wide values (2, 'lost')`, 'savepoint b', `insert into wide values (3, 'lost')`, 'release b', 'rollback to a', `insert into wide values (4, 'kept')`, 'commit',
      'begin', `insert into wide values (5, 'lost')`, 'rollback',
      'begin', `insert into wide values (6, 'lost')`, `prepare transaction 'one'`, `rollback prepared 'one'`,
      'begin', `insert into wide values (7, 'kept')`, `prepare transaction 'two'`, `insert into wide values (8, 'kept')`, `commit prepared 'two'`,
    );
    expect(said(entries).map((line) => line.slice(12))).toEqual(['{"id":"1"}', '{"id":"4"}', '{"id":"8"}', '{"id":"7"}']);
  });

  it('takes a transaction that the server spilled, with a rolled-back part, in one piece', async () => {
    const entries = await entriesOf(
      'begin', `insert into wide select n, repeat('x', 50) from generate_series(1000, 3999) n`, 'savepoint a', `insert into wide select n, 'lost' from generate_series(4000, 5999) n`, 'rollback to a', `update wide set note = 'y' where id = 1000`, 'commit',
    );
    const rows = rowsOf(entries);
    expect(rows.map((entry) => (entry['source'] as { seq: number }).seq)).toEqual(Array.from({ length: 3001 }, (_, index) => index + 1));
    expect(new Set(rows.map((entry) => (entry['source'] as { xid: number }).xid)).size).toBe(1);
  });

  it('keeps a value that no entry can hold as a blob, whole', async () => {
    const entries = await entriesOf(`insert into wide select -1, string_agg(md5(n::text), '') from generate_series(1, 20000) n`);
    const { blob } = (entries.find((entry) => entry.type === 'row.insert')?.['change'] ?? {}) as { blob?: string };
    const stored = captured.writer.batches.flatMap((batch) => batch.blobs ?? []).find((bytes) => bytes.length > 600_000);
    expect(blob).toMatch(/^sha256:[0-9a-f]{64}$/);
    const { rows } = await captured.admin.query<{ note: string }>('select note from wide where id = -1');
    expect(JSON.parse(Buffer.from(stored ?? []).toString())).toEqual({ after: { id: '-1', note: rows[0]?.note } });
  });

  it('keeps the order of the commits, not of the statements', async () => {
    const other = await connected(captured.server.uri('captured'));
    const entries = await captured.entriesAfter(async () => {
      await captured.admin.query('begin');
      await captured.admin.query(`insert into target values (5000, 1, 'first statement')`);
      await other.query(`insert into target values (5001, 1, 'first commit')`);
      await captured.admin.query('commit');
    });
    await other.end();
    expect(said(entries)).toEqual(['target insert {"id":"5001"}', 'target insert {"id":"5000"}']);
    await until('a sealed position', async () => (await captured.run.status(AbortSignal.timeout(5_000))).lastPosition !== '');
  });
});
