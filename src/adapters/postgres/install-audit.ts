// Installs the capture, step by step: key, functions, triggers, replica identity, publication; repeated, it changes nothing.
import { auditedClaimsSetting, type ClaimsConfiguration } from '../../model/claims.ts';
import type { MendedCoverage } from '../../ports/audit-coverage.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import { type AuditCatalog, type CatalogTable, publishesAllSql, readCatalog } from './audit-catalog.ts';
import { policyDdlObjects } from './audit-functions.ts';
import { bornPartitionObjects } from './born-partitions.ts';
import { rememberColumns } from './column-catalog.ts';
import { brokenCoverage, interruptedMeanwhile, needsFullIdentity, obstacle, standsComplete } from './coverage-problems.ts';
import { ddlObjects, ddlTriggersStandSql } from './ddl-functions.ts';
import { grantObjects, type Installable, installable, restoreMessages, revokeMessages, rightsStandSql } from './message-proof.ts';
import { asCreatedSql } from './own-functions.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './session.ts';
import { advisoryLockParts } from './session-start.ts';
import { type StatementFunctions, statementTriggersSql } from './statement-functions.ts';
import { forgetUnsaid, keepUnsaid, readUnsaid } from './unsaid.ts';

export interface AuditInstallation {
  /** Of slot and publication. */
  readonly name: string;
  readonly settings: AuditSettings;
  readonly claims: ClaimsConfiguration;
  /** 32 random bytes, used where no key exists yet. */
  readonly newKey: Uint8Array;
}

/** Only a superuser may have them. */
export function eventObjectsOf(functions: StatementFunctions): readonly string[] {
  return [...policyDdlObjects(advisoryLockParts), ...bornPartitionObjects, ...grantObjects(functions), ...ddlObjects];
}

const hmacBlockBytes = 64;

/** A transaction of its own for each step. */
type Step = <T>(action: (query: RunQuery) => Promise<T>) => Promise<T>;

/**
 * Returns what had been installed and was found broken, and was not said in the WAL yet. Each table is changed in a transaction of its own: holding the lock on one
 * while waiting for the next would make deadlocks with writers, of which they might be the victims. If we die between two steps,
 * the next installation does the rest. Throws what the statements throw.
 */
export async function installAudit(step: Step, installation: AuditInstallation): Promise<readonly MendedCoverage[]> {
  const { name, settings } = installation;
  await step(async (query) => keepUnsaid(query, name, await installObjects(query, installation)));
  const found = await step(async (query) => {
    const catalog = await readCatalog(query, name, settings);
    await keepUnsaid(query, name, brokenCoverage(catalog, settings));
    return catalog;
  });
  const captured = found.tables.filter((table) => obstacle(table, settings) === undefined);
  for (const table of captured) if (isIncomplete(table, settings)) await step((query) => installTable(query, table, settings));
  return step(async (query) => {
    await installPublication(query, captured, name);
    const standing = await readCatalog(query, name, settings);
    await keepUnsaid(query, name, interruptedMeanwhile(standing, await readUnsaid(query, name)));
    await record(query, standing, installation);
    return readUnsaid(query, name);
  });
}

/** `Complete`: installing would change nothing. `Unsaid`: only that the WAL was not told yet what had been broken before. */
type InstallationState = 'Complete' | 'Unsaid' | 'Incomplete';

export async function installationState(query: RunQuery, catalog: AuditCatalog, { name, settings, claims }: Omit<AuditInstallation, 'newKey'>): Promise<InstallationState> {
  if ((await brokenObjects(query, await installable(query, claims, eventObjectsOf))) !== undefined || !standsComplete(catalog, settings)) return 'Incomplete';
  const captured = catalog.tables.filter((table) => obstacle(table, settings) === undefined);
  const [row] = await query<{ recorded: number; published: number; there: boolean; unsaid: boolean }>(
    `select (select count(*)::int from rowseal.audited where capture = $1) as recorded,
            (select count(*)::int from pg_publication p join pg_publication_rel r on r.prpubid = p.oid where p.pubname = $1) as published,
            exists (select from pg_publication where pubname = $1) as there, exists (select from rowseal.audit_unsaid where capture = $1) as unsaid`,
    [name],
  );
  if (row?.there !== true || row.recorded !== captured.length || row.published !== captured.filter((table) => table.declared).length) return 'Incomplete';
  return row.unsaid ? 'Unsaid' : 'Complete';
}

interface ObjectsState {
  readonly version: string | null;
  readonly functions: boolean;
  /** Whether everybody may call what statements on audited tables call: without that their writes fail. */
  readonly rights: boolean;
  readonly triggers: boolean;
}

/** What does not stand as this version installs it; undefined when all does. */
async function brokenObjects(query: RunQuery, { objects, eventObjects, version, superuser }: Installable): Promise<readonly MendedCoverage[] | undefined> {
  const [state] = await query<ObjectsState>(
    `select obj_description(to_regprocedure('rowseal.audit_open()'), 'pg_proc') as version, ${asCreatedSql(objects)} as functions, ${rightsStandSql} as rights,
       (${ddlTriggersStandSql} and ${asCreatedSql(eventObjects)}) as triggers`,
  );
  // A first installation, or another version's, is no tampering.
  if (state === undefined || state.version !== version) return [];
  const broken: MendedCoverage[] = [];
  if (!state.functions) broken.push({ problem: 'FunctionReplaced' });
  if (!state.rights) broken.push({ problem: 'RightsTaken' });
  if (superuser && !state.triggers) broken.push({ problem: 'EventTriggerMissing' });
  return broken.length === 0 ? undefined : broken;
}

async function installObjects(query: RunQuery, { claims, newKey }: AuditInstallation): Promise<readonly MendedCoverage[]> {
  const wanted = await installable(query, claims, eventObjectsOf);
  const broken = await brokenObjects(query, wanted);
  if (broken !== undefined) {
    const [schema] = await query<{ there: boolean }>(`select to_regnamespace('rowseal') is not null as there`);
    if (schema?.there !== true) await query('create schema rowseal');
    for (const statement of wanted.objects) await query(statement);
    // Nobody else may create event triggers; without them policy changes and DDL by others are found by comparing the catalog.
    if (wanted.superuser) for (const statement of wanted.eventObjects) await query(statement);
    await query(`comment on function rowseal.audit_open() is ${quoteLiteral(wanted.version)}`);
  }
  const claimsSetting = auditedClaimsSetting(claims);
  const pad = (byte: number) => Buffer.alloc(hmacBlockBytes, byte).map((value, index) => value ^ (newKey[index] ?? 0));
  await query('insert into rowseal.audit_key (inner_pad, outer_pad, claims_setting) values ($1, $2, $3) on conflict (one) do nothing', [
    Buffer.from(pad(0x36)),
    Buffer.from(pad(0x5c)),
    claimsSetting,
  ]);
  await query('update rowseal.audit_key set claims_setting = $1 where claims_setting <> $1', [claimsSetting]);
  await revokeMessages(query, wanted);
  return broken ?? [];
}

function isIncomplete(table: CatalogTable, settings: AuditSettings): boolean {
  return needsFullIdentity(table, settings) || table.triggersUnused || (table.context !== 'Transaction' && !table.triggersStand);
}

/** Only what is missing is changed, since each of these takes a lock that writers wait for. */
async function installTable(query: RunQuery, table: CatalogTable, settings: AuditSettings): Promise<void> {
  const quoted = quoteTable(table);
  if (needsFullIdentity(table, settings)) await query(`alter table ${quoted} replica identity full`);
  if (table.context === 'Transaction') {
    if (table.triggersUnused) for (const statement of dropTriggersSql(quoted)) await query(statement);
  } else if (!table.triggersStand) for (const statement of statementTriggersSql(quoted, table.inherits ? 'audit_end' : 'audit_close')) await query(statement);
}

function dropTriggersSql(quoted: string): readonly string[] {
  return [`drop trigger if exists rowseal_open on ${quoted}`, `drop trigger if exists rowseal_close on ${quoted}`];
}

async function installPublication(query: RunQuery, tables: readonly CatalogTable[], name: string): Promise<void> {
  const declared = tables.filter((table) => table.declared);
  const list = declared.map((table) => `table only ${quoteTable(table)}`).join(', ');
  const [server] = await query<{ sendsGenerated: boolean }>(`select current_setting('server_version_num')::int >= 180000 as "sendsGenerated"`);
  const generated = server?.sendsGenerated === true ? ', publish_generated_columns = stored' : '';
  const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = false${generated}`;
  const [row] = await query<{ count: number; options: boolean }>(
    `select (select count(*)::int from pg_publication_rel r where r.prpubid = p.oid) as count,
            ${publishesAllSql('p')} as options from pg_publication p where p.pubname = $1`,
    [name],
  );
  if (row === undefined) {
    await query(`create publication ${quoteName(name)} ${list === '' ? '' : `for ${list} `}with (${options})`);
    return;
  }
  if (!row.options) await query(`alter publication ${quoteName(name)} set (${options})`);
  if (row.count === declared.length && declared.every((table) => table.publication === 'whole')) return;
  if (list !== '') await query(`alter publication ${quoteName(name)} set ${list}`);
  else await dropAllTables(query, name);
}

/** `SET TABLE` needs at least one. */
async function dropAllTables(query: RunQuery, name: string): Promise<void> {
  const rows = await query<{ schema: string; table: string }>(
    `select n.nspname::text as schema, c.relname::text as "table" from pg_publication p join pg_publication_rel r on r.prpubid = p.oid join pg_class c on c.oid = r.prrelid
       join pg_namespace n on n.oid = c.relnamespace where p.pubname = $1`,
    [name],
  );
  for (const table of rows) await query(`alter publication ${quoteName(name)} drop table only ${quoteTable(table)}`);
}

/** What is captured from now on, and by which catalog rows, so that the next look sees whether these are still the same. */
async function record(query: RunQuery, { tables }: AuditCatalog, { name, settings }: AuditInstallation): Promise<void> {
  const captured = tables.filter((table) => obstacle(table, settings) === undefined);
  await query('delete from rowseal.audited where capture = $1 and not (relation = any ($2::oid[]))', [name, captured.map((table) => table.oid)]);
  for (const { oid, pieces, declared, declaredAs, context } of captured) {
    await query(
      `insert into rowseal.audited as a (capture, relation, pieces, schema_name, table_name, statements, full_identity) values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (capture, relation) do update set pieces = excluded.pieces, schema_name = excluded.schema_name, table_name = excluded.table_name,
         statements = excluded.statements, full_identity = excluded.full_identity
         where (a.pieces, a.schema_name, a.table_name, a.statements, a.full_identity)
           is distinct from (excluded.pieces, excluded.schema_name, excluded.table_name, excluded.statements, excluded.full_identity)`,
      [name, oid, pieces, declared ? declaredAs.schema : null, declared ? declaredAs.table : null, context !== 'Transaction', settings.replicaIdentity === 'Full'],
    );
  }
  await rememberColumns(query, name, captured.map(({ oid, resolvedColumns }) => ({ oid, known: resolvedColumns?.known ?? [] })));
}

/** What they do matters to nobody who only asks for their names. */
const noStatements: StatementFunctions = { proof: 'Hmac', claims: { type: 'Role' }, checksClaims: false, closes: 'Always', encoding: 'UTF8' };

/** Takes away what no other log needs. If we die in between, calling it again finishes. */
export async function removeAudit(query: RunQuery, name: string): Promise<void> {
  await query(`drop publication if exists ${quoteName(name)}`);
  const [there] = await query<{ there: boolean; superuser: boolean }>(
    `select to_regclass('rowseal.audited') is not null as there, (select rolsuper from pg_roles where rolname = current_user) as superuser`,
  );
  if (there?.there !== true) return;
  const tables = await query<{ schema: string; table: string }>(
    `select n.nspname::text as schema, c.relname::text as "table" from rowseal.audited a join pg_class c on c.oid = a.relation join pg_namespace n on n.oid = c.relnamespace
      where a.capture = $1 and not exists (select from rowseal.audited o where o.relation = a.relation and o.capture <> $1)`,
    [name],
  );
  for (const table of tables) for (const statement of dropTriggersSql(quoteTable(table))) await query(statement);
  await query('delete from rowseal.audited where capture = $1', [name]);
  await query('delete from rowseal.audit_environment where capture = $1', [name]);
  await query('delete from rowseal.audited_column where capture = $1', [name]);
  await forgetUnsaid(query, name);
  const [left] = await query<{ captures: boolean }>('select exists (select from rowseal.audited) as captures');
  if (left?.captures === true || !there.superuser) return;
  // With the last capture nobody reads what they say.
  for (const statement of eventObjectsOf(noStatements)) if (statement.startsWith('drop event trigger')) await query(statement);
  await restoreMessages(query);
}
