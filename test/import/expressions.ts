// Expressions as people write them in policies, and a database to try them in.

export const database = `
  create role app; grant pg_signal_backend to app; create schema auth; grant usage on schema auth to app; create type mood as enum ('ok', 'bad');
  create function auth.uid() returns uuid language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
  create function auth.jwt() returns jsonb language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
  create function auth.role() returns text language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text $$;
  create function auth.org() returns uuid language sql stable as $$ select (current_setting('request.jwt.claims', true)::json ->> 'org')::uuid $$;
  create function auth.tenant() returns text language sql stable return nullif(current_setting('app.t', true), '');
  create function current_tenant() returns uuid language plpgsql stable as $$ begin return nullif(current_setting('app.t', true), '')::uuid; end; $$;
  create table teams (id int primary key, org uuid, name text); create table members (team_id int, user_id uuid, role text);
  create table orders (id int, big bigint, tenant_id uuid, tenant text, state varchar(10), mood mood, flag boolean, team_id int, at timestamptz, day date, amount numeric(10, 2), code char(3), tags text[], owner name);
  create function is_member(t int) returns boolean language sql stable security definer set search_path = '' as $$ select exists (select 1 from public.members m where m.team_id = t and m.user_id = auth.uid()) $$;
  create function is_admin(t int) returns boolean language sql stable security definer set search_path = public, pg_temp as $$ select exists (select 1 from members where team_id = t and user_id = (select auth.uid()) and role in ('admin', 'owner')) $$;
  create function my_teams() returns setof int language sql stable security definer set search_path = '' as $$ select team_id from public.members where user_id = auth.uid() $$;
  grant all on all tables in schema public to app; alter table members enable row level security; create policy own on members using (user_id = auth.uid());
  alter table orders enable row level security;`;

/** Each is to be recognised. */
export const recognisable = [
  `tenant_id = current_setting('app.t')::uuid`,
  `tenant_id = (select current_setting('app.t', true)::uuid)`,
  `tenant = current_setting('app.t', true)`,
  `tenant <> current_setting('app.t', true)`,
  `not (tenant = current_setting('app.t', true))`,
  `tenant = nullif(current_setting('app.t', true), '')`,
  `coalesce(tenant = nullif(current_setting('app.t', true), ''), false)`,
  `tenant_id = nullif(current_setting('app.t', true), '')::uuid`,
  `tenant_id = current_tenant() and tenant = auth.tenant()`,
  `tenant = coalesce(nullif(current_setting('app.t', true), ''), 'a')`,
  `tenant = coalesce(current_setting('app.t', true), 'a')`,
  `coalesce(current_setting('app.t', true), '') = 'a'`,
  `current_setting('app.t', true) = 'a' or current_setting('app.r', true) <> ''`,
  `tenant_id = auth.uid()`,
  `(select auth.uid()) = tenant_id and auth.uid() is not null`,
  `tenant_id = auth.uid() or tenant_id = auth.org()`,
  `not (tenant_id = auth.uid())`,
  `auth.role() = 'admin'`,
  `auth.role() <> 'admin'`,
  `(auth.jwt() ->> 'role') = 'admin'`,
  `(auth.jwt() -> 'meta' ->> 'tenant') = tenant`,
  `tenant = current_setting('request.jwt.claims', true)::jsonb ->> 'tenant'`,
  `tenant = nullif(current_setting('request.jwt.claims', true)::json ->> 'tenant', '')`,
  `tenant = coalesce(current_setting('request.jwt.claims', true)::json ->> 'tenant', current_setting('request.jwt.claims', true)::json ->> 'role')`,
  `tenant = (coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb #>> '{meta,tenant}')`,
  `(current_setting('request.jwt.claims', true)::json ->> 'role') in ('admin', 'staff')`,
  `(current_setting('request.jwt.claims', true)::json ->> 'role') is not null`,
  `owner = current_user or tenant = current_user`,
  `state in ('a', 'b')`,
  `state not in ('a', 'b')`,
  `state is distinct from 'a'`,
  `not (state is distinct from 'a')`,
  `mood = 'ok' or mood in ('ok', 'bad') and flag`,
  `flag`,
  `not flag`,
  `flag is not true`,
  `flag is true and flag is not false`,
  `coalesce(flag, true)`,
  `not coalesce(flag, false)`,
  `true`,
  `false`,
  `flag or true`,
  `not (flag and tenant = 'a' or id = 3)`,
  `id between 2 and 4`,
  `id <> 3 and big < 12345678901 and amount >= 2.5 and amount < 10`,
  `id = current_setting('app.n', true)::int`,
  `big > current_setting('app.n', true)::int`,
  `id = current_setting('app.n', true)::bigint`,
  `code = 'ab'`,
  `at > now() - interval '30 days' and day <= current_date`,
  `tenant is null or tenant = ''`,
  `lower(tenant) = lower(current_setting('request.jwt.claims', true)::json ->> 'tenant')`,
  `team_id in (select team_id from members where user_id = auth.uid())`,
  `exists (select 1 from members m where m.team_id = orders.team_id and m.user_id = auth.uid() and m.role in ('admin', 'owner'))`,
  `team_id = any (array(select m.team_id from members m where m.user_id = auth.uid() and (m.role = 'admin' or m.role = 'owner')))`,
  `is_member(team_id)`,
  `is_admin(team_id) or flag`,
  `team_id in (select my_teams())`,
  `exists (select 1 from teams t join members m on m.team_id = t.id where t.org = orders.tenant_id and m.user_id = auth.uid())`,
  `team_id in (select t.id from teams t where t.org = auth.org() union select t.id from teams t where t.name = orders.tenant)`,
  `team_id in (select t.id from teams t where t.org = auth.org() union select t.id from teams t where t.name = 'x')`,
  `team_id = (select t.id from teams t where t.name = 'x')`,
  `exists (select 1 from members where user_id = auth.uid() and role = 'admin')`,
  `tenant_id in (select jsonb_array_elements_text(current_setting('request.jwt.claims', true)::jsonb -> 'orgs')::uuid)`,
  `tenant in (select i from jsonb_array_elements_text(current_setting('request.jwt.claims', true)::jsonb -> 'names') i)`,
] as const;

/** Each looks like one of the above, and means something that terms can't say: it must not be recognised. */
export const unrecognisable = [
  `auth.uid()::text = tenant`,
  `tenant_id::text = current_setting('app.t', true)`,
  `tenant is not distinct from current_setting('app.t', true)`,
  `(current_setting('request.jwt.claims', true)::json ->> 'role') is null`,
  `coalesce(current_setting('request.jwt.claims', true)::json ->> 'role', 'admin') = 'admin'`,
  `(current_setting('request.jwt.claims', true)::json ->> 'n')::int > 5`,
  `(current_setting('request.jwt.claims', true)::json -> 'names' ->> 0) = tenant`,
  `(current_setting('request.jwt.claims', true)::jsonb -> 'names') ? tenant`,
  `tenant = session_user`,
  `tenant collate "C" < 'b'`,
  `state::char(1) = 'a'`,
  `id::numeric = 2.5`,
  `not exists (select 1 from members m where m.team_id = orders.team_id)`,
  `team_id not in (select t.id from teams t)`,
  `exists (select count(*) from members where user_id = auth.uid())`,
  `exists (select 1 from teams t where t.id = team_id and t.org = tenant_id)`,
  `exists (select 1 from teams t where t.id > team_id)`,
  `team_id in (select team_id from members where role = 'admin')`,
  `team_id in (select t.id from teams t order by t.id limit 1)`,
  `team_id in (select t.id from teams t left join members m on m.team_id = t.id)`,
  `team_id in (select max(t.id) from teams t)`,
  `exists (select 1 from teams t group by t.org having count(*) > 1)`,
  `case when flag then tenant = 'a' else true end`,
  `state like 'a%'`,
  `at > clock_timestamp()`,
  `random() < 0.5`,
] as const;
