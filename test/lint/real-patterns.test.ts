// What applications found in public do with row security: the leaks in it, and what only looks like one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

async function found(sql: string, lints: readonly string[]): Promise<readonly string[]> {
  return withCase(postgres, sql, ({ findings }) =>
    findings.filter((finding) => lints.includes(finding.lint)).map(({ lint, object, severity, outcome }) => `${severity} ${lint} ${object} ${outcome?.result ?? ''}`.trim()),
  );
}

const claims = `create function uid() returns uuid language sql stable as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
  create function jwt() returns jsonb language sql stable as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;`;

/** An administrator is who has the role in the table of profiles; everybody may change their own profile. */
const profiles = `${claims} create table profiles (id uuid primary key, username text, role text not null default 'user');
  create function is_admin() returns boolean language plpgsql stable security definer set search_path = '' as $$ begin return exists (select 1 from public.profiles where id = public.uid() and role = 'admin'); end $$;
  alter table profiles enable row level security, force row level security;
  create policy own on profiles for select to app using (id = uid()); create policy change on profiles for update to app using (id = uid()); create policy admins on profiles to app using (is_admin());`;

const lookups = ['membership-writable'];

test.each([
  ['a role column that everybody may set in their own row', `${profiles} grant select, update on profiles to app`, ['warning membership-writable public.profiles']],
  ['the same, where other tables ask for it', `${profiles} drop policy admins on profiles; create table reports (id int, body text); alter table reports enable row level security, force row level security; create policy admins on reports to app using (is_admin()); grant select, update on profiles to app; grant select on reports to app`, ['warning membership-writable public.profiles']],
  ['only other columns may be set', `${profiles} grant select, update (username) on profiles to app`, []],
  ['an author changes what is looked up by its key', `${claims} create table posts (id int primary key, author uuid not null, published boolean not null default false); create table comments (id int, post int);
    create function readable(post int) returns boolean language sql stable security definer set search_path = '' as $$ select exists (select from public.posts p where p.id = post and (p.published or p.author = public.uid())) $$;
    alter table posts enable row level security, force row level security; alter table comments enable row level security, force row level security;
    create policy own on posts to app using (author = uid()); create policy reading on comments to app using (readable(post)); grant select, insert, update on posts to app; grant select on comments to app`, []],
])('who is looked up: %s', async (_name, sql, expected) => {
  expect(await found(sql, lookups)).toEqual(expected);
});

const tenants = `create table users (id int, tenant_id text, note text); insert into users values (1, 'acme'), (2, 'globex'); alter table users enable row level security, force row level security;
  create policy tenant on users to app using (tenant_id = current_setting('app.tenant_id', true)); grant select on users to app;`;
const switches = ['always-true', 'bypass-switch'];

test.each([
  ['a policy that is nothing but a switch, beside the one for tenants', `${tenants} create policy bypass on users to app using (current_setting('app.bypass_rls', true)::text = 'on')`, ['warning bypass-switch policy bypass on public.users Shown']],
  ['the same as a boolean', `${tenants} create policy bypass on users to app using (current_setting('app.bypass_rls', true)::boolean)`, ['warning bypass-switch policy bypass on public.users Shown']],
  ['the same in a function', `${tenants} create function bypasses() returns boolean language sql stable as $$ select coalesce(current_setting('app.bypass_rls', true), 'off') = 'on' $$; create policy bypass on users to app using (bypasses())`, ['warning bypass-switch policy bypass on public.users Shown']],
  ['a function that looks up who is an administrator', `${tenants} create table staff (login text); create function may_all() returns boolean language sql stable security definer set search_path = '' as $$ select exists (select from public.staff s where s.login = current_setting('app.login', true)) $$; create policy wide on users to app using (may_all())`, []],
  ['administrators by their claim, asked in a function', `${claims} ${tenants} create function is_admin() returns boolean language sql stable as $$ select coalesce(jwt() -> 'app_metadata' ->> 'role' = 'admin', false) $$; create policy admins on users to app using (is_admin())`, []],
  ['members of a role', `${tenants} create policy auditors on users to app using (pg_has_role('owner', 'member'))`, []],
  ['a tenant only', tenants, []],
])('ways past a tenant: %s', async (_name, sql, expected) => {
  expect(await found(sql, switches)).toEqual(expected);
});

const files = `${claims} create table files (path text not null, owner text); insert into files values ('a/x', 'a'), ('b/y', 'b'); alter table files enable row level security, force row level security; grant select on files to app;`;

test.each([
  ['a folder named after a uuid', `${files} create policy folder on files to app using (path like uid()::text || '/%')`, []],
  ['a cast on the way', `${files} create policy folder on files to app using (path like current_setting('app.user_id', true)::int::text || '/%')`, []],
  ['a folder named after a text', `${files} create policy folder on files to app using (path like (jwt() ->> 'name') || '/%')`, ['warning claim-pattern policy folder on public.files']],
])('patterns: %s', async (_name, sql, expected) => {
  expect((await found(sql, ['claim-pattern'])).map((line) => line.replace(/ (?:Shown|NotRun|NotShown)$/, ''))).toEqual(expected);
});

const notes = `create table notes (id int, school text); insert into notes values (1, 'a'), (2, 'b'); alter table notes enable row level security, force row level security; create policy everything on notes to app using (true); grant select on notes to app;`;

test.each([
  ['a restrictive one that lets through who says nothing', `${notes} create policy school on notes as restrictive using (coalesce(current_setting('app.school', true), '') = '' or school = current_setting('app.school', true))`, ['error open-without-claims policy school on public.notes Shown']],
  ['a restrictive one that holds back who says nothing', `${notes} create policy school on notes as restrictive using (school = current_setting('app.school', true))`, []],
  ['two, of which one holds back', `${notes} create policy school on notes as restrictive using (coalesce(current_setting('app.school', true), '') = '' or school = current_setting('app.school', true)); create policy again on notes as restrictive using (school = current_setting('app.school', true))`, []],
  ['a restrictive one that asks no row', `${notes} create policy signed on notes as restrictive using (coalesce(current_setting('app.anonymous', true), '') <> 'yes')`, []],
])('restrictive policies over one for everybody: %s', async (_name, sql, expected) => {
  expect(await found(sql, ['open-without-claims'])).toEqual(expected);
});
