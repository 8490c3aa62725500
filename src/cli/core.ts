// The one core of `rowseal run` and `rowseal operator`: a Cluster in, reconcilers, captures and logs wired to the adapters.
import { createPostgresEngine } from '../adapters/postgres/engine.ts';
import { describeError } from '../model/errors.ts';
import type { ObjectKey } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Logger } from '../ports/logger.ts';
import type { Metrics } from '../ports/metrics.ts';
import { createAuditGroups } from '../reconcile/audit-groups.ts';
import { createAuditLogReconciler } from '../reconcile/audit-log.ts';
import { createAuditPolicyReconciler } from '../reconcile/audit-policy.ts';
import { createController } from '../reconcile/controller.ts';
import { createDatabaseConnectionReconciler } from '../reconcile/database-connection.ts';
import { dependantsOf, type Target } from '../reconcile/dependants.ts';
import { createOpenLogs } from '../reconcile/open-logs.ts';
import { createRowPolicyReconciler } from '../reconcile/row-policy.ts';
import { createAuditKeeper } from './audit-keeper.ts';
import { createLogKeeper } from './log-keeper.ts';
import { systemClock, systemRandomness } from './system.ts';
import { keepYoungSpaceSmall } from './young-space.ts';

export interface CoreOptions {
  readonly cluster: Cluster;
  readonly logger: Logger;
  readonly cwd: string;
  readonly metrics: Metrics;
}

/** Runs until the signal is aborted; then seals and publishes what was read, and closes every connection. */
export async function runCore(options: CoreOptions, signal: AbortSignal): Promise<void> {
  keepYoungSpaceSmall();
  const parts = assemble(options);
  try {
    await parts.controller.run(signal);
  } finally {
    await stopInOrder(parts, options.logger);
  }
}

function assemble({ cluster, logger, cwd, metrics }: CoreOptions) {
  const shared = { cluster, clock: systemClock, randomness: systemRandomness, logger };
  const look = (target: Target): void => controller.enqueue(target);
  const lookAtDependants = (kind: 'DatabaseConnection' | 'AuditLog', key: ObjectKey): void => {
    for (const target of dependantsOf({ kind, key }, cluster)) look(target);
  };
  const logKeeper = createLogKeeper({ ...shared, cwd });
  const auditKeeper = createAuditKeeper(shared);
  const logs = createOpenLogs((key) => lookAtDependants('AuditLog', key));
  const engine = createPostgresEngine(shared);
  const databases = createDatabaseConnectionReconciler({ ...shared, engine, leaseUid: Buffer.from(systemRandomness.bytes(16)).toString('hex') });
  databases.onChange((key) => {
    look({ kind: 'DatabaseConnection', key });
    lookAtDependants('DatabaseConnection', key);
  });
  const groups = createAuditGroups({
    keeper: auditKeeper,
    logger,
    onFailure: () => {
      for (const policy of cluster.list('AuditPolicy')) look({ kind: 'AuditPolicy', key: policy.metadata });
    },
  });
  const auditLogs = createAuditLogReconciler({ ...shared, keeper: logKeeper, logs, enqueue: (key) => look({ kind: 'AuditLog', key }) });
  const rowPolicies = createRowPolicyReconciler({ ...shared, databases, metrics, enqueue: (key: ObjectKey) => look({ kind: 'RowPolicy', key }) });
  const auditPolicies = createAuditPolicyReconciler({ ...shared, databases, logs, groups, keeper: auditKeeper, metrics });
  const controller = createController({
    ...shared,
    random: systemRandomness,
    reconcilers: [databases, rowPolicies, auditLogs, auditPolicies],
    dependants: dependantsOf,
  });
  return { controller, groups, auditLogs, databases };
}

/** Captures hand what they read to the logs, so logs close after them; both need their databases. */
async function stopInOrder({ groups, auditLogs, databases }: ReturnType<typeof assemble>, logger: Logger): Promise<void> {
  for (const part of [groups, auditLogs, databases]) {
    await part.close().catch((error: unknown) => logger.error({ error: describeError(error) }, 'a part did not stop cleanly'));
  }
}
