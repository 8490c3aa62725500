// Reconciles AuditLog: keys and storage → an open writer → status. The writer itself seals and publishes.
import { describeError, RowsealError } from '../model/errors.ts';
import { type AuditLogStatus, describeObject, type ObjectKey, type Resource } from '../model/kinds.ts';
import type { LogKeeper, LogSettings } from '../ports/audit-runtime.ts';
import type { Clock } from '../ports/clock.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { logSettings } from './log-settings.ts';
import type { OpenLogs } from './open-logs.ts';
import { isSaidAlready, type Readiness, readinessConditions, readinessOfError } from './readiness.ts';
import type { Reconciler } from './reconciler.ts';

export interface AuditLogOptions {
  readonly cluster: Cluster;
  readonly keeper: LogKeeper;
  readonly logs: OpenLogs;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asks for a reconcile of this AuditLog, soon. */
  readonly enqueue: (key: ObjectKey) => void;
}

export interface AuditLogReconciler extends Reconciler {
  readonly kind: 'AuditLog';
  /** Seals and publishes everything, and closes every log. */
  close(): Promise<void>;
}

const refreshMs = 5_000;
const retryMs = 10_000;
const closeDeadlineMs = 60_000;

interface OpenLog {
  readonly settings: string;
  readonly writer: LogWriter;
  readonly verifierKey: string;
  /** Why the writer ended by itself, once it did. */
  failure?: unknown;
}

export function createAuditLogReconciler(options: AuditLogOptions): AuditLogReconciler {
  const open = new Map<string, OpenLog>();
  const idOf = (key: ObjectKey) => `${key.namespace}/${key.name}`;

  const close = async (key: ObjectKey): Promise<void> => {
    const log = open.get(idOf(key));
    if (log === undefined) return;
    open.delete(idOf(key));
    options.logs.remove(key);
    if (log.failure !== undefined) return;
    await log.writer.close(AbortSignal.timeout(closeDeadlineMs)).catch((error: unknown) => {
      options.logger.warn({ object: describeObject('AuditLog', key), error: describeError(error) }, 'log did not close cleanly');
    });
  };

  const ensureOpen = async (log: Resource<'AuditLog'>, signal: AbortSignal): Promise<OpenLog> => {
    const settings = await logSettings(log, options.cluster, { keeper: options.keeper, signal });
    const current = open.get(idOf(log.metadata));
    if (current !== undefined && current.failure === undefined && current.settings === JSON.stringify(settings)) return current;
    await refuseTwoWriters(log, options);
    await close(log.metadata);
    const opened = await openLog(settings, options.keeper, signal);
    open.set(idOf(log.metadata), opened);
    watchFailure(opened, log.metadata, options);
    options.logs.set(log.metadata, opened.writer);
    return opened;
  };

  return {
    kind: 'AuditLog',
    reconcile: async (key, signal) => {
      const log = options.cluster.get('AuditLog', key);
      if (log === undefined || log.metadata.deletionTimestamp !== undefined) {
        await close(key);
        return {};
      }
      const failure = open.get(idOf(key))?.failure;
      if (failure !== undefined) {
        // Said first, and reopened only after a while: two writers that fence each other must not do it in a tight loop.
        await close(key);
        await reportFailure(log, failure, { options, signal });
        return { requeueAfterMs: failure instanceof RowsealError && failure.code === 'WriterFenced' ? retryMs : 0 };
      }
      try {
        const opened = await ensureOpen(log, signal);
        await options.cluster.updateStatus(log, statusOf(log, opened, options), signal);
        return { requeueAfterMs: refreshMs };
      } catch (error) {
        await close(key);
        await reportFailure(log, error, { options, signal });
        return { requeueAfterMs: retryMs };
      }
    },
    close: async () => {
      for (const key of options.logs.keys()) await close(key);
    },
  };
}

/** Two AuditLogs of one place would fence each other for ever. */
async function refuseTwoWriters(log: Resource<'AuditLog'>, options: AuditLogOptions): Promise<void> {
  const place = JSON.stringify(log.spec.storage.filesystem ?? [log.spec.storage.s3?.endpoint, log.spec.storage.s3?.bucket, log.spec.storage.s3?.prefix]);
  const other = options.cluster.list('AuditLog').find((candidate) => {
    const { filesystem, s3 } = candidate.spec.storage;
    return (
      candidate.metadata.uid !== log.metadata.uid &&
      JSON.stringify(filesystem ?? [s3?.endpoint, s3?.bucket, s3?.prefix]) === place &&
      options.logs.get(candidate.metadata) !== undefined
    );
  });
  if (other === undefined) return;
  throw new RowsealError('StorageConflict', `${describeObject('AuditLog', other.metadata)} already writes to this place`, {
    object: describeObject('AuditLog', log.metadata),
    next: 'give each AuditLog its own path, or bucket and prefix',
  });
}

async function openLog(settings: LogSettings, keeper: LogKeeper, signal: AbortSignal): Promise<OpenLog> {
  const verifierKey = keeper.verifierKeyOf(settings.signerKey, settings.origin);
  const writer = await keeper.open(settings, signal);
  return { settings: JSON.stringify(settings), writer, verifierKey };
}

/** A writer that ends by itself (fenced, storage gone) is reopened by the next reconcile, which recovers. */
function watchFailure(opened: OpenLog, key: ObjectKey, options: AuditLogOptions): void {
  opened.writer.failed.catch((error: unknown) => {
    opened.failure = error;
    options.logs.remove(key);
    options.enqueue(key);
  });
}

async function reportFailure(log: Resource<'AuditLog'>, error: unknown, context: { options: AuditLogOptions; signal: AbortSignal }): Promise<void> {
  const { cluster, clock } = context.options;
  const readiness = readinessOfError(error);
  const status: AuditLogStatus = {
    ...log.status,
    observedGeneration: log.metadata.generation,
    conditions: readinessConditions(log, readiness, { now: clock.now() }),
  };
  await cluster.updateStatus(log, status, context.signal);
  if (!isSaidAlready(log, readiness)) cluster.notify(log, { type: 'Warning', reason: readiness.reason, action: 'OpenLog', message: readiness.message });
}

function statusOf(log: Resource<'AuditLog'>, opened: OpenLog, { clock }: AuditLogOptions): AuditLogStatus {
  const { treeSize, sealedSize, rootHash, sealedAt, publishedAt } = opened.writer.status();
  const readiness: Readiness = { state: 'ready', reason: 'Open', message: 'the log is open: changes are sealed and published' };
  return {
    observedGeneration: log.metadata.generation,
    treeSize,
    sealedSize,
    rootHash,
    ...(sealedAt === undefined ? {} : { sealedAt }),
    ...(publishedAt === undefined ? {} : { publishedAt }),
    verifierKey: opened.verifierKey,
    conditions: readinessConditions(log, readiness, { now: clock.now() }),
  };
}
