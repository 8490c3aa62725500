// Every construct that a `sql` predicate may not hold is refused by name; ordinary conditions pass.
import { describe, expect, test } from 'vitest';
import { checkSqlPredicate, namesOutside } from '../../src/adapters/postgres/sql-predicate.ts';

const admitted = [
  'tenant_id = 1',
  "tenant_id = (select current_setting('request.jwt.claims', true)::jsonb ->> 'tenant_id')::uuid",
  "owner = current_user and created > now() - interval '1 day'",
  'id = any (array(select m.id from public.members m where m.user_id = 7))',
  'exists (select * from public.members m where m.id = id and m.kind is not distinct from kind)',
  "lower(name) like 'a%' -- a remark",
  "case when a then coalesce(b, c) else greatest(d, e) > 1 end",
  'id in (1, 2, 3) or not deleted',
  "pg_catalog.lower(name) operator(pg_catalog.=) 'x'",
  "(with mine as (select 1 as id) select count(*) > 0 from mine)",
  "extract(year from created) = 2026 and created at time zone 'UTC' > '2020-01-01'",
  'true',
];

const refused: readonly (readonly [string, RegExp])[] = [
  ["set_config('role', 'none', true) is not null", /set_config/],
  ["pg_catalog.set_config('role', 'none', true) is not null", /set_config/],
  ["(select set_config('role', 'none', true)) is not null", /set_config/],
  ['exists (select 1 from public.t order by set_config(a, b, true))', /set_config/],
  ["query_to_xml('select 1', true, true, '') is not null", /query_to_xml/],
  ["dblink('x', 'y') is not null", /dblink/],
  ["dblink_connect_u('x') = 'OK'", /dblink_connect_u/],
  ['lo_import(a) > 0', /lo_import/],
  ['lo_get(1) is null', /lo_get/],
  ["pg_logical_emit_message(true, 'a', 'b') is not null", /pg_logical_emit_message/],
  ["pg_read_file('/etc/passwd') is null", /pg_read_file/],
  ['pg_sleep(1) is null', /pg_sleep/],
  ["currval('s') = 1", /currval/],
  ["nextval('s') = 1", /nextval/],
  ['random() < 0.5', /random/],
  ['clock_timestamp() > created', /clock_timestamp/],
  ['pg_advisory_lock(1) is null', /pg_advisory_lock/],
  ['pg_terminate_backend(1)', /pg_terminate_backend/],
  ['auth.uid() = id', /auth\.uid/],
  ['public.lower(a) = b', /public\.lower/],
  ['a operator(public.=) b', /public/],
  ['a = any (select b from public.t order by 1 using operator(public.<))', /public/],
  ["a = 'x'::public.mood", /public\.mood/],
  ["'pg_class'::regclass = a", /regclass/],
  ['a = $1', /\$1/],
  ['xmlparse(document a) is null', /XML/],
  ['exists (select 1 from members)', /schema/],
  ['exists (select 1 from other.public.members)', /database/],
  ['exists (select 1 into x union select 2)', /INTO/],
  ['exists ((select 1 from public.t for share) union select 2)', /FOR UPDATE/],
  ['exists (select 1 union select pg_sleep(1))', /pg_sleep/],
  ["exists (with recursive x as (select 1) select 1 union select 2)", /RECURSIVE/],
  ['exists (select 1 from public.t for update)', /FOR UPDATE/],
  ['exists (with x as (delete from public.t returning *) select 1 from x)', /select|DELETE/],
  ['exists (with recursive x as (select 1 union all select 1 from x) select 1 from x)', /RECURSIVE/],
  ['exists (select 1 from public.t tablesample system (1))', /TABLESAMPLE/],
  ["exists (select 1 from lateral pg_ls_dir('.') d)", /pg_ls_dir/],
  ['true; drop table public.t', /statement|expression/],
  ['true;', /statement|expression/],
  ['true) or (true', /expression/],
  ['true) ; drop table t; select (true', /expression/],
  ['true /*', /expression/],
  ['true as x', /alias/],
  ['true x', /alias/],
  ['true, false', /one expression/],
  ['true from public.t', /fromClause/],
  ['true union select false', /op|set operation|goes on/],
  ['true into public.t', /intoClause/],
  ['true where false', /whereClause/],
  ['true limit 1', /limit/],
  ['distinct true', /distinctClause/],
  ['all true', /expression/],
  ['*', /\*|expression/],
  ['', /expression/],
  ['select 1', /expression/],
  ['true\0; drop table t', /NUL/],
  ["a = '\ud800'", /broken/],
  [`${'(' .repeat(2100)}true${')'.repeat(2100)}`, /longer/],
];

describe('sql predicate', () => {
  test('admits by whole name what a grant lists, and nothing that looks like it', async () => {
    const text = `auth.uid() = id and state = 'x'::public.mood`;
    await expect(checkSqlPredicate(text)).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringContaining('auth.uid') });
    await expect(checkSqlPredicate(text, ['auth.uid'])).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringContaining('public.mood') });
    await expect(checkSqlPredicate(text, ['auth.uid', 'public.mood'])).resolves.toBeUndefined();
    expect(await namesOutside(text)).toEqual(['auth.uid', 'public.mood']);
    for (const other of [`uid() = id`, `auth.uid2() = id`, `pg_catalog.set_config('role', 'none', true) = 'x'`, `a.auth.uid() = id`]) {
      await expect(checkSqlPredicate(other, ['auth.uid', 'pg_catalog.set_config', 'uid', 'set_config', 'a.auth.uid'])).rejects.toMatchObject({ code: 'BadPredicate' });
    }
  });

  test.each(admitted)('admits %s', async (text) => {
    await expect(checkSqlPredicate(text)).resolves.toBeUndefined();
  });

  test.each(refused)('refuses %s', async (text, named) => {
    await expect(checkSqlPredicate(text)).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringMatching(named) });
  });

  test('survives the deepest nesting that fits', async () => {
    await expect(checkSqlPredicate(`${'('.repeat(2040)}true${')'.repeat(2040)}`)).resolves.toBeUndefined();
    await expect(checkSqlPredicate(`${'not '.repeat(1020)}true`)).resolves.toBeUndefined();
    await expect(checkSqlPredicate('true')).resolves.toBeUndefined();
  });
});
