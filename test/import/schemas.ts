// Schemas after the patterns of real applications, to be imported and brought back. Roles are of the whole server, so each makes its own if need be.

export interface SampleSchema {
  readonly name: string;
  readonly sql: string;
  /** How many of its expressions only `sql` can say. */
  readonly kept: number;
}

export const sampleRoles = `do $$ declare r text; begin
  foreach r in array array['anon', 'authenticated', 'service', 'app', 'web user', 'Reporting', 'auditor'] loop
    if not exists (select from pg_roles where rolname = r) then execute format('create role %I', r); end if;
  end loop; end $$`;

/** auth.* as a hosted platform ships them: an older setting first, then the claims. */
const authFunctions = `
  create schema auth;
  create function auth.uid() returns uuid language sql stable as $$
    select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
  create function auth.role() returns text language sql stable as $$
    select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text $$;
  create function auth.jwt() returns jsonb language sql stable as $$
    select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
  grant usage on schema auth to public;`;

export const sampleSchemas: readonly SampleSchema[] = [
  {
    name: 'profiles and posts of a hosted platform',
    kept: 0,
    sql: `${authFunctions}
      create table profiles (id uuid primary key, username text, bio text);
      create table posts (id bigint primary key, author uuid not null, published boolean not null default false, body text);
      alter table profiles enable row level security; alter table posts enable row level security;
      create policy "Public profiles are viewable by everyone." on profiles for select using (true);
      create policy "Users can insert their own profile." on profiles for insert with check (auth.uid() = id);
      create policy "Users can update own profile." on profiles for update using (auth.uid() = id);
      create policy "Published, or one's own" on posts for select to anon, authenticated using (published or (select auth.uid()) = author);
      create policy "authors write" on posts for all to authenticated using ((select auth.uid()) = author) with check ((select auth.uid()) = author and auth.role() = 'authenticated');
      create policy "staff reads" on posts for select to authenticated using ((auth.jwt() -> 'app_metadata' ->> 'role') = 'staff');
      create policy "only with second factor" on posts as restrictive to authenticated using ((select auth.jwt() ->> 'aal') = 'aal2');`,
  },
  {
    name: 'PostgREST with claims as JSON',
    kept: 0,
    sql: `create schema api; create table api.todos (id int primary key, owner text not null default current_setting('request.jwt.claims', true)::json ->> 'email', done boolean);
      create table api.notes (id int primary key, "user" name default current_user, org text);
      alter table api.todos enable row level security; alter table api.todos force row level security; alter table api.notes enable row level security;
      create policy todo_owner on api.todos to "web user" using (owner = current_setting('request.jwt.claims', true)::json ->> 'email') with check (owner = current_setting('request.jwt.claims', true)::json ->> 'email');
      create policy note_owner on api.notes using ("user" = current_user);
      create policy note_org on api.notes for select using (org = (current_setting('request.jwt.claims', true)::json #>> '{app,org}'));`,
  },
  {
    name: 'a SaaS with current_setting',
    kept: 0,
    sql: `create table tenants (id uuid primary key, name text); create table invoices (id bigint primary key, tenant_id uuid not null, total numeric(12,2), state varchar(12));
      create table events (id bigint primary key, tenant text not null, kind text); create table seats (tenant_no integer, holder text);
      alter table tenants enable row level security; alter table invoices enable row level security; alter table events enable row level security; alter table seats enable row level security;
      alter table invoices force row level security; alter table events force row level security;
      create policy tenant_isolation on tenants using (id = current_setting('app.tenant_id')::uuid);
      create policy tenant_isolation on invoices to app using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)) with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
      create policy no_drafts on invoices as restrictive for select to "Reporting" using (state <> 'draft' and total > 0);
      create policy in_range on invoices for delete to app using ((total between 1 and 10 and id > 5 or (id, state) = (1, 'it''s (a AND b) AND') and id < 3) and ((total not between 5 and 6 or id = 9) or state = 'x'));
      create policy states on invoices for update to app using (state in ('open', 'sent')) with check (state = any (array['open', 'sent', 'paid']));
      create policy tenant_isolation on events using (tenant = current_setting('app.tenant', true));
      create policy support on events for select to app using (current_setting('app.role', true) = 'support' and kind is not null);
      create policy seats on seats using (tenant_no = current_setting('app.tenant_no', true)::int);`,
  },
  {
    name: 'accounts with memberships behind functions',
    kept: 0,
    sql: `${authFunctions}
      create schema basejump; grant usage on schema basejump to public;
      create type basejump.account_role as enum ('owner', 'member');
      create table basejump.accounts (id uuid primary key, primary_owner_user_id uuid not null, personal_account boolean not null default false, slug text);
      create table basejump.account_user (user_id uuid not null, account_id uuid not null references basejump.accounts, account_role basejump.account_role not null, primary key (user_id, account_id));
      create function basejump.has_role_on_account(account_id uuid) returns boolean language sql stable security definer set search_path = '' as $$
        select exists (select 1 from basejump.account_user wu where wu.user_id = auth.uid() and wu.account_id = has_role_on_account.account_id) $$;
      create function basejump.is_owner(account_id uuid) returns boolean language sql stable security definer set search_path = '' as $$
        select exists (select 1 from basejump.account_user wu where wu.user_id = (select auth.uid()) and wu.account_id = is_owner.account_id and wu.account_role = 'owner'::basejump.account_role) $$;
      create function basejump.get_accounts_with_role() returns setof uuid language sql stable security definer set search_path = '' as $$
        select wu.account_id from basejump.account_user wu where wu.user_id = auth.uid() $$;
      create table projects (id uuid primary key, account_id uuid not null, name text);
      alter table basejump.accounts enable row level security; alter table basejump.account_user enable row level security; alter table projects enable row level security;
      create policy "users can view their own account_users" on basejump.account_user for select to authenticated using (user_id = auth.uid());
      create policy "users can view their teammates" on basejump.account_user for select to authenticated using (basejump.has_role_on_account(account_id));
      create policy "accounts are viewable by members" on basejump.accounts for select to authenticated using (basejump.has_role_on_account(id));
      create policy "accounts are viewable by primary owner" on basejump.accounts for select to authenticated using (primary_owner_user_id = auth.uid());
      create policy "owners edit" on basejump.accounts for update to authenticated using (basejump.is_owner(id));
      create policy projects_read on projects for select to authenticated using (account_id in (select basejump.get_accounts_with_role()));
      create policy projects_write on projects for all to authenticated using (basejump.is_owner(account_id));`,
  },
  {
    name: 'memberships in subqueries',
    kept: 2,
    sql: `create table members (team_id int not null, user_id text not null, role text, primary key (team_id, user_id)); create table teams (id int primary key, org text);
      create table documents (id int primary key, team_id int, owner text, archived boolean);
      create table secrets (id int primary key, team_id int);
      alter table documents enable row level security; alter table teams enable row level security; alter table secrets enable row level security;
      create policy by_team on documents to app using (team_id in (select m.team_id from members m where m.user_id = current_setting('app.user', true)));
      create policy by_role on documents for delete to app using (exists (select 1 from members m where m.team_id = documents.team_id and m.user_id = (select current_setting('app.user', true)) and m.role in ('owner', 'admin')));
      create policy by_array on documents for update to app using (team_id = any (array(select team_id from members where user_id = nullif(current_setting('app.user', true), '')))) with check (not archived);
      create policy team_of_member on teams to app using (exists (select from members where members.team_id = teams.id and members.user_id = current_user));
      create policy by_join on secrets to app using (exists (select 1 from teams t join members m on m.team_id = t.id where t.id = secrets.team_id and m.user_id = current_user));
      create policy blocked on documents as restrictive to app using (not exists (select 1 from members m where m.user_id = documents.owner and m.role = 'blocked'));`,
  },
  {
    name: 'memberships that look at themselves',
    kept: 1,
    sql: `create table memberships (organisation_id int, user_id uuid, is_admin boolean, primary key (organisation_id, user_id)); create table organisations (id int primary key, name text);
      create function current_user_id() returns uuid language plpgsql stable as $$ begin return nullif(current_setting('app.user_id', true), '')::uuid; end $$;
      create function organisations_of_me() returns setof int language sql stable security definer set search_path = public, pg_temp as $$ select organisation_id from memberships where user_id = nullif(current_setting('app.user_id', true), '')::uuid $$;
      create function weight(int) returns int language plpgsql stable as $$ declare x int := 0; begin x := $1 * 2; return x; end $$;
      alter table memberships enable row level security; alter table organisations enable row level security;
      create policy own on memberships for select using (user_id = public.current_user_id());
      create policy same_organisation on memberships for select using (organisation_id in (select public.organisations_of_me()));
      create policy admins on memberships for all using (exists (select 1 from memberships me where me.organisation_id = memberships.organisation_id and me.user_id = public.current_user_id() and me.is_admin));
      create policy members on organisations using (id in (select organisation_id from memberships where user_id = public.current_user_id()));
      create policy weights on organisations for select using (weight(id) > 10);`,
  },
  {
    name: 'partitions and inheritance',
    kept: 0,
    sql: `create table measurements (at timestamptz not null, tenant_id int not null, value float8) partition by range (at);
      create table measurements_2025 partition of measurements for values from ('2025-01-01') to ('2026-01-01'); create table measurements_2026 partition of measurements for values from ('2026-01-01') to ('2027-01-01');
      create table vehicles (id int, tenant_id int); create table trucks (load int) inherits (vehicles);
      alter table measurements enable row level security; alter table measurements_2025 enable row level security; alter table vehicles enable row level security; alter table trucks enable row level security;
      create policy tenant on measurements using (tenant_id = current_setting('app.tenant')::int);
      create policy recent on measurements as restrictive for select to app using (at > now() - interval '90 days');
      create policy tenant on measurements_2025 using (tenant_id = current_setting('app.tenant')::int);
      create policy tenant on vehicles using (tenant_id = current_setting('app.tenant')::int);`,
  },
  {
    name: 'names that need quotes, and texts that need care',
    kept: 2,
    sql: `create schema "Weird ""Schema"""; create table "Weird ""Schema"""."Orders; drop table x" ("Tenant-Id" text, "select" int, "ünïcode" text, "a b" boolean);
      alter table "Weird ""Schema"""."Orders; drop table x" enable row level security;
      create policy "quote "" and 'tick' -- comment" on "Weird ""Schema"""."Orders; drop table x" to "web user", "Reporting" using ("Tenant-Id" = 'it''s -- no comment' or "ünïcode" = E'back\\\\slash') with check ("select" = -5);
      create policy "a b" on "Weird ""Schema"""."Orders; drop table x" for select using ("a b" is not true);
      create policy ${JSON.stringify('x'.repeat(63))} on "Weird ""Schema"""."Orders; drop table x" for delete using ("ünïcode" like '%a%');
      create policy "日本語" on "Weird ""Schema"""."Orders; drop table x" as restrictive for update using (length("Tenant-Id") > 3 and "select" % 2 = 0);`,
  },
  {
    name: 'casts and types that are not plain',
    kept: 5,
    sql: `create type mood as enum ('calm', 'angry'); create domain email as text check (value ~ '@'); create domain tenant as uuid;
      create table things (id smallint, big bigint, tenant_id tenant, owner email, mood mood, codes text[], price numeric, day date, code char(3), flags jsonb, net inet, score real, note varchar(20));
      alter table things enable row level security;
      create policy p01 on things using (tenant_id = current_setting('app.t', true)::uuid);
      create policy p02 on things using (owner = current_setting('app.owner'));
      create policy p03 on things using (mood = 'calm' and mood in ('calm', 'angry'));
      create policy p04 on things for select using ('x' = any (codes));
      create policy p05 on things for select using (price >= 10 and price < 99.5 and id = 3 and big = 12345678901);
      create policy p06 on things for select using (day >= current_date);
      create policy p07 on things for select using (code = 'ab');
      create policy p08 on things for select using (flags ->> 'public' = 'true');
      create policy p09 on things for select using (id::text = current_setting('app.id', true));
      create policy p10 on things for select using (net << '10.0.0.0/8'::inet);
      create policy p11 on things for select using (note = 'a' or note is null or lower(note) = 'b');
      create policy p12 on things for select using (case when id > 5 then true else note = 'x' end);
      create policy p13 on things for insert with check (coalesce(current_setting('app.writer', true), '') = 'yes');`,
  },
  {
    name: 'every shape that PostgreSQL lets a policy have',
    kept: 0,
    sql: `create table shapes (id int, flag boolean); alter table shapes enable row level security; alter table shapes force row level security;
      create policy bare on shapes; create policy bare_select on shapes for select; create policy bare_insert on shapes for insert; create policy bare_update on shapes as restrictive for update; create policy bare_delete on shapes for delete;
      create policy only_check on shapes with check (flag); create policy only_check_update on shapes for update to app with check (id = 1); create policy only_check_insert on shapes for insert to app with check (id in (1, 2));
      create policy never on shapes for delete to auditor using (false); create policy both_sides on shapes for update using (id = 1) with check (id = 2);
      create table closed (id int); alter table closed enable row level security;
      create table asleep (id int); create policy nothing on asleep using (id = 1);
      create table same_a (owner name); create table same_b (owner name); alter table same_a enable row level security; alter table same_b enable row level security;
      create policy mine on same_a using (owner = current_user); create policy mine on same_b using (owner = current_user);`,
  },
  {
    name: 'more policies than one RowPolicy holds',
    kept: 0,
    sql: `create table wide (id int primary key, kind int); alter table wide enable row level security;
      do $$ begin for i in 1..70 loop execute format('create policy rule_%s on wide for select to app using (kind = %s)', i, i); end loop; end $$;`,
  },
  {
    name: 'another JSON setting, and organisations in a claim',
    kept: 0,
    sql: `create table files (id int primary key, org uuid, owner text, visibility text); alter table files enable row level security;
      create policy orgs on files for select using (org in (select jsonb_array_elements_text(nullif(current_setting('my.claims', true), '')::jsonb -> 'orgs')::uuid));
      create policy owner on files using (owner = current_setting('my.claims', true)::json ->> 'user');
      create policy public_files on files for select to anon using (visibility = 'public' and visibility is not null);
      create policy admins on files using (current_setting('my.claims', true)::json ->> 'role' = any (array['admin', 'root']));`,
  },
];
