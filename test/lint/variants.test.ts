// The same leaks in other clothes, and look-alikes that leak nothing: what is found, and what must not be.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const tenant = `tenant_id = current_setting('app.tenant_id', true)`;
const orders = `create table orders (id int, tenant_id text, note text); insert into orders values (1, 'acme'), (2, 'globex');
  alter table orders enable row level security, force row level security; create policy tenant on orders to app, web using (${tenant}); create policy owner on orders to owner using (true);`;
const roles = `reset role; create role web login; set role owner;`;
const parted = `create table orders (id int, tenant_id text, made date) partition by range (made);
  create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01') partition by range (made);
  create table orders_2026_01 partition of orders_2026 for values from ('2026-01-01') to ('2026-02-01');
  insert into orders values (1, 'acme', '2026-01-02'), (2, 'globex', '2026-01-02');
  alter table orders enable row level security, force row level security; create policy tenant on orders to app using (${tenant});`;

/** What is found, as `lint object result`, of the lints named. */
async function found(sql: string, lints: readonly string[]): Promise<readonly string[]> {
  return withCase(postgres, `${roles} ${sql}`, ({ findings }) =>
    findings.filter((finding) => lints.includes(finding.lint)).map(({ lint, object, severity, outcome }) => `${severity} ${lint} ${object} ${outcome?.result ?? ''}`.trim()),
  );
}

const views = ['definer-view', 'materialized-view', 'partition-direct', 'view-without-barrier'];

test.each([
  ['a view over a view, where only the outer one is granted', `${orders} create view inner_v as select * from orders; create view outer_v as select * from inner_v; grant select on outer_v to app`, ['error definer-view public.inner_v']],
  ['a security_invoker view over a definer view', `${orders} create view inner_v as select * from orders; create view outer_v with (security_invoker) as select * from inner_v; grant select on inner_v, outer_v to app`, ['error definer-view public.inner_v Shown']],
  ['a security_invoker view over a definer view that the role may not read', `${orders} create view inner_v as select * from orders; create view outer_v with (security_invoker) as select * from inner_v; grant select on outer_v to app`, []],
  ['a view of a superuser over a forced table', `${orders} reset role; create view v as select * from orders; grant select on v to app`, ['error definer-view public.v Shown']],
  ['a view that is only for writing', `${orders} create view v as select * from orders; grant update on v to app`, ['error definer-view public.v']],
  ['an aggregate', `${orders} create view v as select count(*) from orders; grant select on v, orders to app`, ['error definer-view public.v Shown']],
  ['a view whose owner is held back as its reader is', `create table orders (id int, tenant_id text); alter table orders enable row level security, force row level security; create policy tenant on orders using (${tenant}); create view v as select * from orders; grant select on v to app`, []],
  ['an interface of views whose owner is held back by the session', `create table orders (id int, tenant_id text); alter table orders enable row level security; reset role; create role api; create policy tenant on orders to api using (${tenant}); grant select on orders to api; create schema api authorization api; set role api; create view api.orders as select * from public.orders; grant usage on schema api to app; grant select on api.orders to app`, []],
  ['a view in a schema that the probe may not use', `${orders} create schema api; grant usage on schema api to app; create view api.v as select * from orders; grant select on api.v to app`, ['error definer-view api.v Shown']],
  ['a view in a schema that the role may not use', `${orders} create schema closed; create view closed.v as select * from orders; grant select on closed.v to app`, []],
  ['a view granted to PUBLIC', `${orders} create view v as select * from orders; grant select on v to public`, ['error definer-view public.v Shown']],
  ['a view granted to a group', `${orders} reset role; create role everybody; grant everybody to app; set role owner; create view v as select * from orders; grant select on v to everybody`, ['error definer-view public.v Shown']],
  ['a view of a table that everybody may read', `${orders} create policy reading on orders for select using (true); create view v as select * from orders; grant select on v, orders to app`, []],
  ['a view over a partition', `${parted} create view v as select * from orders_2026_01; grant select on v, orders to app`, ['error definer-view public.v Shown']],
  ['names that need quoting', `create table "Or""ders; --" ("id" int, tenant_id text); insert into "Or""ders; --" values (1, 'acme'); alter table "Or""ders; --" enable row level security, force row level security; create policy "p;" on "Or""ders; --" to app using (${tenant}); create policy o on "Or""ders; --" to owner using (true); create view "V '; drop" as select * from "Or""ders; --"; grant select on "V '; drop" to app`, [`error definer-view public.V '; drop Shown`]],
  ['a leaf of a leaf', `${parted} grant select on all tables in schema public to app`, ['error partition-direct public.orders_2026 Shown', 'error partition-direct public.orders_2026_01 Shown']],
  ['one column of a leaf', `${parted} grant select (id) on orders_2026_01 to app; grant select on orders to app`, ['error partition-direct public.orders_2026_01 Shown']],
  ['an inheritance child', `create table orders (id int, tenant_id text); create table archive () inherits (orders); insert into archive values (1, 'acme'); alter table orders enable row level security, force row level security; create policy tenant on orders to app using (${tenant}); grant select on orders, archive to app`, ['error partition-direct public.archive Shown']],
  ['a partition of an open table', `create table orders (id int, made date) partition by range (made); create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01'); grant select on orders_2026 to app`, []],
  ['a partition where the application is the owner', parted, ['error partition-direct public.orders_2026 Shown', 'error partition-direct public.orders_2026_01 Shown']],
  ['a partition that is only written to, past a check', `${parted} grant insert on orders_2026_01 to app; grant select on orders to app`, ['error partition-direct public.orders_2026_01']],
  ['a materialised view under a view', `${orders} create materialized view m as select * from orders; create view v as select * from m; grant select on v to app`, ['error materialized-view public.m']],
  ['a materialised view over a view over a table', `${orders} create view v as select * from orders; create materialized view m as select * from v; grant select on m to app`, ['error materialized-view public.m Shown']],
  ['a materialised view that nobody may read', `${orders} create materialized view m as select * from orders`, []],
  ['a view that filters, with a barrier', `${orders} create view v with (security_barrier) as select * from orders where ${tenant}; grant select on v to app`, ['warning definer-view public.v NotShown']],
  ['a view that filters, of a table that the role may read anyway', `create table codes (id int); create view v as select * from codes where current_user = 'app'; grant select on codes, v to app`, []],
  ['a view that filters by the row only', `create table codes (id int); create view v as select * from codes where id > 0; grant select on v to app`, []],
])('%s', async (_name, sql, expected) => {
  expect(await found(sql, views)).toEqual(expected);
});

const others = ['owner-without-force', 'set-role-path', 'weak-write-policy', 'cascade-into-guarded', 'truncate-granted', 'bypassing-role', 'unprotected-table', 'policies-without-row-security', 'unique-oracle', 'foreign-key-oracle'];
const plain = (more: string) => `create table orders (id int, tenant_id text, note text); insert into orders values (1, 'acme'), (2, 'globex'); alter table orders enable row level security, force row level security; ${more}`;

test.each([
  ['a member that inherits from the owner', `create table orders (id int, tenant_id text); alter table orders enable row level security; create policy tenant on orders using (${tenant}); grant select on orders to web; reset role; grant owner to app`, ['error owner-without-force public.orders Shown']],
  ['an owner that others work for', `create table orders (id int, tenant_id text); alter table orders enable row level security; create policy tenant on orders using (${tenant}); grant select on orders to app`, ['warning owner-without-force public.orders Shown']],
  ['a superuser as owner', `reset role; create table orders (id int, tenant_id text); alter table orders enable row level security; create policy tenant on orders using (${tenant}); grant select on orders to app`, []],
  ['a superuser that was granted what it needs not', `${orders} reset role; create role boss superuser login; grant select on orders to boss`, ['error bypassing-role role boss']],
  ['a superuser that logs in', `${orders} reset role; create role boss superuser login`, ['info bypassing-role role boss']],
  ['BYPASSRLS, granted through a group', `${orders} reset role; create role readers; grant select on orders to readers; create role boss bypassrls login in role readers`, ['warning bypassing-role role boss']],
  ['BYPASSRLS for dumps', `${orders} reset role; create role dumps bypassrls login`, []],
  ['a chain of roles to BYPASSRLS', `${orders} grant select on orders to app; reset role; create role middle; create role top bypassrls; grant top to middle; grant middle to app`, ['error set-role-path role app', 'warning set-role-path role middle']],
  ['NOINHERIT is no fence', `create table orders (id int, tenant_id text); alter table orders enable row level security; create policy tenant on orders using (${tenant}); grant select on orders to app; reset role; grant owner to app with inherit false`, ['error set-role-path role app', 'warning owner-without-force public.orders Shown']],
  ['without SET there is no path', `${orders} grant select on orders to app; reset role; create role top bypassrls; grant top to app with set false, inherit false`, []],
  ['DELETE for everybody', plain(`create policy reading on orders for select using (${tenant}); create policy removing on orders for delete using (true); grant select, delete on orders to app`), ['error weak-write-policy public.orders Shown']],
  ['DELETE for everybody on a large table', `create table orders (id int, tenant_id text, note text); alter table orders alter note set storage plain; insert into orders select n, 'acme', repeat('x', 2000) from generate_series(1, 9000) n; alter table orders enable row level security, force row level security; create policy reading on orders for select using (${tenant}); create policy removing on orders for delete using (true); grant select, delete on orders to app`, ['error weak-write-policy public.orders NotRun']],
  ['UPDATE narrower than SELECT', plain(`create policy reading on orders for select using (note is null or ${tenant}); create policy writing on orders for update using (${tenant}); grant select, update on orders to app`), []],
  ['UPDATE that differs', plain(`create policy reading on orders for select using (${tenant}); create policy writing on orders for update using (note = current_user); grant select, update on orders to app`), []],
  ['a policy for UPDATE, and nothing to see', plain(`create policy writing on orders for update using (${tenant}); grant select, update on orders to app`), ['warning weak-write-policy public.orders NotShown']],
  ['a restrictive policy that holds for all', plain(`create policy reading on orders for select using (${tenant}); create policy writing on orders for update using (true); create policy fence on orders as restrictive using (${tenant}); grant select, update on orders to app`), []],
  ['no privilege to write', plain(`create policy reading on orders for select using (${tenant}); create policy writing on orders for update using (true); grant select on orders to app`), []],
  ['SET NULL', `create table customers (id int primary key); create table orders (id int, tenant_id text, customer_id int references customers on delete set null); insert into customers values (1); insert into orders values (1, 'acme', 1); alter table orders enable row level security, force row level security; create policy tenant on orders using (${tenant}); grant select on orders to app; grant delete on customers to app`, ['error cascade-into-guarded constraint orders_customer_id_fkey on public.orders Shown', 'warning unprotected-table public.customers']],
  ['a cascade from a table that holds back as well', `create table tenants (id text primary key); create table orders (id int, tenant_id text references tenants on delete cascade); alter table tenants enable row level security, force row level security; alter table orders enable row level security, force row level security; create policy own on tenants using (id = current_setting('app.tenant_id', true)); create policy tenant on orders using (${tenant}); grant select, delete on tenants, orders to app`, []],
  ['TRUNCATE through a group, on a table that others refer to', plain(`create policy tenant on orders using (${tenant}); alter table orders add primary key (id); create table items (order_id int references orders); grant truncate on orders to app`), []],
  ['a table beside, in another schema', `${orders} grant select on orders to app; create schema reports; grant usage on schema reports to app; create table reports.daily (tenant_id text, total int); insert into reports.daily values ('acme', 1); grant select on reports.daily to app`, ['warning unprotected-table reports.daily Shown']],
  ['a table beside, with a column that policies name and do not compare with the session', `create table posts (id int, author text, status text); alter table posts enable row level security, force row level security; create policy reading on posts using (status = 'public' or author = current_user); create table jobs (id int, status text); grant select on posts, jobs to app`, ['info unprotected-table public.jobs NotShown']],
  ['a table beside, of a member', `create table posts (id int, org_id int); create table members (org_id int, who text); alter table posts enable row level security, force row level security; create policy reading on posts using (org_id in (select m.org_id from members m where m.who = current_user)); create table jobs (id int, org_id int); insert into jobs values (1, 1); grant select on posts, jobs to app`, ['error unprotected-table public.jobs Shown']],
  ['a table beside that only the owner gets at', `${orders} grant select on orders to app; create table secrets (tenant_id text)`, []],
  ['policies that wait, with nobody to pass', `create table orders (id int, tenant_id text); create policy tenant on orders using (${tenant})`, ['warning policies-without-row-security public.orders']],
  ['a key across tenants, whose claim stands in JSON', `create table users (id bigint generated always as identity primary key, tenant_id uuid not null, email varchar(80) not null unique, born date not null); alter table users enable row level security, force row level security; create policy tenant on users using (tenant_id = ((select current_setting('request.jwt.claims', true))::jsonb ->> 'tenant_id')::uuid); grant select, insert on users to app`, ['warning unique-oracle index users_email_key on public.users Shown']],
  ['a key across tenants that are rows themselves', `create table tenants (id text primary key); create table users (tenant_id text references tenants, email text unique); alter table users enable row level security, force row level security; create policy tenant on users using (${tenant}); grant select, insert on users to app; alter table tenants enable row level security, force row level security; create policy own on tenants using (id = current_setting('app.tenant_id', true)); grant select on tenants to app`, ['warning unique-oracle index users_email_key on public.users']],
  ['a key that everybody sees anyway', plain(`create policy reading on orders for select using (true); create policy adding on orders for insert with check (${tenant}); alter table orders add unique (note); grant select, insert on orders to app`), []],
])('%s', async (_name, sql, expected) => {
  expect(await found(sql, others)).toEqual(expected);
});
