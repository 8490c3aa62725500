// SQL of the event trigger that captures a partition from its birth: triggers and before-images in the transaction that makes or attaches it (DESIGN §5, Who).
import { inheritsSql, triggersStandSql } from './coverage-triggers.ts';
import { quoteLiteral } from './quote.ts';
import { statementTriggersSql } from './statement-functions.ts';

const bornSql = `
      select distinct on (t.relid) t.relid as oid, n.nspname, c.relname, c.relkind, c.relreplident, bool_or(a.statements) over (partition by t.relid) as statements,
        bool_or(a.full_identity) over (partition by t.relid) as full_identity,
        exists (select from pg_index i where i.indrelid = t.relid and i.indisprimary) as keyed
      from rowseal.audited a join pg_class r on r.oid = a.relation and r.relkind = 'p' cross join lateral pg_partition_tree(a.relation) t
        join pg_class c on c.oid = t.relid and c.relkind in ('r', 'p') and c.relpersistence = 'p' join pg_namespace n on n.oid = c.relnamespace
      where not exists (select from rowseal.audited b where b.capture = a.capture and b.relation = t.relid)`;

const executed = statementTriggersSql('%1$I.%2$I', 'audit_end').map((statement) => `        execute format(${quoteLiteral(statement)}, born.nspname, born.relname);`).join('\n');

/** A failure must not break the user's DDL: the next look finds the partition. Without full before-images nor key its first update would fail. */
export const bornPartitionObjects: readonly string[] = [
  `create or replace function rowseal.audit_born() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $rowseal$
declare born record;
begin
  for born in${bornSql} loop
    if born.relkind = 'r' and born.relreplident <> 'f' and (born.full_identity or born.relreplident = 'n' or (born.relreplident = 'd' and not born.keyed)) then
      execute format('alter table %1$I.%2$I replica identity full', born.nspname, born.relname);
    end if;
    -- These are commands like others, so that this function runs within itself: what stands is left alone.
    if born.statements and ${inheritsSql('born.oid')} and not ${triggersStandSql('born.oid')} then
${executed}
    end if;
  end loop;
exception when others then null;
end $rowseal$`,
  'revoke all on function rowseal.audit_born() from public',
  'drop event trigger if exists rowseal_audit_born',
  `create event trigger rowseal_audit_born on ddl_command_end when tag in ('CREATE TABLE', 'ALTER TABLE') execute function rowseal.audit_born()`,
  'alter event trigger rowseal_audit_born enable always',
];
