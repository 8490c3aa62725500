// What Rowseal keeps inside a database for policies: schema rowseal, records of what was applied, functions, the drift trigger.
import { createHash } from 'node:crypto';
import { deparseSettings, tableDigestSql } from './digest-sql.ts';
import { fenceSchemaSql } from './fence.ts';
import { guardSchemaSql } from './guard-sql.ts';
import { environmentSchemaSql } from './role-changes.ts';
import { quoteLiteral } from './quote.ts';

export const driftChannel = 'rowseal_drift';

const functionSettings = deparseSettings.map(([name, value]) => `set ${name} = ${value.split(', ').map(quoteLiteral).join(', ')}`).join(' ');

const statements = [
  `create schema if not exists rowseal`,
  `grant usage on schema rowseal to public`,
  // Flags before anybody's first apply: what deletionPolicy Restore brings back.
  `create table if not exists rowseal.governed_table (
     table_oid oid primary key, row_security_before boolean not null, forced_before boolean not null)`,
  // Digests of what we applied: a comment could be doctored together with the expression it vouches for.
  `create table if not exists rowseal.governed_policy (
     table_oid oid not null, policy_name text not null, owner text not null, rule text not null,
     definition text not null, deparsed text not null, primary key (table_oid, policy_name))`,
  // What the expressions were compiled from: what a change is proven narrower by.
  `alter table rowseal.governed_policy add column if not exists tree jsonb`,
  // What was in force by our own hand, to tell a repair from a change: the policy's whole state, and the declared row security.
  `alter table rowseal.governed_policy add column if not exists state text not null default ''`,
  `alter table rowseal.governed_table add column if not exists declared text not null default ''`,
  // Found as declared, and only recorded: its comment is not ours to demand.
  `alter table rowseal.governed_policy add column if not exists adopted boolean not null default false`,
  // Whom it admitted or bound by our hand, to tell a manifest's change from one by somebody else.
  `alter table rowseal.governed_policy add column if not exists roles text[] not null default '{}'`,
  // RowPolicies that a table which the guard closed at birth still waits for.
  `alter table rowseal.governed_table add column if not exists pending_owners text[] not null default '{}'`,
  // How often each owner applied something: an approval of a plan is for one time only.
  `create table if not exists rowseal.policy_owner (owner text primary key, revision int8 not null)`,
  `revoke all on rowseal.governed_table, rowseal.governed_policy, rowseal.policy_owner from public`,
  `create or replace function rowseal.policy_digest(table_oid oid) returns text language sql stable ${functionSettings}
     as $rowseal$select ${tableDigestSql('c')} from pg_catalog.pg_class c where c.oid = $1$rowseal$`,
  // For PostgreSQL 15, and for types of extensions whose input functions raise. The block's subtransaction forbids parallel plans.
  `create or replace function rowseal.input_is_valid(value text, type_name text) returns boolean
     language plpgsql stable strict parallel unsafe set search_path = pg_catalog, pg_temp
     as $rowseal$begin
       execute pg_catalog.format('select cast($1 as %s)', pg_catalog.format_type($2::pg_catalog.regtype, -1)) using $1;
       return true;
     exception when others then
       return false;
     end$rowseal$`,
] as const;

const triggerTags = ['CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'ALTER INDEX', 'ALTER TYPE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'DROP TABLE', 'COMMENT', 'CREATE FUNCTION', 'ALTER FUNCTION', 'DROP FUNCTION', 'DROP OWNED'];

/**
 * Wakes the operator after policy or table DDL; the payload is the backend, so that it can tell its own. It never fails
 * the user's DDL: errors are swallowed, and where two-phase commit is enabled NOTIFY would break PREPARE TRANSACTION, so
 * the poll has to do.
 */
const triggerStatements = [
  `create or replace function rowseal.notify_drift() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp
     as $rowseal$begin
       if pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4 = 0 then
         perform pg_catalog.pg_notify('${driftChannel}', pg_catalog.pg_backend_pid()::pg_catalog.text);
       end if;
     exception when others then
       null;
     end$rowseal$`,
  `do ${quoteLiteral(`begin
     drop event trigger if exists rowseal_drift;
     create event trigger rowseal_drift on ddl_command_end when tag in (${triggerTags.map(quoteLiteral).join(', ')}) execute function rowseal.notify_drift();
   exception when insufficient_privilege then
     null;
   end`)}`,
] as const;

/** Everything, in order; each statement may be repeated. */
export const policySchemaSql: readonly string[] = [...statements, ...fenceSchemaSql, ...environmentSchemaSql, ...guardSchemaSql, ...triggerStatements];

/** Kept as the comment on `rowseal.policy_digest`: while it stands, nothing has to be installed again. */
export const policySchemaVersion = `rowseal schema ${createHash('sha256').update(policySchemaSql.join('\n')).digest('hex')}`;
