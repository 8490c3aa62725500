// One attempt to connect: Secrets → target → engine; and what a failure is called in conditions.
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { ConnectionTarget, DatabaseEngine } from '../ports/database.ts';

/** Throws BadReference for a missing Secret or key, BadSecret for what is wrong inside. */
export async function resolveTarget(connection: Resource<'DatabaseConnection'>, { cluster, engine }: { readonly cluster: Pick<Cluster, 'secret'>; readonly engine: Pick<DatabaseEngine, 'target'> }, signal: AbortSignal): Promise<ConnectionTarget> {
  const { spec, metadata } = connection;
  const read = async (name: string) => {
    const key = { namespace: metadata.namespace, name };
    const secret = await cluster.secret(key, signal);
    if (secret !== undefined) return secret;
    throw new RowsealError('BadReference', `${describeObject('Secret', key)} does not exist`, {
      object: describeObject('DatabaseConnection', metadata),
      next: 'create the Secret with the key uri, or host, port, dbname, user and password',
    });
  };
  const secret = await read(spec.connection.secretRef.name);
  const caRef = spec.connection.tls?.caSecretRef;
  const ca = caRef === undefined ? undefined : (await read(caRef.name)).data[caRef.key];
  if (caRef !== undefined && ca === undefined) {
    throw new RowsealError('BadSecret', `the Secret ${caRef.name} has no key ${caRef.key}`, {
      object: describeObject('DatabaseConnection', metadata),
      next: 'put the PEM of the authority under this key',
    });
  }
  const secretName = describeObject('Secret', { namespace: metadata.namespace, name: spec.connection.secretRef.name });
  return engine.target({ spec, secret, secretName, ...(ca === undefined ? {} : { ca }) });
}

/** The reason of the Ready condition. */
export function failureReason(error: unknown): string {
  if (!(error instanceof RowsealError)) return 'ConnectFailed';
  switch (error.code) {
    case 'BadReference':
      return 'SecretMissing';
    case 'BadSecret':
      return 'SecretInvalid';
    case 'DatabaseUnreachable':
    case 'Deadline':
      return 'Unreachable';
    case 'DatabaseAuthentication':
      return 'AuthenticationFailed';
    case 'DatabaseObjectMissing':
      return 'DatabaseMissing';
    case 'DatabasePrivilege':
      return 'PrivilegeMissing';
    case 'OwnedByAnother':
      return 'OwnedByAnother';
    case 'DatabaseConflict':
      return error.retryable ? 'AnotherOperator' : 'UnsupportedVersion';
    default:
      return 'ConnectFailed';
  }
}
