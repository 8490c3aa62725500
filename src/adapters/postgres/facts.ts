// What a connected server is and what our role may do there.
import { RowsealError } from '../../model/errors.ts';
import type { Capability, ConnectionTarget, ServerFacts } from '../../ports/database.ts';
import { describeTarget, errorCodeOf } from './database-error.ts';
import type { RunQuery } from './run-query.ts';

const oldestVersion = 150000;

interface FactsRow {
  readonly versionNumber: number;
  readonly version: string;
  readonly database: string;
  readonly user: string;
  readonly walLevel: string;
  readonly standby: boolean;
  readonly superuser: boolean;
  readonly bypass: boolean;
  readonly createrole: boolean;
  readonly replication: boolean;
}

/** Reads the facts. Throws DatabaseConflict for a version below 15, DatabaseUnreachable (retryable) for a standby. */
export async function readFacts(query: RunQuery, target: ConnectionTarget): Promise<ServerFacts> {
  const [row] = await query<FactsRow>(
    `select current_setting('server_version_num')::int as "versionNumber", split_part(current_setting('server_version'), ' ', 1) as version,
            current_database()::text as database, current_user::text as user, current_setting('wal_level') as "walLevel",
            pg_is_in_recovery() as standby, rolsuper as superuser, rolbypassrls as bypass, rolcreaterole as createrole, rolreplication as replication
       from pg_catalog.pg_roles where rolname = current_user`,
  );
  if (row === undefined) throw new RowsealError('DatabaseConflict', 'the server does not know our own role', { object: describeTarget(target), retryable: true });
  if (row.versionNumber < oldestVersion) {
    throw new RowsealError('DatabaseConflict', `PostgreSQL ${row.version} is not supported`, { object: describeTarget(target), next: 'upgrade the server to PostgreSQL 15 or newer' });
  }
  if (row.standby) {
    throw new RowsealError('DatabaseUnreachable', 'the server is a standby, which takes no changes', { object: describeTarget(target), next: 'give the address of the primary', retryable: true });
  }
  return {
    version: row.version,
    versionNumber: row.versionNumber,
    systemIdentifier: await systemIdentifier(query, target),
    database: row.database,
    user: row.user,
    capabilities: capabilitiesOf(row),
  };
}

function capabilitiesOf(row: FactsRow): readonly Capability[] {
  const all: readonly (readonly [Capability, boolean])[] = [
    ['LogicalDecoding', row.walLevel === 'logical' && (row.superuser || row.replication)],
    ['EventTriggers', row.superuser],
    ['BypassRLS', row.superuser || row.bypass],
    ['CreateRole', row.superuser || row.createrole],
    ['Superuser', row.superuser],
  ];
  return all.filter(([, has]) => has).map(([name]) => name);
}

/** Open to everybody by default, but a hardened server may have revoked it. */
async function systemIdentifier(query: RunQuery, target: ConnectionTarget): Promise<string> {
  try {
    const [row] = await query<{ id: string }>('select system_identifier::text as id from pg_catalog.pg_control_system()');
    return row?.id ?? '';
  } catch (error) {
    if (errorCodeOf(error) !== '42501') throw error;
    throw new RowsealError('DatabasePrivilege', 'our role may not read the system identifier', {
      object: describeTarget(target),
      next: 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO our role',
    });
  }
}
