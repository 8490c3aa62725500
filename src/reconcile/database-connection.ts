// Reconciles DatabaseConnection: Secret → target → one connected Database → status; and lends the database to the others.
import { abandonAnnotation } from '../model/annotations.ts';
import type { ConditionUpdate } from '../model/condition.ts';
import { describeError, RowsealError } from '../model/errors.ts';
import { type DatabaseConnectionStatus, describeObject, type Resource, resolveRef } from '../model/kinds.ts';
import type { Clock } from '../ports/clock.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Database, DatabaseEngine } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { type ClaimsKeysState, settleClaimsKeys } from './claims-keys.ts';
import { failureReason } from './connection-attempt.ts';
import type { ConnectedDatabases } from './connected-databases.ts';
import { isExempt } from './exempt-roles.ts';
import { createOpenDatabases, idOf, type OpenDatabases } from './open-databases.ts';
import { type Readiness, readinessConditions } from './readiness.ts';
import type { ReconcileOutcome, Reconciler } from './reconciler.ts';

export interface DatabaseConnectionOptions {
  readonly cluster: Cluster;
  readonly engine: DatabaseEngine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseUid: string;
}

export interface DatabaseConnectionReconciler extends Reconciler, ConnectedDatabases {
  readonly kind: 'DatabaseConnection';
  /** Closes every database. */
  close(): Promise<void>;
}

type Connection = Resource<'DatabaseConnection'>;

const firstRetryMs = 1_000;
const longestRetryMs = 30_000;
const shownDependants = 32;
const recheckMs = 60_000;

export function createDatabaseConnectionReconciler(options: DatabaseConnectionOptions): DatabaseConnectionReconciler {
  const databases = createOpenDatabases(options);
  const failures = new Map<string, number>();

  const reconcileLive = async (connection: Connection, signal: AbortSignal): Promise<ReconcileOutcome> => {
    const key = connection.metadata;
    await options.cluster.setFinalizer(connection, true, signal);
    try {
      const database = await databases.connect(connection, signal);
      failures.delete(idOf(key));
      const exempt = await lookAtExemptRoles(connection, database.policies, signal);
      const claims = await settleClaimsKeys(connection, { database, cluster: options.cluster }, signal);
      await options.cluster.updateStatus(connection, readyStatus(connection, { facts: database.facts, exempt, claims }, options), signal);
      return { requeueAfterMs: recheckMs };
    } catch (error) {
      signal.throwIfAborted();
      // What only the API server refused says nothing about the database, so a working session stays.
      if (error instanceof RowsealError && error.code.startsWith('Cluster')) throw error;
      // A Secret that went wrong must not leave the old session applying as if it were still allowed in.
      await databases.disconnect(key);
      const count = (failures.get(idOf(key)) ?? 0) + 1;
      failures.set(idOf(key), count);
      await reportFailure(connection, error, { options, signal });
      return { requeueAfterMs: Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(count - 1, 10)) };
    }
  };

  return {
    kind: 'DatabaseConnection',
    reconcile: async (key, signal) => {
      const connection = options.cluster.get('DatabaseConnection', key);
      if (connection === undefined) {
        failures.delete(idOf(key));
        await databases.disconnect(key);
        return {};
      }
      if (connection.metadata.deletionTimestamp === undefined) return reconcileLive(connection, signal);
      const waiting = await awaitDependants(connection, options, signal);
      if (waiting) return reconcileLiveWhileWaiting(connection, { databases, signal });
      // If we die here, the restart finds the object still there and lets it go again.
      await databases.disconnect(key);
      await options.cluster.setFinalizer(connection, false, signal);
      return {};
    },
    get: (key) => databases.get(key),
    onChange: (listener) => databases.onChange(listener),
    close: () => databases.close(),
  };
}

/** Dependants with a deletion policy of their own need the database until they are gone. */
async function reconcileLiveWhileWaiting(
  connection: Connection,
  { databases, signal }: { readonly databases: OpenDatabases; readonly signal: AbortSignal },
): Promise<ReconcileOutcome> {
  await databases.connect(connection, signal).catch(() => undefined);
  signal.throwIfAborted();
  return { requeueAfterMs: 5_000 };
}

/** True while objects still use the connection; they are named in its conditions. */
async function awaitDependants(connection: Connection, { cluster, clock }: DatabaseConnectionOptions, signal: AbortSignal): Promise<boolean> {
  const dependants = dependantsOf(connection, cluster);
  if (dependants.total === 0 || connection.metadata.annotations[abandonAnnotation] !== undefined) return false;
  const more = dependants.total > dependants.names.length ? ` and ${dependants.total - dependants.names.length} more` : '';
  const readiness: Readiness = {
    state: 'reconciling',
    reason: 'DependantsExist',
    message: `being deleted, but still used by ${dependants.names.join(', ')}${more} — delete them first`,
  };
  const conditions = readinessConditions(connection, readiness, { now: clock.now() });
  await cluster.updateStatus(connection, { ...connection.status, observedGeneration: connection.metadata.generation, dependants, conditions }, signal);
  return true;
}

async function reportFailure(connection: Connection, error: unknown, { options, signal }: { readonly options: DatabaseConnectionOptions; readonly signal: AbortSignal }): Promise<void> {
  const { cluster, clock } = options;
  const retryable = !(error instanceof RowsealError) || error.retryable;
  const readiness: Readiness = { state: retryable ? 'reconciling' : 'stalled', reason: failureReason(error), message: describeError(error) };
  const status: DatabaseConnectionStatus = {
    ...connection.status,
    observedGeneration: connection.metadata.generation,
    dependants: dependantsOf(connection, cluster),
    conditions: readinessConditions(connection, readiness, { now: clock.now() }),
  };
  await cluster.updateStatus(connection, status, signal);
  cluster.notify(connection, { type: 'Warning', reason: readiness.reason, action: 'Connect', message: readiness.message });
}

/** The roles as the server has them; none of the declared ones that it does not know is left out. */
async function lookAtExemptRoles({ spec }: Connection, policies: Database['policies'], signal: AbortSignal): Promise<ExemptRoles> {
  const names = spec.exemptRoles ?? [];
  if (names.length === 0) return [];
  const observation = await policies.observe({ owner: '', tables: [], roles: names }, signal);
  return names.map((name) => ({ name, bypassesRowSecurity: isExempt(name, observation) }));
}

type ExemptRoles = NonNullable<DatabaseConnectionStatus['exemptRoles']>;

const exemptCondition = 'ExemptRolesBypass';

/** Only where exempt roles are declared. */
function exemptConditions(exempt: ExemptRoles): { readonly others: readonly ConditionUpdate[]; readonly clear: readonly string[] } {
  if (exempt.length === 0) return { others: [], clear: [exemptCondition] };
  const bound = exempt.filter((role) => !role.bypassesRowSecurity).map(({ name }) => name);
  const update: ConditionUpdate =
    bound.length === 0
      ? { type: exemptCondition, status: 'True', reason: 'AllBypass', message: 'every exempt role sees all rows' }
      : { type: exemptCondition, status: 'False', reason: 'RoleBound', message: `row security would bind ${bound.join(', ')}, so no table is newly closed — run ALTER ROLE … BYPASSRLS` };
  return { others: [update], clear: [] };
}

function readyStatus(connection: Connection, { facts, exempt, claims }: { readonly facts: Database['facts']; readonly exempt: ExemptRoles; readonly claims: ClaimsKeysState }, { cluster, clock }: DatabaseConnectionOptions): DatabaseConnectionStatus {
  const message = `connected to ${facts.database} as ${facts.user}, PostgreSQL ${facts.version}`;
  const roles = exemptConditions(exempt);
  const conditions = { others: [...roles.others, ...claims.others], clear: [...roles.clear, ...claims.clear] };
  return {
    observedGeneration: connection.metadata.generation,
    serverVersion: facts.version,
    systemIdentifier: facts.systemIdentifier,
    database: facts.database,
    capabilities: [...facts.capabilities],
    ...(exempt.length === 0 ? {} : { exemptRoles: exempt }),
    dependants: dependantsOf(connection, cluster),
    conditions: readinessConditions(connection, { state: 'ready', reason: 'Connected', message }, { now: clock.now(), ...conditions }),
  };
}

function dependantsOf(connection: Connection, cluster: Cluster): { total: number; names: string[] } {
  const users = [...cluster.list('RowPolicy'), ...cluster.list('AuditPolicy')].filter(
    ({ spec, metadata }) => idOf(resolveRef(spec.databaseRef, metadata)) === idOf(connection.metadata),
  );
  const names = users.map(({ kind, metadata }) => describeObject(kind, metadata)).sort();
  return { total: names.length, names: names.slice(0, shownDependants) };
}
