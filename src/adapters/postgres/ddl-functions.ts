// SQL of the event triggers that put every DDL command into the WAL, in its own transaction and place (DESIGN §5, DDL).
import { triggersStandSql } from './coverage-triggers.ts';
import { advisoryLockParts } from './session-start.ts';

/** An entry names this many objects of one command, and how many there were. */
const maxObjects = 64;
const maxColumns = 256;

/**
 * The effective user is taken as the caller: inside a SECURITY DEFINER function it is the owner. Event triggers fire in the order of
 * their names, so the setting is written right before it is read, whatever the session put there.
 */
const whoSql = `create or replace function rowseal.audit_ddl_who() returns event_trigger language plpgsql as $rowseal$
declare written pg_catalog.text;
begin
  written := pg_catalog.set_config('rowseal.ddl_cu', current_user::pg_catalog.text, true);
exception when others then null;
end $rowseal$`;

const actorSql = `session_user, current_setting('role', true), current_setting('rowseal.ddl_cu', true), current_setting(claims, true),
    current_setting('application_name', true), host(inet_client_addr())`;

/**
 * What GRANT and REVOKE changed, which their event does not say: visible versions written by a transaction that is still in
 * progress can only be our own. So a second grant of one transaction names the objects of the first again, with the rights they have by then.
 */
const grantedSql = `
  select lower(tg_object) as type, pg_describe_object(g.classid, g.objid, 0) as identity, n.nspname::text as schema, null::oid as relation,
         to_jsonb(array(select a::text from unnest(g.acl) a order by 1)) as acl, null::jsonb as columns
    from (select 'pg_class'::regclass::oid as classid, c.oid as objid, c.relnamespace as place, c.relacl as acl, c.xmin from pg_class c where c.relpersistence <> 't'
          union all select 'pg_class'::regclass, c.oid, c.relnamespace, a.attacl, a.xmin from pg_attribute a join pg_class c on c.oid = a.attrelid where a.attacl is not null and c.relpersistence <> 't'
          union all select 'pg_proc'::regclass, p.oid, p.pronamespace, p.proacl, p.xmin from pg_proc p
          union all select 'pg_namespace'::regclass, s.oid, s.oid, s.nspacl, s.xmin from pg_namespace s
          union all select 'pg_type'::regclass, t.oid, t.typnamespace, t.typacl, t.xmin from pg_type t where t.typacl is not null
          union all select 'pg_language'::regclass, l.oid, 0, l.lanacl, l.xmin from pg_language l
          union all select 'pg_foreign_server'::regclass, f.oid, 0, f.srvacl, f.xmin from pg_foreign_server f
          union all select 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwacl, w.xmin from pg_foreign_data_wrapper w) g
    left join pg_namespace n on n.oid = g.place
   where age(g.xmin) <= 0 and pg_xact_status((((now_xid::text::numeric::int8 >> 32) << 32) | g.xmin::text::int8)::text::xid8) = 'in progress'`;

const commandsSql = `
  select d.object_type as type, d.object_identity as identity, d.schema_name as schema, case when d.classid = 'pg_class'::regclass then d.objid end as relation,
         null::jsonb as acl,
         case when d.classid = 'pg_class'::regclass and exists (select from rowseal.audited a where a.relation = d.objid) then
           (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum) from
             (select t.* from pg_attribute t where t.attrelid = d.objid and t.attnum > 0 and not t.attisdropped order by t.attnum limit ${maxColumns}) a) end as columns
    from pg_event_trigger_ddl_commands() d
   where d.schema_name is distinct from 'pg_temp' and d.objid is not null`;

const droppedSql = `
  select d.object_type as type, d.object_identity as identity, d.schema_name as schema, case when d.classid = 'pg_class'::regclass then d.objid end as relation,
         null::jsonb as acl, null::jsonb as columns
    from pg_event_trigger_dropped_objects() d
   where (d.original or d.normal) and not d.is_temporary and d.schema_name is distinct from 'pg_temp'`;

const collectedSql = (rows: string) => `
      select count(*), jsonb_agg(jsonb_strip_nulls(jsonb_build_object('type', o.type, 'identity', o.identity, 'schema', o.schema, 'relation', o.relation::int8, 'acl', o.acl, 'columns', o.columns))
               order by o.place) filter (where o.place <= ${maxObjects})
        into total, objects from (select r.*, row_number() over () as place from (${rows}) r) o;`;

/** Something of ours: named so that nobody else's objects are taken for it, and sealed whatever is asked for. */
const oursSql = `
      select coalesce(bool_or(o ->> 'schema' = 'rowseal' or (o ->> 'type' like 'publication%' and o ->> 'identity' ~ '(^|[^a-z0-9_"])"?rowseal_[0-9a-f]{20}')
               or (o ->> 'type' = 'trigger' and o ->> 'identity' ~ '^rowseal_(open|close) on ')), false) into ours from jsonb_array_elements(objects) o;`;

/**
 * Never fails the user's DDL: what cannot be told is left out, down to the bare command; if even that fails, the comparison of the
 * catalog finds what the command changed. Statement text is never taken: it may hold passwords and values of rows.
 */
const saySql = `create or replace function rowseal.audit_ddl() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $rowseal$
declare
  claims text; total int8 := 0; objects jsonb; lost jsonb; ours boolean := false; rewrite jsonb; now_xid xid8 := pg_current_xact_id(); tg_object text;
begin
  select k.claims_setting into claims from rowseal.audit_key k;
  begin
    if tg_event = 'sql_drop' then${collectedSql(droppedSql)}
      if total = 0 then return; end if;
    elsif tg_event = 'table_rewrite' then
      if exists (select from pg_class c where c.oid = pg_event_trigger_table_rewrite_oid() and c.relpersistence = 't' and pg_event_trigger_table_rewrite_reason() & 1 = 0) then return; end if;
      total := 1;
      select jsonb_build_array(jsonb_build_object('type', 'table', 'identity', i.identity, 'schema', i.schema, 'relation', pg_event_trigger_table_rewrite_oid()::int8)) into objects
        from pg_identify_object('pg_class'::regclass, pg_event_trigger_table_rewrite_oid(), 0) i;
      select jsonb_agg(r.name) into rewrite from (values (1, 'persistence'), (2, 'default'), (4, 'type'), (8, 'accessMethod')) r(bit, name)
       where pg_event_trigger_table_rewrite_reason() & r.bit <> 0;
      -- It was unlogged until now, whether anybody saw it or not.
      if rewrite ? 'persistence' and exists (select from pg_class c where c.oid = pg_event_trigger_table_rewrite_oid() and c.relpersistence = 'u') then rewrite := rewrite || '["logged"]'; end if;
    elsif tg_tag in ('GRANT', 'REVOKE') then
      select d.object_type into tg_object from pg_event_trigger_ddl_commands() d limit 1;${collectedSql(grantedSql)}
    else${collectedSql(commandsSql)}
      -- Only temporary objects, or what sql_drop says already.
      if total = 0 and (tg_tag like 'DROP%' or exists (select from pg_event_trigger_ddl_commands() d where d.objid is not null)) then return; end if;
    end if;${oursSql}
    select jsonb_agg(a.relation::int8) into lost from (select distinct relation from rowseal.audited where statements) a join pg_class c on c.oid = a.relation where not (${triggersStandSql('a.relation')});
  exception when others then
    objects := null; lost := null;
  end;
  -- What the operator does to its own schema is its installation.
  if ours and session_user = current_user and not exists (select from jsonb_array_elements(objects) o where o ->> 'schema' is distinct from 'rowseal')
    and exists (select from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid() and l.granted
      and l.classid = ${advisoryLockParts.classid}::oid and l.objid = ${advisoryLockParts.objid}::oid and l.objsubid = 1) then
    return;
  end if;
  perform rowseal.emit(json_build_array('e', tg_event, tg_tag, total, objects, lost, ours, rewrite, ${actorSql})::text);
exception when others then null;
end $rowseal$`;

/** Nobody but a superuser may create event triggers; ALWAYS, since a session that restores or replicates changes the schema like any other. */
export const ddlObjects: readonly string[] = [
  whoSql,
  saySql,
  'revoke all on function rowseal.audit_ddl_who() from public',
  'revoke all on function rowseal.audit_ddl() from public',
  ...['ddl_command_end', 'sql_drop', 'table_rewrite'].flatMap((event) => [
    `drop event trigger if exists rowseal_audit_1_${event}`,
    `drop event trigger if exists rowseal_audit_2_${event}`,
    `create event trigger rowseal_audit_1_${event} on ${event} execute function rowseal.audit_ddl_who()`,
    `create event trigger rowseal_audit_2_${event} on ${event} execute function rowseal.audit_ddl()`,
    `alter event trigger rowseal_audit_1_${event} enable always`,
    `alter event trigger rowseal_audit_2_${event} enable always`,
  ]),
];

/** Whether all of them stand, switched on. */
export const ddlTriggersStandSql = `(select count(*) = 6 from pg_catalog.pg_event_trigger t join pg_catalog.pg_proc f on f.oid = t.evtfoid
    where t.evtname ~ '^rowseal_audit_[12]_(ddl_command_end|sql_drop|table_rewrite)$' and t.evtenabled = 'A' and f.pronamespace = to_regnamespace('rowseal')
      and f.proname = case when t.evtname like 'rowseal\\_audit\\_1%' then 'audit_ddl_who' else 'audit_ddl' end)`;
