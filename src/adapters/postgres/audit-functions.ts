// SQL of the capture's tables and functions; what they write into the WAL carries an HMAC under a key that only their owner reads (DESIGN §5, Who).
import { quoteLiteral } from './quote.ts';
import { hmacMessageSql, type StatementFunctions, statementObjects } from './statement-functions.ts';

/** Tables and functions, in the order of their creation; each statement may be repeated. */
export function auditObjects(options: StatementFunctions): readonly string[] {
  return [
    `create table if not exists rowseal.audit_key (
     one boolean primary key default true check (one), inner_pad bytea not null, outer_pad bytea not null, claims_setting text not null)`,
    // Since when nobody but us may write messages, and whether that is relied on.
    unless(hasColumns('audit_key', ['proof', 'revoked_at']), `alter table rowseal.audit_key add column if not exists proof text not null default 'Hmac', add column if not exists revoked_at timestamptz`),
    unless(isGuarded('audit_key'), 'alter table rowseal.audit_key enable row level security'),
    'revoke all on rowseal.audit_key from public',
    'create table if not exists rowseal.audited (capture text not null, relation oid not null, primary key (capture, relation))',
    // Whether statements say who runs them, whether partitions born below get full before-images, the declared name, where the table itself is declared, and which catalog rows make it captured.
    unless(
      hasColumns('audited', ['statements', 'full_identity', 'schema_name', 'table_name', 'pieces']),
      `alter table rowseal.audited add column if not exists statements boolean not null default true, add column if not exists full_identity boolean not null default false,
     add column if not exists schema_name text, add column if not exists table_name text, add column if not exists pieces text not null default ''`,
    ),
    unless(isGuarded('audited'), 'alter table rowseal.audited enable row level security'),
    'revoke all on rowseal.audited from public',
    `create or replace function rowseal.emit(body pg_catalog.text) returns pg_catalog.void language plpgsql security definer as $rowseal$
declare ipad pg_catalog.bytea; opad pg_catalog.bytea; message pg_catalog.bytea; position pg_catalog.pg_lsn;
begin
${hmacMessageSql('body', options.encoding)}
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
    ...['emit(text)', 'audit_policy_digest(oid)', 'emit_policy_digest(oid)', 'emit_policy_digest(oid, text, text)'].map(
      (signature) => `revoke all on function rowseal.${signature} from public`,
    ),
    ...statementObjects(options),
  ];
}

/** Our tables are read in users' transactions: an ALTER TABLE that changes nothing would wait for all of these, and new ones for it. */
function unless(condition: string, statement: string): string {
  return `do $once$ begin if not (${condition}) then ${statement}; end if; end $once$`;
}

function hasColumns(table: string, columns: readonly string[]): string {
  const names = columns.map((column) => quoteLiteral(column)).join(', ');
  return `select count(*) = ${columns.length} from pg_catalog.pg_attribute where attrelid = 'rowseal.${table}'::pg_catalog.regclass and attname in (${names}) and not attisdropped`;
}

function isGuarded(table: string): string {
  return `select relrowsecurity from pg_catalog.pg_class where oid = 'rowseal.${table}'::pg_catalog.regclass`;
}

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
