// Looks at what is captured, and says it in the WAL: the configuration in force, markers, what changed around the policies (DESIGN §5, Coverage).
import { formatLsn, type Lsn, parseLsn } from '../../model/branded.ts';
import { auditedClaimsSetting, type ClaimsConfiguration } from '../../model/claims.ts';
import type { EnvironmentReport, MendedCoverage } from '../../ports/audit-coverage.ts';
import type { CoverageLook } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import { readCatalog } from './audit-catalog.ts';
import { catalogFingerprint } from './catalog-fingerprint.ts';
import { configurationOf, coverageOf, obstacle } from './coverage-problems.ts';
import { ddlTriggersStandSql } from './ddl-functions.ts';
import { lookAtEnvironment } from './environment.ts';
import { isInstalled } from './install-audit.ts';
import { readProof } from './message-proof.ts';
import { quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';

export interface Coverage {
  look(query: RunQuery, name: string, settings: AuditSettings): Promise<CoverageLook>;
  reportEnvironment(query: RunQuery, name: string, extent: 'Changes' | 'Whole'): Promise<EnvironmentReport | undefined>;
  emitConfiguration(query: RunQuery, what: ConfigurationToEmit): Promise<void>;
  emitMarker(query: RunQuery, name: string, nonce: string): Promise<void>;
}

interface ConfigurationToEmit {
  readonly name: string;
  readonly settings: AuditSettings;
  readonly mended: readonly MendedCoverage[];
}

/** What the last looks saw, by capture. It is lost with the process: the log remembers what it needs in its source state. */
interface Seen {
  /** End of the WAL before a look that found all of it standing. */
  proven?: Lsn;
  environmentAt?: Lsn;
  look?: { readonly fingerprint: string; readonly settings: AuditSettings; readonly found: CoverageLook };
}

export function createCoverage({ claims }: { readonly claims: ClaimsConfiguration }): Coverage {
  const seenOf = new Map<string, Seen>();
  const seen = (name: string): Seen => {
    const known = seenOf.get(name) ?? {};
    seenOf.set(name, known);
    return known;
  };
  const emit = (query: RunQuery, body: unknown) => query('select rowseal.emit($1)', [JSON.stringify(body)]);
  const provenAt = (name: string): string | null => {
    const { proven } = seen(name);
    return proven === undefined ? null : formatLsn(proven);
  };

  return {
    look: async (query, name, settings) => {
      const now = await walEnd(query);
      const fingerprint = await catalogFingerprint(query);
      const last = seen(name).look;
      const unchanged = last?.fingerprint === fingerprint && last.settings === settings && last.found.configuration !== undefined;
      const found = unchanged ? last.found : await lookAtCatalog(query, { name, settings, claims });
      Object.assign(seen(name), { look: { fingerprint, settings, found }, ...(found.configuration === undefined ? {} : { proven: now }) });
      return found;
    },
    reportEnvironment: async (query, name, extent) => {
      const now = await walEnd(query);
      const [right] = await query<{ superuser: boolean }>('select rolsuper as superuser from pg_roles where rolname = current_user');
      const report = await lookAtEnvironment(query, { name, superuser: right?.superuser === true, since: seen(name).environmentAt, now, extent });
      if (report !== undefined) await emit(query, ['n', name, report]);
      seen(name).environmentAt = now;
      return report;
    },
    emitConfiguration: async (query, { name, settings, mended }) => {
      // Policy changes take ACCESS EXCLUSIVE: under this lock none can commit between our reading and our commit.
      const before = await readCatalog(query, name, settings);
      for (const table of before.tables) if (obstacle(table, settings) === undefined) await query(`lock table only ${quoteTable(table)} in access share mode`);
      const configuration = configurationOf(await readCatalog(query, name, settings), {
        claimsSetting: auditedClaimsSetting(claims),
        settings,
        eventTriggers: await eventTriggersStand(query),
        proof: await readProof(query),
      });
      await emit(query, ['g', name, configuration, mended, provenAt(name)]);
    },
    emitMarker: async (query, name, nonce) => {
      await emit(query, ['m', name, nonce, provenAt(name)]);
    },
  };
}

interface Looking {
  readonly name: string;
  readonly settings: AuditSettings;
  readonly claims: ClaimsConfiguration;
}

async function lookAtCatalog(query: RunQuery, { name, settings, claims }: Looking): Promise<CoverageLook> {
  const catalog = await readCatalog(query, name, settings);
  const complete = await isInstalled(query, catalog, { name, settings, claims });
  const eventTriggers = await eventTriggersStand(query);
  return {
    configuration: complete ? configurationOf(catalog, { claimsSetting: auditedClaimsSetting(claims), settings, eventTriggers, proof: await readProof(query) }) : undefined,
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
