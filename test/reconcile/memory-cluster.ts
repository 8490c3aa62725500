// A Cluster in memory for tests of reconcilers: objects are put in by hand, what was written can be read back.
import type { KindName, ObjectKey, Resource, SpecOf, StatusOf } from '../../src/model/kinds.ts';
import type { Approval, Cluster, ClusterNotice } from '../../src/ports/cluster.ts';

export interface MemoryCluster extends Cluster {
  put<K extends KindName>(kind: K, key: ObjectKey, spec: SpecOf<K>, options?: { readonly annotations?: Readonly<Record<string, string>> }): void;
  /** Marks it for deletion; it is gone once it has no finalizer. */
  remove(kind: KindName, key: ObjectKey): void;
  /** What `approval` answers for every RowPolicy. */
  approve(approval: Approval): void;
  readonly notices: (ClusterNotice & { readonly object: string })[];
  readonly statusWrites: () => number;
}

const idOf = (kind: KindName, key: ObjectKey) => `${kind} ${key.namespace}/${key.name}`;

export function createMemoryCluster(): MemoryCluster {
  const objects = new Map<string, Resource>();
  const notices: MemoryCluster['notices'] = [];
  let writes = 0;
  let approval: Approval = { kind: 'None' };
  const settle = (id: string, resource: Resource) => {
    if (resource.metadata.deletionTimestamp !== undefined && resource.metadata.finalizers.length === 0) objects.delete(id);
    else objects.set(id, resource);
  };
  const get = <K extends KindName>(kind: K, key: ObjectKey) => objects.get(idOf(kind, key)) as Resource<K> | undefined;
  return {
    uid: 'memory',
    notices,
    statusWrites: () => writes,
    start: () => Promise.resolve(),
    list: <K extends KindName>(kind: K) => [...objects.values()].filter((resource) => resource.kind === kind) as unknown as Resource<K>[],
    get,
    put: (kind, key, spec, options = {}) => {
      const before = objects.get(idOf(kind, key));
      const metadata = {
        ...key, uid: idOf(kind, key), resourceVersion: '1', finalizers: before?.metadata.finalizers ?? [],
        generation: (before?.metadata.generation ?? 0) + (JSON.stringify(before?.spec) === JSON.stringify(spec) ? 0 : 1),
        annotations: options.annotations ?? {},
        ...(before?.metadata.deletionTimestamp === undefined ? {} : { deletionTimestamp: before.metadata.deletionTimestamp }),
      };
      objects.set(idOf(kind, key), { kind, metadata, spec, status: before?.status ?? {} });
    },
    remove: (kind, key) => {
      const before = objects.get(idOf(kind, key));
      if (before !== undefined) settle(idOf(kind, key), { ...before, metadata: { ...before.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    },
    secret: () => Promise.resolve(undefined),
    createSecret: () => Promise.resolve('created'),
    namespaceLabels: () => Promise.resolve({}),
    updateStatus: <K extends KindName>(resource: Resource<K>, status: StatusOf<K>) => {
      const id = idOf(resource.kind, resource.metadata);
      const current = objects.get(id);
      if (current !== undefined && JSON.stringify(current.status) !== JSON.stringify(status)) {
        writes += 1;
        objects.set(id, { ...current, status });
      }
      return Promise.resolve();
    },
    setFinalizer: (resource, present) => {
      const id = idOf(resource.kind, resource.metadata);
      const current = objects.get(id);
      if (current !== undefined) settle(id, { ...current, metadata: { ...current.metadata, finalizers: present ? ['rowseal.dev/finalizer'] : [] } });
      return Promise.resolve();
    },
    approve: (given) => void (approval = given),
    approval: () => Promise.resolve(approval),
    notify: (resource, notice) => void notices.push({ ...notice, object: idOf(resource.kind, resource.metadata) }),
  };
}
