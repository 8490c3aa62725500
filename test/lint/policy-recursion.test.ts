// What the lint says of policies that read each other, against what PostgreSQL does.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const tables = `create table a (x int); create table b (x int); create table c (x int); grant all on a, b, c to app;
  alter table a enable row level security; alter table b enable row level security;`;

test.each<[what: string, policies: string, statement: string, recurses: boolean]>([
  ['itself', 'create policy p on a using (exists (select from a z where z.x = 1))', 'select from a', true],
  ['each other', 'create policy p on a using (exists (select from b)); create policy q on b using (exists (select from a))', 'select from a', true],
  ['one way', 'create policy p on a using (exists (select from b)); create policy q on b using (x > 0)', 'select from a', false],
  ['an INSERT that reads its plainly readable table', 'create policy p on a for select using (x > 0); create policy q on a for insert with check (exists (select from a z where z.x = 1))', 'insert into a values (1)', false],
  ['an INSERT that reads its table, whose readers look elsewhere', 'create policy p on a for select using (exists (select from c)); create policy q on a for insert with check (exists (select from a z where z.x = 1))', 'insert into a values (1)', true],
  ['an UPDATE that compares with its own row, beside readers in a sub-query of no table', 'create policy p on a for select using ((select current_user) is not null); create policy q on a for update using (true) with check (x = (select z.x from a z where z.x = a.x))', 'update a set x = 2', true],
  ['an UPDATE policy that reads its table', 'create policy p on a for select using (true); create policy q on a for update using (exists (select from a z where z.x = 1))', 'update a set x = 2', false],
])('%s', async (_what, policies, statement, recurses) => {
  await withCase(postgres, `${tables} ${policies}`, async ({ target, findings }) => {
    const app = new pg.Client({ connectionString: postgres.uri(target.database) });
    await app.connect();
    try {
      await app.query('set role app');
      const code = await app.query(statement).then(
        () => undefined,
        (error: unknown) => (error instanceof pg.DatabaseError ? error.code : 'lost'),
      );
      expect(code === '42P17').toBe(recurses);
    } finally {
      await app.end();
    }
    expect(findings.some(({ lint }) => lint === 'policy-recursion')).toBe(recurses);
  });
});
