// Why unusable-index is reported: what PostgreSQL's planner does with an index under row security.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';

let postgres: Postgres;
let app: pg.Client;
beforeAll(async () => {
  postgres = await startPostgres();
  const admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query(`create role app login; create type state as enum ('open', 'paid');
    create table orders (id int, tenant text not null, state state, price numeric, plain int, note text);
    insert into orders select n, 't' || n % 100, case when n % 2000 = 0 then 'paid' else 'open' end::state, n, n, 'n' || n from generate_series(1, 20000) n;
    create index on orders (state); create index on orders (price); create index on orders (plain); create index on orders (lower(note)); create index by_tenant on orders (tenant);
    alter table orders enable row level security; create policy p on orders to app using (tenant = (select current_setting('app.tenant', true)));
    grant select on orders to app; analyze orders`);
  await admin.end();
  app = new pg.Client({ connectionString: postgres.uri() });
  await app.connect();
  // Without the policy's own index, so that only the question of the test is open.
  await app.query(`begin; drop index by_tenant; set local role app; set local "app.tenant" = 't0'`);
});
afterAll(async () => {
  await app?.end();
  await postgres?.stop();
});

async function usesIndex(where: string): Promise<boolean> {
  const { rows } = await app.query<{ 'QUERY PLAN': string }>(`explain select * from orders where ${where}`);
  return rows.some((row) => /Index/.test(row['QUERY PLAN']));
}

test.each([
  [`plain = 7`, true],
  [`price = 7`, false],
  [`state = 'paid'`, false],
  [`lower(note) = 'n7'`, false],
])('%s', async (where, used) => {
  expect(await usesIndex(where)).toBe(used);
});
