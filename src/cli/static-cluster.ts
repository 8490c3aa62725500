// Manifests that were read once, as a Cluster that is only looked at: what verbs use that change nothing.
import type { Manifests } from '../adapters/manifests/read-manifests.ts';
import { RowsealError } from '../model/errors.ts';
import { type KindName, type ObjectKey, type Resource } from '../model/kinds.ts';
import type { Cluster, Secret } from '../ports/cluster.ts';

/** `fallbackUri` stands in for a Secret that is not among the manifests. */
export function createStaticCluster(manifests: Manifests, fallbackUri: string | undefined): Cluster {
  const fallback: Secret | undefined =
    fallbackUri === undefined ? undefined : { data: { uri: fallbackUri }, annotations: { 'rowseal.dev/allow-overrides': 'true' }, resourceVersion: '' };
  const list = <K extends KindName>(kind: K) => manifests.resources.filter((resource): resource is Resource<K> => resource.kind === kind);
  return {
    uid: 'manifests',
    start: async () => undefined,
    list,
    get: (kind, key) => list(kind).find(({ metadata }) => metadata.namespace === key.namespace && metadata.name === key.name),
    secret: async (key: ObjectKey) => manifests.secrets.get(`${key.namespace}/${key.name}`) ?? fallback,
    namespaceLabels: async (namespace) => manifests.namespaceLabels.get(namespace) ?? {},
    createSecret: readOnly,
    updateStatus: readOnly,
    setFinalizer: readOnly,
    approval: async () => ({ kind: 'None' }),
    notify: () => undefined,
  };
}

async function readOnly(): Promise<never> {
  throw new RowsealError('BadUsage', 'manifests that were only read are not written');
}
