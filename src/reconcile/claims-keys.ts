// Keeps the keys of signed claims in a database equal to the Secret that its DatabaseConnection names, and says so in a condition.
import { claimsKeys } from '../model/claims-token.ts';
import type { ConditionUpdate } from '../model/condition.ts';
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Database } from '../ports/database.ts';

const condition = 'ClaimsKeysInstalled';

export interface ClaimsKeysState {
  readonly others: readonly ConditionUpdate[];
  readonly clear: readonly string[];
}

/**
 * Level-based: what was taken out of the table by hand comes back with the next look. A Secret that is gone or broken changes
 * nothing in the database, since an accident there must not lock every user out; the condition says which keys stay in force.
 */
export async function settleClaimsKeys(
  connection: Resource<'DatabaseConnection'>,
  { database, cluster }: { readonly database: Pick<Database, 'claims'>; readonly cluster: Pick<Cluster, 'secret'> },
  signal: AbortSignal,
): Promise<ClaimsKeysState> {
  const { claims } = connection.spec;
  if (claims?.type !== 'Signed' || claims.signed === undefined) return { others: [], clear: [condition] };
  const key = { namespace: connection.metadata.namespace, name: claims.signed.keySecretRef.name };
  try {
    const secret = await cluster.secret(key, signal);
    if (secret === undefined) return failed('SecretMissing', `${describeObject('Secret', key)} does not exist — create it with one entry a key; ${untilThen}`);
    const keys = claimsKeys(secret.data, describeObject('Secret', key));
    const { readers } = await database.claims.install(keys, signal);
    const message = `tokens are believed under ${keys.length === 1 ? 'the key' : 'the keys'} ${keys.map(({ id }) => id).join(', ')}${whoReads(readers)}`;
    return { others: [{ type: condition, status: 'True', reason: 'Installed', message }], clear: [] };
  } catch (error) {
    if (!(error instanceof RowsealError)) throw error;
    if (error.code === 'BadSecret') return failed('SecretInvalid', `${error.describe()}; ${untilThen}`);
    if (error.code === 'DatabasePrivilege') return failed('PrivilegeMissing', error.describe());
    throw error;
  }
}

const untilThen = 'until then the keys that were installed before stay in force';

function failed(reason: string, message: string): ClaimsKeysState {
  return { others: [{ type: condition, status: 'False', reason, message }], clear: [] };
}

function whoReads(readers: readonly string[]): string {
  return readers.length === 0 ? '; only superusers can read them there' : `; beside superusers ${readers.join(', ')} can read them there`;
}
