-- A Supabase project made in a hurry: each statement is one that real projects have.
reset role;
create role anon nologin;
create role authenticated nologin;
create role service_role nologin;
create role authenticator login noinherit;
grant anon, authenticated to authenticator;
create schema auth;
grant usage on schema public, auth to anon, authenticated;
create table auth.users (id uuid primary key, email text, raw_user_meta_data jsonb);
alter table auth.users enable row level security;
create function auth.jwt() returns jsonb language sql stable as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create function auth.uid() returns uuid language sql stable as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;

create table public.teams (id uuid primary key default gen_random_uuid(), name text not null);
create table public.team_members (team_id uuid not null references public.teams, user_id uuid not null, role text not null default 'member', primary key (team_id, user_id));
create table public.notes (id bigint generated always as identity primary key, team_id uuid not null, user_id uuid, body text);
create table public.invoices (id bigint generated always as identity primary key, user_id uuid not null, amount numeric not null);
insert into public.notes (team_id, user_id, body) values (gen_random_uuid(), gen_random_uuid(), 'a'), (gen_random_uuid(), null, 'b');
insert into public.invoices (user_id, amount) values (gen_random_uuid(), 1), (gen_random_uuid(), 2);
alter table public.notes enable row level security;
alter table public.invoices enable row level security;
alter table public.team_members enable row level security;

-- Whoever is not signed in sees all.
create policy "read own notes" on public.notes for select to anon, authenticated using (auth.uid() is null or auth.uid() = user_id);
-- The user writes this claim.
create policy "admins read invoices" on public.invoices for select to authenticated using ((auth.jwt() -> 'user_metadata' ->> 'role') = 'admin');
-- Everybody joins every team.
create policy "join" on public.team_members for insert to authenticated with check (user_id = auth.uid());
create policy "see own" on public.team_members for select to authenticated using (user_id = auth.uid());
create policy "team notes" on public.notes for all to authenticated using (team_id in (select m.team_id from public.team_members m where m.user_id = auth.uid()));
-- All of it, to all.
create policy "update invoices" on public.invoices for update to authenticated using (true);

create function public.search_notes(term text) returns setof public.notes language sql stable security definer as $$ select * from notes where body ilike '%' || term || '%' $$;
create function public.all_invoices() returns setof public.invoices language plpgsql stable security definer as $$ begin return query select * from public.invoices; end $$;
grant select, insert, update, delete on all tables in schema public to anon, authenticated;
