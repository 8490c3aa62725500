// The guard: closes a table that a RowPolicy governs in the very transaction that makes it; the policies follow (DESIGN §5, New tables are born open).
import type { GuardChange } from '../../policy/guard.ts';
import { quoteLiteral } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { sameBodySql } from './own-functions.ts';
import { selectableSql } from './selectable-sql.ts';

/** DDL after which a table can be, or be called, something that it was not before; ALTER INDEX renames tables, too. */
const tags = ['CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'ALTER INDEX', 'ALTER TYPE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE EXTENSION'] as const;

/** One row a RowPolicy: its target as it was last applied. Names bound a selector, too, where grants do. */
const tableSql = `create table if not exists rowseal.guarded (
     owner text primary key, schema_name text not null, table_names text[], is_selector boolean not null, name_like text, column_names text[] not null, forced boolean not null,
     spares_children boolean not null default false)`;

/**
 * Tables that the DDL touched and their descendants, as far as row security is off though they or an ancestor are in a target.
 * One that carries policies of ours is the operator's own business: it finds and mends drift, and says so.
 */
const openTables = `
  with recursive ddl as (
    select d.classid, d.objid from pg_catalog.pg_event_trigger_ddl_commands() d
  ), touched as (
    select d.objid as oid from ddl d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join ddl d on d.objid = c.relnamespace and d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join ddl d on d.objid = c.reloftype and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    union select c.oid from pg_catalog.pg_class c join pg_catalog.pg_type t on t.oid = c.reloftype join ddl d on d.objid = t.typrelid and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  ), family as (
    select t.oid from touched t union select i.inhrelid from pg_catalog.pg_inherits i join family f on f.oid = i.inhparent
  ), candidates as (
    select c.oid, c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity
      from family f join pg_catalog.pg_class c on c.oid = f.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and c.relpersistence <> 't' and not (c.relrowsecurity and c.relforcerowsecurity) and n.nspname <> 'rowseal'
       and not exists (select from rowseal.governed_policy gp join pg_catalog.pg_policy p on p.polrelid = gp.table_oid and p.polname = gp.policy_name where gp.table_oid = c.oid)
  ), ancestry as (
    select c.oid as leaf, c.oid from candidates c union select a.leaf, i.inhparent from pg_catalog.pg_inherits i join ancestry a on a.oid = i.inhrelid
  )
  select c.oid as table_oid, c.nspname as schema_name, c.relname as table_name, c.relrowsecurity as row_security, c.relforcerowsecurity as was_forced,
         min(g.owner) as owner, pg_catalog.jsonb_agg(g.owner) as owners, bool_or(g.forced) as forced
    from candidates c join ancestry a on a.leaf = c.oid join pg_catalog.pg_class r on r.oid = a.oid join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    join rowseal.guarded g on g.schema_name = rn.nspname and (g.table_names is null or r.relname = any (g.table_names)) and (a.leaf = a.oid or not g.spares_children)
      and (not g.is_selector or ((g.name_like is null or r.relname like g.name_like) and ${selectableSql('r', 'rn')}
      and not exists (select from pg_catalog.unnest(g.column_names) as w(name) where not exists (
        select from pg_catalog.pg_attribute t where t.attrelid = r.oid and t.attname = w.name and t.attnum > 0 and not t.attisdropped))))
   group by c.oid, c.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity
  having not c.relrowsecurity or (bool_or(g.forced) and not c.relforcerowsecurity)`;

/**
 * Looking must never fail the DDL of somebody whom no RowPolicy concerns, so its errors are only warned about. A table that is
 * governed and can't be closed fails its DDL: an error is seen at once, an open table may never be. The ALTER TABLE fires this
 * trigger once more, which then finds nothing to close.
 */
const body = `declare
  opened pg_catalog.jsonb;
  found pg_catalog.jsonb;
begin
  begin
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(o)), '[]') into opened from (${openTables}) o;
  exception when others then
    raise warning 'rowseal: the guard of new tables does not work: %', sqlerrm;
    return;
  end;
  for found in select e from pg_catalog.jsonb_array_elements(opened) as e loop
    begin
      -- How the table was born, which deletionPolicy Restore brings back, and whose policies it waits for.
      insert into rowseal.governed_table as t (table_oid, row_security_before, forced_before, pending_owners)
        values ((found ->> 'table_oid')::pg_catalog.oid, (found ->> 'row_security')::pg_catalog.bool, (found ->> 'was_forced')::pg_catalog.bool,
          case when (found ->> 'row_security')::pg_catalog.bool then '{}' else array(select pg_catalog.jsonb_array_elements_text(found -> 'owners')) end)
        on conflict (table_oid) do update set pending_owners = excluded.pending_owners where excluded.pending_owners <> '{}';
      execute pg_catalog.format('alter table %I.%I enable row level security', found ->> 'schema_name', found ->> 'table_name')
        || case when (found ->> 'forced')::pg_catalog.bool then ', force row level security' else '' end;
    exception when others then
      raise exception 'rowseal: table %.% is governed by RowPolicy % and could not be closed: %', found ->> 'schema_name', found ->> 'table_name', found ->> 'owner', sqlerrm
        using errcode = '55000', hint = 'Rowseal refuses a governed table that would show all its rows; change the target of the RowPolicy, or delete its row in rowseal.guarded.';
    end;
  end loop;
end`;

const functionSql = `create or replace function rowseal.guard_tables() returns event_trigger language plpgsql security definer set search_path = pg_catalog, pg_temp
     as ${quoteLiteral(body)}`;

/** ALWAYS: a session that replicates or restores makes tables like any other. Not having the right to is no failure; status says so. */
const triggerSql = `do ${quoteLiteral(`begin
     drop event trigger if exists rowseal_guard;
     create event trigger rowseal_guard on ddl_command_end when tag in (${tags.map(quoteLiteral).join(', ')}) execute function rowseal.guard_tables();
     alter event trigger rowseal_guard enable always;
   exception when insufficient_privilege then
     null;
   end`)}`;

export const guardSchemaSql: readonly string[] = [tableSql, 'revoke all on rowseal.guarded from public', functionSql, 'revoke all on function rowseal.guard_tables() from public', triggerSql];

/** Whether the guard is on duty, and is the one that we installed. */
export const guardActiveSql = `exists (select from pg_catalog.pg_event_trigger t join pg_catalog.pg_proc f on f.oid = t.evtfoid
    where t.evtname = 'rowseal_guard' and t.evtenabled = 'A' and t.evtfoid = to_regprocedure('rowseal.guard_tables()') and f.prosecdef and ${sameBodySql('f', body)})`;

/** What the guard knows about the owner in parameter $4. */
export const guardKnownSql = `(select json_strip_nulls(json_build_object('schema', g.schema_name, 'names', g.table_names, 'forced', g.forced, 'sparesChildren', g.spares_children,
     'selector', case when g.is_selector then json_build_object('like', g.name_like, 'columns', g.column_names) end)) from rowseal.guarded g where g.owner = $4::text)`;

/** Inside the applying transaction and before its steps, so that neither knows without the other. */
export async function writeGuard(query: RunQuery, owner: string, change: GuardChange): Promise<void> {
  if (change.kind === 'Unguard') {
    await query('delete from rowseal.guarded where owner = $1', [owner]);
    return;
  }
  const { schema, names, selector, forced, sparesChildren = false } = change.target;
  await query(
    `insert into rowseal.guarded (owner, schema_name, table_names, is_selector, name_like, column_names, forced, spares_children) values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (owner) do update set schema_name = excluded.schema_name, table_names = excluded.table_names, is_selector = excluded.is_selector,
       name_like = excluded.name_like, column_names = excluded.column_names, forced = excluded.forced, spares_children = excluded.spares_children`,
    [owner, schema, names ?? null, selector !== undefined, selector?.like ?? null, selector?.columns ?? [], forced, sparesChildren],
  );
}
