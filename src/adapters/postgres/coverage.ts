// Looks at what is captured, and says it in the WAL: the configuration in force, markers, what changed around the policies (DESIGN §5, Coverage).
import { formatLsn, type Lsn, parseLsn } from '../../model/branded.ts';
import { auditedClaimsSetting, type ClaimsConfiguration } from '../../model/claims.ts';
import type { EnvironmentReport, MendedCoverage } from '../../ports/audit-coverage.ts';
import type { CaptureConfiguration, CoverageLook } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import { readCatalog } from './audit-catalog.ts';
import { catalogFingerprint } from './catalog-fingerprint.ts';
import { configurationOf, coverageOf, obstacle } from './coverage-problems.ts';
import { ddlTriggersStandSql } from './ddl-functions.ts';
import { lookAtEnvironment } from './environment.ts';
import { installationState } from './install-audit.ts';
import { readProof } from './message-proof.ts';
import { quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { forgetUnsaid } from './unsaid.ts';

export interface Coverage {
  look(query: RunQuery, name: string, settings: AuditSettings): Promise<CoverageLook>;
  reportEnvironment(query: RunQuery, name: string, extent: 'Changes' | 'Whole'): Promise<EnvironmentReport | undefined>;
  emitConfiguration(transaction: Transaction, what: ConfigurationToEmit): Promise<void>;
  emitMarker(query: RunQuery, name: string, nonce: string): Promise<void>;
}

interface ConfigurationToEmit {
  readonly name: string;
  readonly settings: AuditSettings;
  readonly mended: readonly MendedCoverage[];
}

type Transaction = <T>(action: (query: RunQuery) => Promise<T>) => Promise<T>;

/** OIDs of the tables of a configuration in the WAL. */
type EmittedConfiguration = string;

/** What the last looks saw, by capture. It is lost with the process: the log remembers what it needs in its source state. */
interface Seen {
  /** End of the WAL before a look that found all of it standing, and in the WAL: a table that nobody was told of yet is not covered. */
  proven?: Lsn;
  environmentAt?: Lsn;
  emitted?: EmittedConfiguration;
  look?: { readonly fingerprint: string; readonly settings: AuditSettings; readonly found: CoverageLook };
}

const emit = (query: RunQuery, body: unknown) => query('select rowseal.emit($1)', [JSON.stringify(body)]);

export function createCoverage({ claims }: { readonly claims: ClaimsConfiguration }): Coverage {
  const seenOf = new Map<string, Seen>();
  const seen = (name: string): Seen => {
    const known = seenOf.get(name) ?? {};
    seenOf.set(name, known);
    return known;
  };
  const provenAt = (name: string): string | null => {
    const { proven } = seen(name);
    return proven === undefined ? null : formatLsn(proven);
  };

  return {
    look: (query, name, settings) => lookAgain(query, { name, settings, claims }, seen(name)),
    reportEnvironment: async (query, name, extent) => {
      const now = await walEnd(query);
      const [right] = await query<{ superuser: boolean }>('select rolsuper as superuser from pg_roles where rolname = current_user');
      const report = await lookAtEnvironment(query, { name, superuser: right?.superuser === true, since: seen(name).environmentAt, now, extent });
      if (report !== undefined) await emit(query, ['n', name, report]);
      seen(name).environmentAt = now;
      return report;
    },
    emitConfiguration: async (transaction, what) => {
      const emitted = await transaction((query) => emitConfiguration(query, { ...what, claims, proven: provenAt(what.name) }));
      // Only what is committed counts.
      seen(what.name).emitted = emitted;
    },
    emitMarker: async (query, name, nonce) => {
      await emit(query, ['m', name, nonce, provenAt(name)]);
    },
  };
}

interface Emitting extends ConfigurationToEmit {
  readonly claims: ClaimsConfiguration;
  readonly proven: string | null;
}

async function emitConfiguration(query: RunQuery, { name, settings, mended, claims, proven }: Emitting): Promise<EmittedConfiguration> {
  // Policy changes take ACCESS EXCLUSIVE: under this lock none can commit between our reading and our commit; nor can a partition be attached or
  // detached under the stronger one, which holds no writer up.
  const before = await readCatalog(query, name, settings);
  for (const table of before.tables) if (obstacle(table, settings) === undefined) await query(`lock table only ${quoteTable(table)} in ${table.kind === 'p' && table.owned ? 'share update exclusive' : 'access share'} mode`);
  const configuration = configurationOf(await readCatalog(query, name, settings), {
    claimsSetting: auditedClaimsSetting(claims),
    settings,
    eventTriggers: await eventTriggersStand(query),
    proof: await readProof(query),
  });
  await emit(query, ['g', name, configuration, mended, proven]);
  await forgetUnsaid(query, name);
  return tablesOf(configuration);
}

function tablesOf({ tables }: CaptureConfiguration): EmittedConfiguration {
  return tables.map(({ oid }) => oid).join(' ');
}

interface Looking {
  readonly name: string;
  readonly settings: AuditSettings;
  readonly claims: ClaimsConfiguration;
}

/** Reads the catalog only where it is another one than at the last look. */
async function lookAgain(query: RunQuery, looking: Looking, seen: Seen): Promise<CoverageLook> {
  const now = await walEnd(query);
  const fingerprint = await catalogFingerprint(query);
  const { settings } = looking;
  const last = seen.look;
  const unchanged = last?.fingerprint === fingerprint && last.settings === settings && last.found.configuration !== undefined;
  const found = unchanged ? last.found : await lookAtCatalog(query, looking);
  seen.look = { fingerprint, settings, found };
  if (found.configuration !== undefined && tablesOf(found.configuration) === seen.emitted) seen.proven = now;
  return found;
}

async function lookAtCatalog(query: RunQuery, { name, settings, claims }: Looking): Promise<CoverageLook> {
  const catalog = await readCatalog(query, name, settings);
  const state = await installationState(query, catalog, { name, settings, claims });
  const eventTriggers = await eventTriggersStand(query);
  const standing = state === 'Incomplete' ? undefined : configurationOf(catalog, { claimsSetting: auditedClaimsSetting(claims), settings, eventTriggers, proof: await readProof(query) });
  return {
    configuration: state === 'Complete' ? standing : undefined,
    ...(standing === undefined ? {} : { standing }),
    tables: coverageOf(catalog, settings),
    eventTriggers,
  };
}

async function eventTriggersStand(query: RunQuery): Promise<boolean> {
  const [row] = await query<{ stand: boolean }>(`select ${ddlTriggersStandSql} as stand`);
  return row?.stand === true;
}

async function walEnd(query: RunQuery): Promise<Lsn> {
  const [row] = await query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  return parseLsn(row?.lsn ?? '0/0');
}
