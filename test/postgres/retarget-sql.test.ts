// Expressions moved onto copies: only what names a copied table changes, everything else stays byte for byte.
import { expect, test } from 'vitest';
import { retargetSql, tablesOfSql } from '../../src/adapters/postgres/retarget-sql.ts';

const copied = new Set(['public.orders', 'public.members', 'Göt.a.b"c']);
const retarget = (text: string) => retargetSql(text, { claims: 'CLAIMS', schemaFor: ({ schema, table }) => (copied.has(`${schema}.${table}`) ? 'pg_temp' : undefined) });

test.each([
  ['tenant = 1', 'tenant = 1'],
  ['exists (select from public.members m where m.id = orders.id)', 'exists (select from "pg_temp".members m where m.id = orders.id)'],
  ['id in (select public.members.id from only public . members)', 'id in (select "pg_temp".members.id from only "pg_temp" . members)'],
  [`'public.members' <> "public.members" -- from public.members\n and é in (select 1 from "Göt"."a.b""c")`, `'public.members' <> "public.members" -- from public.members\n and é in (select 1 from "pg_temp"."a.b""c")`],
  ['exists (select from other.members join PUBLIC.orders using (id))', 'exists (select from other.members join "pg_temp".orders using (id))'],
  ['exists (with members as (select 1) select from members)', 'exists (with members as (select 1) select from members)'],
  [`x = (rowseal.signed_claims('rowseal.token'::text, 'Transaction'::text) ->> 'sub')`, `x = (CLAIMS ->> 'sub')`],
  [`jsonb_build_object('role', CURRENT_USER, 'session_user', (SESSION_USER)::text)`, `jsonb_build_object('role', CURRENT_USER, 'session_user', (current_user)::text)`],
  ['this is no expression (', 'this is no expression ('],
  ['public.orders.tenant = 1 or exists (select from "public".members)', '"pg_temp".orders.tenant = 1 or exists (select from "pg_temp".members)'],
])('%s', async (text, moved) => {
  expect(await retarget(text)).toBe(moved);
});

test('tables are found once each, however deep', async () => {
  const text = `exists (select from a.b where exists (select from (select 1 from c."D" union select 2 from a.b) x)) and rowseal.signed_claims('a', 'b') is null`;
  expect(await tablesOfSql(text)).toEqual([{ schema: 'a', table: 'b' }, { schema: 'c', table: 'D' }]);
});
