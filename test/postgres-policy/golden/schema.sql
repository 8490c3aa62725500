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

create table if not exists rowseal.policy_owner (owner text primary key, revision int8 not null);

revoke all on rowseal.governed_table, rowseal.governed_policy, rowseal.policy_owner from public;

create or replace function rowseal.policy_digest(table_oid oid) returns text language sql stable set search_path = 'pg_catalog', 'pg_temp' set DateStyle = 'ISO', 'YMD' set IntervalStyle = 'postgres' set TimeZone = 'UTC' set bytea_output = 'hex' set extra_float_digits = '1' set quote_all_identifiers = 'off' set standard_conforming_strings = 'on'
     as 'select encode(sha256(convert_to((json_build_array(c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
    coalesce((select json_agg(json_build_array(dp.polname, dp.polpermissive, dp.polcmd, case when dp.polroles = array[0::oid] then array[''PUBLIC''::text]
    else array(select r.rolname::text from pg_catalog.pg_roles r where r.oid = any (dp.polroles) order by r.rolname) end,
        pg_get_expr(dp.polqual, dp.polrelid), pg_get_expr(dp.polwithcheck, dp.polrelid)) order by dp.polname)
      from pg_catalog.pg_policy dp where dp.polrelid = c.oid), ''[]''::json)))::text, ''UTF8'')), ''hex'') from pg_catalog.pg_class c where c.oid = $1';

create or replace function rowseal.input_is_valid(value text, type_name text) returns boolean
     language plpgsql stable strict parallel unsafe set search_path = pg_catalog, pg_temp
     as 'begin
       execute pg_catalog.format(''select cast($1 as %s)'', pg_catalog.format_type($2::pg_catalog.regtype, -1)) using $1;
       return true;
     exception when others then
       return false;
     end';

create or replace function rowseal.notify_drift() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp
     as 'begin
       if pg_catalog.current_setting(''max_prepared_transactions'')::pg_catalog.int4 = 0 then
         perform pg_catalog.pg_notify(''rowseal_drift'', pg_catalog.pg_backend_pid()::pg_catalog.text);
       end if;
     exception when others then
       null;
     end';

do 'begin
     if not exists (select from pg_catalog.pg_event_trigger where evtname = ''rowseal_drift'') then
       create event trigger rowseal_drift on ddl_command_end when tag in (''CREATE POLICY'', ''ALTER POLICY'', ''DROP POLICY'', ''CREATE TABLE'', ''CREATE TABLE AS'', ''SELECT INTO'', ''ALTER TABLE'', ''DROP TABLE'', ''COMMENT'', ''CREATE FUNCTION'', ''ALTER FUNCTION'', ''DROP FUNCTION'', ''DROP OWNED'') execute function rowseal.notify_drift();
     end if;
   exception when insufficient_privilege then
     null;
   end';
