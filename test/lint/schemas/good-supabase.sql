-- A Supabase project as its documentation wants it: roles of the API, claims in request.jwt.claims, helpers in a private schema.
reset role;
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
create schema auth;
create schema private;
grant usage on schema public to anon, authenticated, service_role;
grant usage on schema auth, private to authenticated, anon, service_role;

create table auth.users (id uuid primary key, email text, raw_user_meta_data jsonb, raw_app_meta_data jsonb);
alter table auth.users enable row level security;
create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
create function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid
$$;

create table public.profiles (id uuid primary key references auth.users on delete cascade, username text, avatar text);
create table public.organizations (id uuid primary key default gen_random_uuid(), name text not null);
create table public.memberships (
  organization_id uuid not null references public.organizations on delete cascade,
  user_id uuid not null references auth.users on delete cascade,
  role text not null check (role in ('owner', 'member')), primary key (organization_id, user_id)
);
create index on public.memberships (user_id);
create table public.documents (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  author_id uuid not null default auth.uid(), title text not null
);
create index on public.documents (organization_id);
create table public.contact_requests (id bigint generated always as identity primary key, message text not null);

create function private.my_organizations() returns setof uuid language sql stable security definer set search_path = '' as $$
  select m.organization_id from public.memberships m where m.user_id = (select auth.uid())
$$;
create function private.owns(organization uuid) returns boolean language sql stable security definer set search_path = '' as $$
  select exists (select from public.memberships m where m.organization_id = organization and m.user_id = (select auth.uid()) and m.role = 'owner')
$$;
create function private.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, username) values (new.id, new.raw_user_meta_data ->> 'username');
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function private.handle_new_user();
revoke execute on all functions in schema private from public;
grant execute on function private.my_organizations(), private.owns(uuid) to authenticated;

alter table public.profiles enable row level security;
alter table public.organizations enable row level security;
alter table public.memberships enable row level security;
alter table public.documents enable row level security;
alter table public.contact_requests enable row level security;
create policy "Profiles are viewable by everyone" on public.profiles for select using (true);
create policy "Users update their own profile" on public.profiles for update to authenticated using ((select auth.uid()) = id) with check ((select auth.uid()) = id);
create policy "Members see their organizations" on public.organizations for select to authenticated using (id in (select private.my_organizations()));
create policy "Members see each other" on public.memberships for select to authenticated using (organization_id in (select private.my_organizations()));
create policy "Owners add members" on public.memberships for insert to authenticated with check (private.owns(organization_id));
create policy "Owners remove members" on public.memberships for delete to authenticated using (private.owns(organization_id));
create policy "Members read documents" on public.documents for select to authenticated using (organization_id in (select private.my_organizations()));
create policy "Members write documents" on public.documents for insert to authenticated
  with check (organization_id in (select private.my_organizations()) and author_id = (select auth.uid()));
create policy "Authors change documents" on public.documents for update to authenticated
  using (organization_id in (select private.my_organizations()) and author_id = (select auth.uid()));
create policy "Anyone may contact us" on public.contact_requests for insert to anon, authenticated with check (true);
grant select, insert, update, delete on all tables in schema public to anon, authenticated, service_role;
grant usage on all sequences in schema public to anon, authenticated, service_role;
create publication supabase_realtime for table public.documents;
