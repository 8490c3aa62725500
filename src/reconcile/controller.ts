// From events of a Cluster to runs of the reconcilers: one queue a kind, with fan-out to the objects that depend on what changed.
import { describeError, RowsealError } from '../model/errors.ts';
import { describeObject, type KindName, type ObjectKey } from '../model/kinds.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { Cluster, ClusterEvent } from '../ports/cluster.ts';
import type { Logger } from '../ports/logger.ts';
import { WorkQueue } from './queue.ts';
import type { Reconciler } from './reconciler.ts';

interface QueueKey {
  readonly kind: KindName;
  readonly key: ObjectKey;
}

export interface ControllerOptions {
  readonly cluster: Cluster;
  readonly reconcilers: readonly Reconciler[];
  /** What else must be looked at when this changed: dependants of a DatabaseConnection, objects that reference a Secret, … */
  readonly dependants: (event: ClusterEvent, cluster: Cluster) => Iterable<QueueKey>;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  /** Keys of one kind that run at the same time; 4 when left out. */
  readonly concurrency?: number;
  /** Every object is looked at again after this time, whatever was missed; 10 minutes when left out. */
  readonly resyncMs?: number;
}

export interface Controller {
  /** Looks at one object soon, for reasons of our own: drift was seen, a log writer failed, … */
  enqueue(target: QueueKey, options?: { readonly afterMs?: number; readonly priority?: number }): void;
  /**
   * Starts the cluster and runs the reconcilers until the signal is aborted and the last run has ended.
   * Rejects when the cluster cannot be started (ClusterUnreachable, ClusterRefused, BadManifest).
   */
  run(signal: AbortSignal): Promise<void>;
}

const defaultConcurrency = 4;
const defaultResyncMs = 600_000;
/** Something changed goes before the routine second look. */
const changedPriority = 1;

export function createController(options: ControllerOptions): Controller {
  const { clock, random, concurrency = defaultConcurrency } = options;
  const queues = new Map(options.reconcilers.map(({ kind }) => [kind, new WorkQueue({ clock, random, concurrency })]));
  const enqueue: Controller['enqueue'] = ({ kind, key }, how = {}) => queues.get(kind)?.add(formatKey(key), { priority: changedPriority, ...how });
  return {
    enqueue,
    run: async (signal) => {
      const stop = new AbortController();
      const either = AbortSignal.any([signal, stop.signal]);
      await options.cluster.start((event) => fanOut(event, options, enqueue), either);
      for (const { kind } of options.reconcilers) {
        for (const resource of options.cluster.list(kind)) enqueue({ kind, key: resource.metadata });
      }
      try {
        await Promise.all([
          ...options.reconcilers.map((reconciler) => runQueue(reconciler, { ...options, queue: queues.get(reconciler.kind) }, either)),
          resync(options, enqueue, either),
        ]);
      } finally {
        // One loop that breaks an invariant ends the others too: half a controller would look healthy and do nothing.
        stop.abort();
      }
    },
  };
}

function fanOut(event: ClusterEvent, options: ControllerOptions, enqueue: Controller['enqueue']): void {
  if (event.kind !== 'Secret') enqueue({ kind: event.kind, key: event.key });
  for (const target of options.dependants(event, options.cluster)) enqueue(target);
}

async function runQueue(
  reconciler: Reconciler,
  { queue, logger }: ControllerOptions & { readonly queue: WorkQueue | undefined },
  signal: AbortSignal,
): Promise<void> {
  await queue?.run(
    (key, runSignal) => reconciler.reconcile(parseKey(key), runSignal),
    signal,
    (key, error, retryInMs) => {
      const fields = { object: describeObject(reconciler.kind, parseKey(key)), error: describeError(error), retryInMs };
      const code = error instanceof RowsealError ? error.code : undefined;
      // A conflict is the normal way of two writers meeting; everything else deserves a look.
      if (code === 'ClusterConflict') logger.debug({ ...fields, code }, 'reconcile met a concurrent change and is retried');
      else logger.warn({ ...fields, code }, 'reconcile failed and is retried');
    },
  );
}

/** The safety net under the events: nothing stays unseen longer than this. */
async function resync(options: ControllerOptions, enqueue: Controller['enqueue'], signal: AbortSignal): Promise<void> {
  const everyMs = options.resyncMs ?? defaultResyncMs;
  while (!signal.aborted) {
    await options.clock.sleep(everyMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    for (const { kind } of options.reconcilers) {
      for (const resource of options.cluster.list(kind)) enqueue({ kind, key: resource.metadata }, { priority: 0 });
    }
  }
}

/** Neither a namespace nor a name may hold a slash. */
function formatKey({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}
