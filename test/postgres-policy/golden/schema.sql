create schema if not exists rowseal;

grant usage on schema rowseal to public;

create table if not exists rowseal.governed_table (
     table_oid oid primary key, row_security_before boolean not null, forced_before boolean not null);

create table if not exists rowseal.governed_policy (
     table_oid oid not null, policy_name text not null, owner text not null, rule text not null,
     definition text not null, deparsed text not null, primary key (table_oid, policy_name));

alter table rowseal.governed_policy add column if not exists tree jsonb;

alter table rowseal.governed_policy add column if not exists state text not null default '';

alter table rowseal.governed_table add column if not exists declared text not null default '';

alter table rowseal.governed_policy add column if not exists adopted boolean not null default false;

alter table rowseal.governed_policy add column if not exists roles text[] not null default '{}';

alter table rowseal.governed_table add column if not exists pending_owners text[] not null default '{}';

create table if not exists rowseal.policy_owner (owner text primary key, revision int8 not null);

revoke all on rowseal.governed_table, rowseal.governed_policy, rowseal.policy_owner from public;

create or replace function rowseal.policy_digest(table_oid oid) returns text language sql stable set search_path = 'pg_catalog', 'pg_temp' set DateStyle = 'ISO', 'YMD' set IntervalStyle = 'postgres' set TimeZone = 'UTC' set bytea_output = 'hex' set extra_float_digits = '1' set quote_all_identifiers = 'off' set standard_conforming_strings = 'on'
     as $rowseal$select encode(sha256(convert_to((json_build_array(c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
    coalesce((select json_agg(json_build_array(dp.polname, dp.polpermissive, dp.polcmd, case when dp.polroles = array[0::oid] then array['PUBLIC'::text]
    else array(select case r.rolname when 'PUBLIC' then '"PUBLIC"' else r.rolname::text end from pg_catalog.pg_roles r where r.oid = any (dp.polroles) order by r.rolname) end,
        pg_get_expr(dp.polqual, dp.polrelid), pg_get_expr(dp.polwithcheck, dp.polrelid)) order by dp.polname)
      from pg_catalog.pg_policy dp where dp.polrelid = c.oid), '[]'::json)))::text, 'UTF8')), 'hex') from pg_catalog.pg_class c where c.oid = $1$rowseal$;

create or replace function rowseal.input_is_valid(value text, type_name text) returns boolean
     language plpgsql stable strict parallel unsafe set search_path = pg_catalog, pg_temp
     as $rowseal$begin
       execute pg_catalog.format('select cast($1 as %s)', pg_catalog.format_type($2::pg_catalog.regtype, -1)) using $1;
       return true;
     exception when others then
       return false;
     end$rowseal$;

create table if not exists rowseal.fence (
     only_row boolean primary key default true check (only_row), cluster_uid text not null, lease_uid text not null, epoch int8 not null);

revoke all on rowseal.fence from public;

create table if not exists rowseal.role_environment (only_row boolean primary key default true check (only_row), digest text not null);

revoke all on rowseal.role_environment from public;

create table if not exists rowseal.guarded (
     owner text primary key, schema_name text not null, table_names text[], is_selector boolean not null, name_like text, column_names text[] not null, forced boolean not null,
     spares_children boolean not null default false);

revoke all on rowseal.guarded from public;

create or replace function rowseal.guard_tables() returns event_trigger language plpgsql security definer set search_path = pg_catalog, pg_temp
     as 'declare
  opened pg_catalog.jsonb;
  found pg_catalog.jsonb;
begin
  begin
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(o)), ''[]'') into opened from (
  with recursive ddl as (
    select d.classid, d.objid from pg_catalog.pg_event_trigger_ddl_commands() d
  ), touched as (
    select d.objid as oid from ddl d where d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join ddl d on d.objid = c.relnamespace and d.classid = ''pg_catalog.pg_namespace''::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join ddl d on d.objid = c.reloftype and d.classid = ''pg_catalog.pg_type''::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join pg_catalog.pg_type t on t.oid = c.reloftype join ddl d on d.objid = t.typrelid and d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass
  ), family as (
    select t.oid from touched t union select i.inhrelid from pg_catalog.pg_inherits i join family f on f.oid = i.inhparent
  ), candidates as (
    select c.oid, c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity
      from family f join pg_catalog.pg_class c on c.oid = f.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in (''r'', ''p'') and c.relpersistence <> ''t'' and not (c.relrowsecurity and c.relforcerowsecurity) and n.nspname <> ''rowseal''
       and not exists (select from rowseal.governed_policy gp join pg_catalog.pg_policy p on p.polrelid = gp.table_oid and p.polname = gp.policy_name where gp.table_oid = c.oid)
  ), ancestry as (
    select c.oid as leaf, c.oid from candidates c union select a.leaf, i.inhparent from pg_catalog.pg_inherits i join ancestry a on a.oid = i.inhrelid
  )
  select c.oid as table_oid, c.nspname as schema_name, c.relname as table_name, c.relrowsecurity as row_security, c.relforcerowsecurity as was_forced,
         min(g.owner) as owner, pg_catalog.jsonb_agg(g.owner) as owners, bool_or(g.forced) as forced
    from candidates c join ancestry a on a.leaf = c.oid join pg_catalog.pg_class r on r.oid = a.oid join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    join rowseal.guarded g on g.schema_name = rn.nspname and (g.table_names is null or r.relname = any (g.table_names)) and (a.leaf = a.oid or not g.spares_children)
      and (not g.is_selector or ((g.name_like is null or r.relname like g.name_like) and (r.relpersistence <> ''t'' and rn.nspname !~ ''^(pg_|rowseal$|information_schema$)''
     and not exists (select from pg_catalog.pg_depend d where d.classid = ''pg_catalog.pg_class''::regclass and d.objid = r.oid and d.deptype = ''e''))
      and not exists (select from pg_catalog.unnest(g.column_names) as w(name) where not exists (
        select from pg_catalog.pg_attribute t where t.attrelid = r.oid and t.attname = w.name and t.attnum > 0 and not t.attisdropped))))
   group by c.oid, c.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity
  having not c.relrowsecurity or (bool_or(g.forced) and not c.relforcerowsecurity)) o;
  exception when others then
    raise warning ''rowseal: the guard of new tables does not work: %'', sqlerrm;
    return;
  end;
  for found in select e from pg_catalog.jsonb_array_elements(opened) as e loop
    begin
      -- How the table was born, which deletionPolicy Restore brings back, and whose policies it waits for.
      insert into rowseal.governed_table as t (table_oid, row_security_before, forced_before, pending_owners)
        values ((found ->> ''table_oid'')::pg_catalog.oid, (found ->> ''row_security'')::pg_catalog.bool, (found ->> ''was_forced'')::pg_catalog.bool,
          case when (found ->> ''row_security'')::pg_catalog.bool then ''{}'' else array(select pg_catalog.jsonb_array_elements_text(found -> ''owners'')) end)
        on conflict (table_oid) do update set pending_owners = excluded.pending_owners where excluded.pending_owners <> ''{}'';
      execute pg_catalog.format(''alter table %I.%I enable row level security'', found ->> ''schema_name'', found ->> ''table_name'')
        || case when (found ->> ''forced'')::pg_catalog.bool then '', force row level security'' else '''' end;
    exception when others then
      raise exception ''rowseal: table %.% is governed by RowPolicy % and could not be closed: %'', found ->> ''schema_name'', found ->> ''table_name'', found ->> ''owner'', sqlerrm
        using errcode = ''55000'', hint = ''Rowseal refuses a governed table that would show all its rows; change the target of the RowPolicy, or delete its row in rowseal.guarded.'';
    end;
  end loop;
end';

revoke all on function rowseal.guard_tables() from public;

do 'begin
     drop event trigger if exists rowseal_guard;
     create event trigger rowseal_guard on ddl_command_end when tag in (''CREATE TABLE'', ''CREATE TABLE AS'', ''SELECT INTO'', ''ALTER TABLE'', ''ALTER INDEX'', ''ALTER TYPE'', ''CREATE SCHEMA'', ''ALTER SCHEMA'', ''CREATE EXTENSION'') execute function rowseal.guard_tables();
     alter event trigger rowseal_guard enable always;
   exception when insufficient_privilege then
     null;
   end';

create or replace function rowseal.notify_drift() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp
     as $rowseal$begin
       if pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4 = 0 then
         perform pg_catalog.pg_notify('rowseal_drift', pg_catalog.pg_backend_pid()::pg_catalog.text);
       end if;
     exception when others then
       null;
     end$rowseal$;

do 'begin
     drop event trigger if exists rowseal_drift;
     create event trigger rowseal_drift on ddl_command_end when tag in (''CREATE POLICY'', ''ALTER POLICY'', ''DROP POLICY'', ''CREATE TABLE'', ''CREATE TABLE AS'', ''SELECT INTO'', ''ALTER TABLE'', ''ALTER INDEX'', ''ALTER TYPE'', ''CREATE SCHEMA'', ''ALTER SCHEMA'', ''DROP TABLE'', ''COMMENT'', ''CREATE FUNCTION'', ''ALTER FUNCTION'', ''DROP FUNCTION'', ''DROP OWNED'') execute function rowseal.notify_drift();
   exception when insufficient_privilege then
     null;
   end';
