// The key of an AuditPolicy's hashed columns: read, or generated when absent, and never overwritten.
import { createHmac } from 'node:crypto';
import { RowsealError } from '../model/errors.ts';
import type { ObjectKey, Resource } from '../model/kinds.ts';
import type { Randomness } from '../ports/clock.ts';
import type { Cluster, Secret } from '../ports/cluster.ts';

export interface HashKey {
  readonly id: string;
  readonly key: Uint8Array;
}

export interface HashKeyOptions {
  readonly cluster: Cluster;
  readonly randomness: Randomness;
  readonly signal: AbortSignal;
}

const dataKey = 'hash.key';
const keyBytes = 32;
const idDigits = 16;

/** By namespace and name of each policy that hashes columns. Throws BadSecret. */
export async function hashKeysOf(policies: readonly Resource<'AuditPolicy'>[], options: HashKeyOptions): Promise<ReadonlyMap<string, HashKey>> {
  const keys = new Map<string, HashKey>();
  for (const { metadata, spec } of policies) {
    if (!spec.tables.some(({ columns }) => (columns?.hash ?? []).length > 0)) continue;
    keys.set(`${metadata.namespace}/${metadata.name}`, await hashKeyOf({ namespace: metadata.namespace, name: `${metadata.name}-hash-key` }, options));
  }
  return keys;
}

/** If we die after storing a new one, the restart reads it; if somebody else stored one first, theirs counts. */
async function hashKeyOf(key: ObjectKey, { cluster, randomness, signal }: HashKeyOptions): Promise<HashKey> {
  const present = await cluster.secret(key, signal);
  if (present !== undefined) return parseKey(present, key);
  const made = Buffer.from(randomness.bytes(keyBytes)).toString('base64');
  if ((await cluster.createSecret(key, { [dataKey]: made }, signal)) === 'created') return named(Buffer.from(made, 'base64'));
  const theirs = await cluster.secret(key, signal);
  if (theirs !== undefined) return parseKey(theirs, key);
  throw new RowsealError('BadSecret', `Secret ${key.namespace}/${key.name} came and went`, { retryable: true });
}

function parseKey(secret: Secret, { namespace, name }: ObjectKey): HashKey {
  const bytes = Buffer.from(secret.data[dataKey]?.trim() ?? '', 'base64');
  if (bytes.length >= keyBytes) return named(bytes);
  throw new RowsealError('BadSecret', `Secret ${namespace}/${name} has no key ${dataKey} of at least ${keyBytes} bytes in base64`, {
    next: `put it back from a backup; values hashed under another key cannot be compared with earlier ones`,
  });
}

/** The id says which key it was, and nothing else of it. */
function named(key: Uint8Array): HashKey {
  return { id: createHmac('sha256', key).update('rowseal hash key id').digest('hex').slice(0, idDigits), key };
}
