// Policies in the many ways that people write them, and what is said about each.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const claim = `current_setting('app.tenant', true)`;
const about = new Set(['claim-pattern', 'open-without-claims', 'null-matches', 'cast-cuts', 'client-claims', 'always-true']);

test.each<[condition: string, findings: readonly string[]]>([
  [`tenant = ${claim}`, []],
  [`tenant = (select nullif(${claim}, ''))`, []],
  [`tenant = any (string_to_array(${claim}, ','))`, []],
  [`tenant = current_setting('app.tenant')::text and id > 0`, []],
  [`lower(tenant) = lower(${claim})`, []],
  [`tenant like 'public%' or tenant = ${claim}`, []],
  [`tenant ilike ${claim}`, ['claim-pattern shown']],
  [`tenant ~ ('^' || ${claim})`, ['claim-pattern shown']],
  [`tenant similar to ${claim}`, ['claim-pattern shown']],
  [`starts_with(tenant, ${claim})`, ['claim-pattern']],
  [`${claim} is null or tenant = ${claim}`, ['open-without-claims shown']],
  [`coalesce(${claim}, '') = '' or tenant = ${claim}`, ['open-without-claims shown']],
  [`tenant = coalesce(nullif(${claim}, ''), tenant)`, ['open-without-claims shown']],
  [`tenant is null or tenant = ${claim}`, ['null-matches shown']],
  [`coalesce(tenant, '') = coalesce(${claim}, '')`, ['null-matches shown']],
  [`tenant is not distinct from nullif(${claim}, '')`, ['null-matches shown']],
  [`tenant = ${claim}::varchar(4)`, ['cast-cuts']],
  [`tenant = ${claim}::name::text`, ['cast-cuts']],
  [`id = ${claim}::numeric(6, 0)`, ['cast-cuts']],
  [`(current_setting('request.jwt.claims', true)::jsonb #>> '{user_metadata,org}') = tenant`, ['client-claims']],
  [`(current_setting('request.jwt.claims', true)::jsonb -> 'app_metadata' ->> 'org') = tenant`, []],
])('%s', async (condition, expected) => {
  const sql = `create table orders (id int, tenant text); insert into orders values (1, 'acme'), (2, 'globex'), (3, null);
    alter table orders enable row level security, force row level security; create policy p on orders to app using (${condition}); grant select on orders to app`;
  await withCase(postgres, sql, ({ findings }) => {
    const found = findings.filter(({ lint }) => about.has(lint));
    expect(found.map(({ lint, outcome }) => `${lint}${outcome?.result === 'Shown' ? ' shown' : ''}`)).toEqual(expected);
  });
});

test.each([
  ['an INSERT policy without CHECK, which denies', `create policy p on orders for insert`],
  ['UPDATE and ALL without CHECK, which reuse USING', `create policy p on orders for all using (tenant = ${claim}); create policy q on orders for update using (tenant = ${claim} and id > 0)`],
])('%s, lets nobody write what is not theirs', async (_what, policies) => {
  const sql = `create table orders (id int, tenant text not null); create table other (tenant text not null); alter table other enable row level security, force row level security;
    create policy o on other to app using (tenant = ${claim}); alter table orders enable row level security, force row level security; ${policies};
    grant select on other to app; grant select, insert, update on orders to public`;
  await withCase(postgres, sql, ({ findings }) => {
    expect(findings.filter(({ lint, severity }) => severity === 'error' || lint === 'public-writes' || lint === 'always-true')).toEqual([]);
  });
});
