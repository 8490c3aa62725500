// SQL of the functions that say, in the WAL, who does what: every message carries an HMAC under a key that only their owner reads (DESIGN §5, Who).

/**
 * The trigger functions run in the user's statement, so nothing in them may fail: without a key they emit nothing, and rows
 * become `unattributed`. They run as their owner under the caller's search_path, so every name in them is qualified and no
 * operator is used. The counter is the WAL's insert position: it only grows, and nobody can set it.
 */
const messageSql = (body: string) => `
  select k.inner_pad, k.outer_pad, k.claims_setting into ipad, opad, claims from rowseal.audit_key k;
  message := pg_catalog.convert_to(pg_catalog.concat_ws(' ', pg_catalog.pg_current_xact_id(), pg_catalog.pg_backend_pid(),
    pg_catalog.pg_current_wal_insert_lsn(), ${body}), 'UTF8');
  position := pg_catalog.pg_logical_emit_message(true, 'rowseal', pg_catalog.byteacat(
    pg_catalog.sha256(pg_catalog.byteacat(opad, pg_catalog.sha256(pg_catalog.byteacat(ipad, message)))), message));`;

const declarations = `ipad pg_catalog.bytea; opad pg_catalog.bytea; claims pg_catalog.text; message pg_catalog.bytea; position pg_catalog.pg_lsn;`;

const openBody = `pg_catalog.json_build_array('o', TG_RELID::pg_catalog.int8, TG_OP, pg_catalog.pg_trigger_depth(), session_user,
    pg_catalog.current_setting('role', true), pg_catalog.current_setting('rowseal.cu', true), pg_catalog.current_setting(claims, true),
    pg_catalog.current_setting('application_name', true), pg_catalog.host(pg_catalog.inet_client_addr()))`;

const closeBody = `pg_catalog.json_build_array('c', TG_RELID::pg_catalog.int8, TG_OP)`;

/** Tables and functions, in the order of their creation; each statement may be repeated. */
export const auditObjects: readonly string[] = [
  `create table if not exists rowseal.audit_key (
     one boolean primary key default true check (one), inner_pad bytea not null, outer_pad bytea not null, claims_setting text not null)`,
  'alter table rowseal.audit_key enable row level security',
  'revoke all on rowseal.audit_key from public',
  'create table if not exists rowseal.audited (capture text not null, relation oid not null, primary key (capture, relation))',
  // The declared name, where the table itself is declared, and which catalog rows make it captured.
  `alter table rowseal.audited add column if not exists schema_name text, add column if not exists table_name text, add column if not exists pieces text not null default ''`,
  'alter table rowseal.audited enable row level security',
  'revoke all on rowseal.audited from public',
  `create or replace function rowseal.emit(body pg_catalog.text) returns pg_catalog.void language plpgsql security definer as $rowseal$
declare ${declarations}
begin${messageSql('body')}
end $rowseal$`,
  `create or replace function rowseal.audit_open() returns trigger language plpgsql security definer as $rowseal$
declare ${declarations}
begin${messageSql(openBody)}
  return null;
end $rowseal$`,
  `create or replace function rowseal.audit_close() returns trigger language plpgsql security definer as $rowseal$
declare ${declarations}
begin${messageSql(closeBody)}
  return null;
end $rowseal$`,
  `create or replace function rowseal.audit_policy_digest(relation oid) returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $rowseal$
declare digest text;
begin
  if to_regprocedure('rowseal.policy_digest(oid)') is null then return null; end if;
  execute 'select rowseal.policy_digest($1)::text' into digest using relation;
  return case when digest ~ '^[0-9a-f]{64}$' then 'sha256:' || digest else digest end;
end $rowseal$`,
  `create or replace function rowseal.emit_policy_digest(relation oid, kind text, by text) returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $rowseal$
begin
  if exists (select from rowseal.audited a where a.relation = emit_policy_digest.relation) then
    perform rowseal.emit(json_build_array('d', kind, relation::int8, rowseal.audit_policy_digest(relation), session_user, by)::text);
  end if;
end $rowseal$`,
  `create or replace function rowseal.emit_policy_digest(relation oid) returns void language sql security definer
set search_path = pg_catalog, pg_temp as $rowseal$ select rowseal.emit_policy_digest(relation, 'policy.apply', null) $rowseal$`,
  ...['emit(text)', 'audit_open()', 'audit_close()', 'audit_policy_digest(oid)', 'emit_policy_digest(oid)', 'emit_policy_digest(oid, text, text)'].map(
    (signature) => `revoke all on function rowseal.${signature} from public`,
  ),
];

/**
 * Policy and table DDL by anybody else. A failure here must not break the user's DDL: it is swallowed, and the poll of the
 * capture finds the new digest within ten seconds and seals it as polled.
 */
export function policyDdlObjects(lock: { readonly classid: number; readonly objid: number }): readonly string[] {
  return [
    `create or replace function rowseal.audit_policy_ddl() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $rowseal$
declare changed oid;
begin
  if session_user = current_user and exists (select from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid() and l.granted
      and l.classid = ${lock.classid}::oid and l.objid = ${lock.objid}::oid and l.objsubid = 1) then
    return;
  end if;
  if tg_event = 'sql_drop' then
    for changed in select distinct c.oid from pg_event_trigger_dropped_objects() d
        join pg_namespace n on n.nspname = d.address_names[1] join pg_class c on c.relnamespace = n.oid and c.relname = d.address_names[2]
        where d.object_type = 'policy' loop
      perform rowseal.emit_policy_digest(changed, 'policy.drift', tg_tag);
    end loop;
  else
    for changed in select p.polrelid from pg_event_trigger_ddl_commands() d join pg_policy p on p.oid = d.objid where d.classid = 'pg_policy'::regclass
        union select d.objid from pg_event_trigger_ddl_commands() d where d.classid = 'pg_class'::regclass loop
      perform rowseal.emit_policy_digest(changed, 'policy.drift', tg_tag);
    end loop;
  end if;
exception when others then null;
end $rowseal$`,
    'revoke all on function rowseal.audit_policy_ddl() from public',
    'drop event trigger if exists rowseal_audit_ddl',
    'drop event trigger if exists rowseal_audit_drop',
    `create event trigger rowseal_audit_ddl on ddl_command_end when tag in ('CREATE POLICY', 'ALTER POLICY', 'ALTER TABLE') execute function rowseal.audit_policy_ddl()`,
    `create event trigger rowseal_audit_drop on sql_drop when tag in ('DROP POLICY') execute function rowseal.audit_policy_ddl()`,
  ];
}

/** The effective user is taken in WHEN, as the caller: inside the function it is the owner. */
export function triggerSql(table: string): readonly string[] {
  const events = 'insert or update or delete or truncate';
  return [
    `create or replace trigger rowseal_open before ${events} on ${table} for each statement
       when (pg_catalog.set_config('rowseal.cu', current_user::text, true) is not null) execute function rowseal.audit_open()`,
    `create or replace trigger rowseal_close after ${events} on ${table} for each statement execute function rowseal.audit_close()`,
    `alter table ${table} enable always trigger rowseal_open, enable always trigger rowseal_close`,
  ];
}
