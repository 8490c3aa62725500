// Which objects must be looked at again when another one changed.
import { type KindName, type ObjectKey, type Resource, resolveRef } from '../model/kinds.ts';
import type { Cluster, ClusterEvent } from '../ports/cluster.ts';

export interface Target {
  readonly kind: KindName;
  readonly key: ObjectKey;
}

/** Everything whose outcome may depend on the object of the event; the object itself is not included. */
export function dependantsOf(event: ClusterEvent, cluster: Cluster): Target[] {
  switch (event.kind) {
    case 'Secret':
      return [
        ...targets(cluster.list('DatabaseConnection').filter((connection) => inNamespace(connection, event.key) && connectionSecrets(connection).includes(event.key.name))),
        ...targets(cluster.list('AuditLog').filter((log) => inNamespace(log, event.key) && logSecrets(log).includes(event.key.name))),
      ];
    case 'DatabaseConnection':
      return [...targets(databaseUsers('RowPolicy', event.key, cluster)), ...targets(databaseUsers('AuditPolicy', event.key, cluster))];
    case 'AuditLog':
      return targets(cluster.list('AuditPolicy').filter((policy) => same(resolveRef(policy.spec.logRef, policy.metadata), event.key)));
    case 'RowPolicy':
    case 'AuditPolicy':
      // The connection counts its dependants, and waits for them when it is deleted.
      return cluster
        .list('DatabaseConnection')
        .filter((connection) => refersTo(cluster.get(event.kind as 'RowPolicy', event.key), connection.metadata))
        .map((connection) => ({ kind: 'DatabaseConnection' as const, key: connection.metadata }));
  }
}

function databaseUsers(kind: 'RowPolicy' | 'AuditPolicy', key: ObjectKey, cluster: Cluster): readonly Resource[] {
  return cluster.list(kind).filter((resource) => same(resolveRef(resource.spec.databaseRef, resource.metadata), key));
}

/** A policy that is gone may have referred to any connection. */
function refersTo(policy: Resource<'RowPolicy'> | Resource<'AuditPolicy'> | undefined, connection: ObjectKey): boolean {
  return policy === undefined || same(resolveRef(policy.spec.databaseRef, policy.metadata), connection);
}

function connectionSecrets({ spec }: Resource<'DatabaseConnection'>): readonly (string | undefined)[] {
  return [spec.connection.secretRef.name, spec.connection.tls?.caSecretRef?.name, spec.claims?.signed?.keySecretRef.name];
}

function logSecrets({ spec, metadata }: Resource<'AuditLog'>): readonly (string | undefined)[] {
  return [spec.signer?.secretRef.name ?? `${metadata.name}-log-key`, spec.storage.s3?.credentialsSecretRef?.name];
}

function inNamespace(resource: Resource, key: ObjectKey): boolean {
  return resource.metadata.namespace === key.namespace;
}

function same(a: ObjectKey, b: ObjectKey): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}

function targets(resources: readonly Resource[]): Target[] {
  return resources.map(({ kind, metadata }) => ({ kind, key: metadata }));
}
