// Installs the capture in one transaction: key, functions, triggers, replica identity, publication; repeated, it changes nothing.
import type { MendedCoverage } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import { RowsealError } from '../../model/errors.ts';
import { type CatalogTable, needsFullIdentity, readTables, standsComplete } from './audit-catalog.ts';
import { auditObjects, policyDdlObjects, triggerSql } from './audit-functions.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './session.ts';
import { advisoryLockParts } from './session-start.ts';

export interface AuditInstallation {
  /** Of slot and publication. */
  readonly name: string;
  readonly settings: AuditSettings;
  readonly claimsSetting: string;
  /** 32 random bytes, used where no key exists yet. */
  readonly newKey: Uint8Array;
}

const schemaVersion = 'rowseal audit 1';
const hmacBlockBytes = 64;

/**
 * Runs inside the caller's transaction. If we die before its commit, nothing is there; after it, everything is. Throws
 * DatabaseObjectMissing, DatabaseConflict (unlogged table), and what the statements throw.
 */
export async function installAudit(query: RunQuery, installation: AuditInstallation): Promise<readonly MendedCoverage[]> {
  await installObjects(query, installation);
  const { name, settings } = installation;
  const tables = await readTables(query, name, settings);
  const mended: MendedCoverage[] = [];
  for (const table of tables) mended.push(...(await installTable(query, table, installation)));
  await installPublication(query, tables, installation);
  await query('delete from rowseal.audited where capture = $1 and not (relation = any ($2::oid[]))', [name, tables.map((table) => table.oid)]);
  await query('insert into rowseal.audited (capture, relation) select $1, unnest($2::oid[]) on conflict do nothing', [name, tables.map((table) => table.oid)]);
  return mended;
}

/** Whether installing would change nothing. */
export async function isInstalled(query: RunQuery, name: string, settings: AuditSettings): Promise<boolean> {
  if ((await installedVersion(query)) !== schemaVersion) return false;
  const tables = await readTables(query, name, settings);
  const [row] = await query<{ recorded: number; published: number }>(
    `select (select count(*)::int from rowseal.audited where capture = $1) as recorded,
            (select count(*)::int from pg_publication p join pg_publication_rel r on r.prpubid = p.oid where p.pubname = $1) as published`,
    [name],
  );
  const declared = tables.filter((table) => table.declared).length;
  return row?.recorded === tables.length && row.published === declared && tables.every((table) => standsComplete(table, settings));
}

async function installObjects(query: RunQuery, { claimsSetting, newKey }: AuditInstallation): Promise<void> {
  if ((await installedVersion(query)) !== schemaVersion) {
    const [schema] = await query<{ there: boolean }>(`select to_regnamespace('rowseal') is not null as there`);
    if (schema?.there !== true) await query('create schema rowseal');
    for (const statement of auditObjects) await query(statement);
    const [right] = await query<{ superuser: boolean }>('select rolsuper as superuser from pg_roles where rolname = current_user');
    // Nobody else may create event triggers; without them policy changes by others are found by polling.
    if (right?.superuser === true) for (const statement of policyDdlObjects(advisoryLockParts)) await query(statement);
    await query(`comment on function rowseal.audit_open() is ${quoteLiteral(schemaVersion)}`);
  }
  const pad = (byte: number) => Buffer.alloc(hmacBlockBytes, byte).map((value, index) => value ^ (newKey[index] ?? 0));
  await query('insert into rowseal.audit_key (inner_pad, outer_pad, claims_setting) values ($1, $2, $3) on conflict (one) do nothing', [
    Buffer.from(pad(0x36)),
    Buffer.from(pad(0x5c)),
    claimsSetting,
  ]);
  await query('update rowseal.audit_key set claims_setting = $1 where claims_setting <> $1', [claimsSetting]);
}

async function installedVersion(query: RunQuery): Promise<string | undefined> {
  const [row] = await query<{ version: string | null }>(`select obj_description(to_regprocedure('rowseal.audit_open()'), 'pg_proc') as version`);
  return row?.version ?? undefined;
}

/** Only what is missing is changed, since each of these takes a lock that writers wait for. */
async function installTable(query: RunQuery, table: CatalogTable, { settings }: AuditInstallation): Promise<readonly MendedCoverage[]> {
  const { schema, table: name } = table;
  const quoted = quoteTable({ schema, table: name });
  if (table.persistence !== 'p') {
    throw new RowsealError('DatabaseConflict', `table ${schema}.${name} is not a logged table, so its changes are not in the WAL`, {
      object: `table ${schema}.${name}`,
      next: 'ALTER TABLE … SET LOGGED, or take it out of the AuditPolicy',
    });
  }
  if (needsFullIdentity(table, settings)) await query(`alter table ${quoted} replica identity full`);
  if (table.triggers !== 2) for (const statement of triggerSql(quoted)) await query(statement);
  if (!table.recorded) return [];
  const mended: MendedCoverage[] = [];
  if (table.declared && !table.published) mended.push({ schema, table: name, problem: 'NotPublished' });
  if (table.triggers !== 2) mended.push({ schema, table: name, problem: 'TriggerMissing' });
  return mended;
}

async function installPublication(query: RunQuery, tables: readonly CatalogTable[], { name }: AuditInstallation): Promise<void> {
  const declared = tables.filter((table) => table.declared);
  const list = declared.map((table) => `table only ${quoteTable(table)}`).join(', ');
  const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = false`;
  const [row] = await query<{ count: number | null }>(
    `select (select count(*)::int from pg_publication_rel r where r.prpubid = p.oid) as count from pg_publication p where p.pubname = $1`,
    [name],
  );
  if (row === undefined) await query(`create publication ${quoteName(name)} for ${list} with (${options})`);
  else if (row.count !== declared.length || declared.some((table) => !table.published)) {
    await query(`alter publication ${quoteName(name)} set ${list}`);
    await query(`alter publication ${quoteName(name)} set (${options})`);
  }
}

/** Takes away what no other log needs. If we die in between, calling it again finishes. */
export async function removeAudit(query: RunQuery, name: string): Promise<void> {
  await query(`drop publication if exists ${quoteName(name)}`);
  const [there] = await query<{ there: boolean }>(`select to_regclass('rowseal.audited') is not null as there`);
  if (there?.there !== true) return;
  const tables = await query<{ schema: string; table: string }>(
    `select n.nspname::text as schema, c.relname::text as "table" from rowseal.audited a join pg_class c on c.oid = a.relation join pg_namespace n on n.oid = c.relnamespace
      where a.capture = $1 and not exists (select from rowseal.audited o where o.relation = a.relation and o.capture <> $1)`,
    [name],
  );
  for (const table of tables) {
    await query(`drop trigger if exists rowseal_open on ${quoteTable(table)}`);
    await query(`drop trigger if exists rowseal_close on ${quoteTable(table)}`);
  }
  await query('delete from rowseal.audited where capture = $1', [name]);
}
