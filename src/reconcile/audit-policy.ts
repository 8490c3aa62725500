// Reconciles AuditPolicy: all policies of one database and one log → the settings of one capture → status of each.
import { abandonAnnotation } from '../model/annotations.ts';
import { describeError, RowsealError } from '../model/errors.ts';
import { type AuditPolicyStatus, describeObject, type ObjectKey, type Resource, resolveRef } from '../model/kinds.ts';
import type { AuditKeeper, AuditStatus } from '../ports/audit-runtime.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Metrics } from '../ports/metrics.ts';
import { coverageConditions, coverageStatus, uncoveredReadiness } from './audit-coverage.ts';
import type { AuditGroups } from './audit-groups.ts';
import { auditSettings } from './audit-settings.ts';
import { slotConditions } from './audit-slot.ts';
import { baselineCondition } from './baseline-condition.ts';
import { hashKeysOf } from './hash-keys.ts';
import type { ConnectedDatabases } from './connected-databases.ts';
import { mayAudit, mayWriteLog } from './grants.ts';
import { readsCondition } from './reads-condition.ts';
import type { OpenLogs } from './open-logs.ts';
import { isSaidAlready, type Readiness, readinessConditions, readinessOfError } from './readiness.ts';
import type { Reconciler, ReconcileOutcome } from './reconciler.ts';

export interface AuditPolicyOptions {
  readonly cluster: Cluster;
  readonly databases: ConnectedDatabases;
  readonly logs: OpenLogs;
  readonly groups: AuditGroups;
  readonly keeper: AuditKeeper;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

type Policy = Resource<'AuditPolicy'>;

const refreshMs = 5_000;
const retryMs = 5_000;

export function createAuditPolicyReconciler(options: AuditPolicyOptions): Reconciler {
  /** Which group a policy was last part of, so that its end reaches the group when the object is gone. */
  const groupOf = new Map<string, { readonly group: string; readonly databaseKey: ObjectKey; readonly logKey: ObjectKey }>();
  return {
    kind: 'AuditPolicy',
    reconcile: async (key, signal) => {
      const id = `${key.namespace}/${key.name}`;
      const policy = options.cluster.get('AuditPolicy', key);
      if (policy === undefined) {
        const last = groupOf.get(id);
        options.metrics.captured(key, undefined);
        // Forgotten only then, so that what fails is tried again.
        if (last !== undefined) await follow(last, { options, signal });
        groupOf.delete(id);
        return {};
      }
      const membership = membershipOf(policy);
      groupOf.set(id, membership);
      if (policy.metadata.deletionTimestamp !== undefined) return remove(policy, { options, signal });
      await options.cluster.setFinalizer(policy, policy.spec.deletionPolicy === 'Remove', signal);
      return audit(policy, { options, signal });
    },
  };
}

interface Context {
  readonly options: AuditPolicyOptions;
  readonly signal: AbortSignal;
}

function membershipOf(policy: Policy): { group: string; databaseKey: ObjectKey; logKey: ObjectKey } {
  const databaseKey = resolveRef(policy.spec.databaseRef, policy.metadata);
  const logKey = resolveRef(policy.spec.logRef, policy.metadata);
  return { group: `${databaseKey.namespace}/${databaseKey.name} → ${logKey.namespace}/${logKey.name}`, databaseKey, logKey };
}

/** The living policies of one group. */
function membersOf(group: string, cluster: Cluster): readonly Policy[] {
  return cluster.list('AuditPolicy').filter((policy) => policy.metadata.deletionTimestamp === undefined && membershipOf(policy).group === group);
}

async function audit(policy: Policy, context: Context): Promise<ReconcileOutcome> {
  const { options, signal } = context;
  const { group } = membershipOf(policy);
  try {
    const missing = missingPart(policy, options);
    if (missing !== undefined) return await report(policy, missing, context);
    await refuseUngranted(policy, context);
    const parts = partsOf(policy, options);
    const settings = await settingsOf(await grantedMembers(group, context), context);
    const running = await options.groups.ensure(group, { ...parts, settings }, signal);
    const status = await running.status(signal);
    options.metrics.captured(policy.metadata, status);
    const readiness = runningReadiness(policy, status);
    if (readiness.state !== 'ready') warn(policy, readiness, options.cluster);
    await options.cluster.updateStatus(policy, runningStatus(policy, { status, readiness }, options.clock), signal);
    return { requeueAfterMs: refreshMs };
  } catch (error) {
    if (signal.aborted) throw error;
    return report(policy, readinessOfError(error), context);
  }
}

async function report(policy: Policy, readiness: Readiness, { options, signal }: Context): Promise<ReconcileOutcome> {
  await options.cluster.updateStatus(policy, failureStatus(policy, readiness, options.clock), signal);
  warn(policy, readiness, options.cluster);
  return { requeueAfterMs: retryMs };
}

function warn(policy: Policy, readiness: Readiness, cluster: Cluster): void {
  if (!isSaidAlready(policy, readiness)) cluster.notify(policy, { type: 'Warning', reason: readiness.reason, action: 'Audit', message: readiness.message });
}

async function settingsOf(members: readonly Policy[], { options, signal }: Context): Promise<AuditSettings> {
  const hashKeys = await hashKeysOf(members, { cluster: options.cluster, randomness: options.randomness, signal });
  const [first] = members;
  const connection = first && options.cluster.get('DatabaseConnection', membershipOf(first).databaseKey);
  return auditSettings(members, { hashKeys, serverLog: connection?.spec.serverLog });
}

/** A policy that may not audit must not widen, or break, what the others of its group declare. */
async function grantedMembers(group: string, context: Context): Promise<readonly Policy[]> {
  const granted: Policy[] = [];
  for (const member of membersOf(group, context.options.cluster)) {
    try {
      await refuseUngranted(member, context);
      granted.push(member);
    } catch (error) {
      if (!(error instanceof RowsealError && error.code === 'NotGranted')) throw error;
    }
  }
  return granted;
}

/** Both sides must grant it: the database its tables, the log its space. */
async function refuseUngranted(policy: Policy, { options, signal }: Context): Promise<void> {
  const { databaseKey, logKey } = membershipOf(policy);
  const connection = options.cluster.get('DatabaseConnection', databaseKey);
  const log = options.cluster.get('AuditLog', logKey);
  const labels = await options.cluster.namespaceLabels(policy.metadata.namespace, signal);
  const requester = { namespace: policy.metadata.namespace, labels };
  const refusal = (connection && (mayAudit(connection, requester, policy.spec.tables) ?? readsRefusal(policy, connection))) ?? (log && mayWriteLog(log, requester));
  if (refusal === undefined) return;
  throw new RowsealError('NotGranted', refusal, {
    object: describeObject('AuditPolicy', policy.metadata),
    next: 'ask the owner of the DatabaseConnection or AuditLog for a grant',
  });
}

/** The server's log tells of every session of the database, whatever tables a grant names. */
function readsRefusal({ metadata, spec }: Policy, connection: Resource<'DatabaseConnection'>): string | undefined {
  if (spec.reads === undefined || metadata.namespace === connection.metadata.namespace) return undefined;
  return `reads can be asked for only in the namespace of the DatabaseConnection, ${connection.metadata.namespace}`;
}

/** What the capture still waits for; both references are checked, the database first. */
function missingPart(policy: Policy, { cluster, databases, logs }: AuditPolicyOptions): Readiness | undefined {
  const { databaseKey, logKey } = membershipOf(policy);
  const waitFor = (kind: 'DatabaseConnection' | 'AuditLog', key: ObjectKey, reason: string): Readiness => {
    const known = cluster.get(kind, key) !== undefined;
    const message = known ? `${describeObject(kind, key)} is not ready — see its conditions` : `${describeObject(kind, key)} does not exist — create it, or correct the reference`;
    return { state: 'reconciling', reason, message };
  };
  if (databases.get(databaseKey) === undefined) return waitFor('DatabaseConnection', databaseKey, 'DatabaseNotReady');
  if (logs.get(logKey) === undefined) return waitFor('AuditLog', logKey, 'LogNotReady');
  return undefined;
}

function partsOf(policy: Policy, { databases, logs }: AuditPolicyOptions): { database: Database; log: LogWriter } {
  const { databaseKey, logKey } = membershipOf(policy);
  const database = databases.get(databaseKey);
  const log = logs.get(logKey);
  if (database !== undefined && log !== undefined) return { database, log };
  throw new RowsealError('BadReference', 'its database or its log is not ready', { object: describeObject('AuditPolicy', policy.metadata), next: 'see their conditions', retryable: true });
}

/** After a policy went: the capture follows what is left, or stops. */
async function follow(last: { group: string; databaseKey: ObjectKey; logKey: ObjectKey }, { options, signal }: Context): Promise<void> {
  const members = await grantedMembers(last.group, { options, signal });
  const database = options.databases.get(last.databaseKey);
  const log = options.logs.get(last.logKey);
  if (database === undefined || log === undefined) await options.groups.stop(last.group);
  else if (members.length === 0) {
    const reason = membersOf(last.group, options.cluster).length === 0 ? 'PolicyDeleted' : 'GrantWithdrawn';
    await options.groups.end(last.group, { database, log, reason }, signal);
  } else await options.groups.ensure(last.group, { database, log, settings: await settingsOf(members, { options, signal }) }, signal);
}

async function remove(policy: Policy, context: Context): Promise<ReconcileOutcome> {
  const { options, signal } = context;
  const membership = membershipOf(policy);
  const last = membersOf(membership.group, options.cluster).length === 0;
  const abandoned = policy.metadata.annotations[abandonAnnotation] !== undefined;
  if (policy.spec.deletionPolicy !== 'Remove' || abandoned || !last) {
    await follow(membership, context);
    await options.cluster.setFinalizer(policy, false, signal);
    return {};
  }
  try {
    await options.groups.remove(membership.group, partsOf(policy, options), signal);
    await options.cluster.setFinalizer(policy, false, signal);
    return {};
  } catch (error) {
    const readiness: Readiness = {
      state: 'reconciling',
      reason: 'RemovalWaits',
      message: `triggers, publication and slot are not removed yet: ${describeError(error)}; annotate ${abandonAnnotation} to let the object go without it`,
    };
    await options.cluster.updateStatus(policy, failureStatus(policy, readiness, options.clock), signal);
    return { requeueAfterMs: retryMs };
  }
}

function failureStatus(policy: Policy, readiness: Readiness, clock: Clock): AuditPolicyStatus {
  return { ...policy.status, observedGeneration: policy.metadata.generation, conditions: readinessConditions(policy, readiness, { now: clock.now() }) };
}

function runningReadiness({ spec }: Policy, { coverage, gaps }: AuditStatus): Readiness {
  const uncovered = coverage === undefined ? undefined : uncoveredReadiness(spec, coverage);
  const message = gaps === 0 ? 'changes are captured and sealed' : `changes are captured and sealed; ${gaps} gaps were sealed, see \`rowseal log\``;
  return uncovered ?? { state: 'ready', reason: 'Capturing', message };
}

interface RunningState {
  readonly status: AuditStatus;
  readonly readiness: Readiness;
}

function runningStatus(policy: Policy, { status: { coverage, baseline, retention, reads, ...status }, readiness }: RunningState, clock: Clock): AuditPolicyStatus {
  const covered = coverage === undefined ? [] : coverageConditions(policy.spec, coverage);
  const sealed = baselineCondition(baseline);
  const slot = slotConditions({ ...status, ...(retention === undefined ? {} : { retention }) });
  return {
    ...status,
    ...(coverage === undefined ? {} : { coverage: coverageStatus(policy.spec, coverage) }),
    ...(baseline === undefined ? {} : { baseline: { tables: baseline.tables, complete: baseline.complete, rows: baseline.rows } }),
    observedGeneration: policy.metadata.generation,
    conditions: readinessConditions(policy, readiness, { now: clock.now(), others: [...slot, ...covered, ...sealed.others, readsCondition(policy.spec, reads)], clear: sealed.clear }),
  };
}
