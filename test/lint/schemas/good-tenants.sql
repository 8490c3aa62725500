-- A multi-tenant application: one role that owns, one that the application connects as, one for reports.
reset role;
create role web login;
create role reporting login;
grant create on schema public to owner;
set role owner;
create schema app;
grant usage on schema app to web, reporting;

create function app.tenant_id() returns uuid stable parallel safe language sql
begin atomic select nullif(current_setting('app.tenant_id', true), '')::uuid; end;

create table app.tenants (id uuid primary key default gen_random_uuid(), name text not null);
create table app.users (
  id uuid primary key default gen_random_uuid(), tenant_id uuid not null references app.tenants on delete cascade,
  email text not null, unique (tenant_id, email), unique (tenant_id, id)
);
create table app.projects (
  id uuid default gen_random_uuid(), tenant_id uuid not null references app.tenants on delete cascade,
  owner_id uuid not null, name text not null, primary key (tenant_id, id),
  foreign key (tenant_id, owner_id) references app.users (tenant_id, id)
);
create table app.tasks (
  id uuid default gen_random_uuid(), tenant_id uuid not null, project_id uuid not null, title text not null, done boolean not null default false,
  primary key (tenant_id, id), foreign key (tenant_id, project_id) references app.projects (tenant_id, id) on delete cascade
);
create table app.currencies (code text primary key, name text not null);

do $$ declare t text; begin
  foreach t in array array['tenants', 'users', 'projects', 'tasks'] loop
    execute format('alter table app.%I enable row level security', t);
    execute format('alter table app.%I force row level security', t);
    execute format('create policy tenant on app.%I to web using (%I = (select app.tenant_id()))', t, case t when 'tenants' then 'id' else 'tenant_id' end);
    execute format('create policy report on app.%I for select to reporting using (true)', t);
  end loop;
end $$;
grant select on app.tenants to web;
grant select, insert, update, delete on app.users, app.projects, app.tasks to web;
grant select on all tables in schema app to reporting;
grant select on app.currencies to web;

create view app.open_tasks with (security_invoker = true, security_barrier = true) as
  select t.id, t.title, p.name as project from app.tasks t join app.projects p using (tenant_id) where p.id = t.project_id and not t.done;
grant select on app.open_tasks to web, reporting;

create function app.touch() returns trigger language plpgsql as $$ begin new.title := btrim(new.title); return new; end $$;
create trigger touch before insert or update on app.tasks for each row execute function app.touch();
