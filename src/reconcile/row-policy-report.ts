// How reconciling a RowPolicy reports: its status, and an Event when a failure is news.
import { findCondition } from '../model/condition.ts';
import type { ObjectKey, Resource, RowPolicyStatus } from '../model/kinds.ts';
import type { Clock } from '../ports/clock.ts';
import type { TableName } from '../policy/table-name.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Logger } from '../ports/logger.ts';
import type { Metrics } from '../ports/metrics.ts';
import type { ConnectedDatabases } from './connected-databases.ts';
import { type Readiness, readinessConditions } from './readiness.ts';

export interface RowPolicyOptions {
  readonly cluster: Cluster;
  readonly databases: ConnectedDatabases;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Has a RowPolicy looked at again soon. */
  readonly enqueue: (key: ObjectKey) => void;
}

export interface RowPolicyContext {
  readonly policy: Resource<'RowPolicy'>;
  readonly options: RowPolicyOptions;
  readonly signal: AbortSignal;
}

/** What a look at a RowPolicy came to. */
export interface Outcome {
  readonly readiness: Readiness;
  /** When to look again, if before the next poll. */
  readonly againInMs?: number;
  /** The governed tables; their findings are reported afterwards. */
  readonly tables?: readonly TableName[];
  /** Whether something was applied. */
  readonly changed?: boolean;
}

export const pollMs = 10_000;

/** Writes the status of a failure; an Event only when the reason is news. */
export async function reportFailure({ policy, options, signal }: RowPolicyContext, readiness: Readiness, status: Partial<RowPolicyStatus> = {}): Promise<void> {
  const before = findCondition(policy.status.conditions, 'Ready');
  await writeStatus({ policy, options, signal }, readiness, { ...policy.status, ...status });
  if (before?.reason === readiness.reason && before.message === readiness.message) return;
  options.cluster.notify(policy, { type: 'Warning', reason: readiness.reason, action: 'Enforce', message: readiness.message });
}

/** The Cluster port writes nothing when the status is what it was. */
export async function writeStatus({ policy, options, signal }: RowPolicyContext, readiness: Readiness, status: Partial<RowPolicyStatus>): Promise<void> {
  const conditions = readinessConditions(policy, readiness, { now: options.clock.now() });
  await options.cluster.updateStatus(policy, { ...status, observedGeneration: policy.metadata.generation, conditions }, signal);
}
