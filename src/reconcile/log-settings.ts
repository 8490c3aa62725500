// From an AuditLog and its Secrets to the settings of its writer; defaults are applied here, not in the CRD (DESIGN §3).
import { RowsealError } from '../model/errors.ts';
import { describeObject, type ObjectKey, type Resource } from '../model/kinds.ts';
import { parseByteSize, parseDurationMs } from '../model/quantity.ts';
import { defaultRetention } from '../model/schema/audit-log.ts';
import type { LogKeeper, LogSettings, LogStorage } from '../ports/audit-runtime.ts';
import type { Cluster, Secret } from '../ports/cluster.ts';

const signerKeyName = 'signer.key';
const verifierKeyName = 'verifier.key';

/** Reads (and on first use generates) what the log needs; BadSecret names the Secret and the key that is missing. */
export async function logSettings(log: Resource<'AuditLog'>, cluster: Cluster, options: { keeper: LogKeeper; signal: AbortSignal }): Promise<LogSettings> {
  const { spec } = log;
  const storage = await storageOf(log, cluster, options.signal);
  const signerKey = await signerKeyOf(log, cluster, options);
  return {
    origin: spec.origin,
    storage,
    retention: {
      days: spec.retention?.days ?? defaultRetention.days,
      uncoveredDays: spec.retention?.uncoveredDays ?? defaultRetention.uncoveredDays,
    },
    sealing: {
      maxDelayMs: parseDurationMs(spec.sealing?.maxDelay ?? '1s'),
      maxBytes: parseByteSize(spec.sealing?.maxBytes ?? '8Mi'),
    },
    publishing: { maxDelayMs: parseDurationMs(spec.publishing?.maxDelay ?? '10s') },
    signerKey,
  };
}

async function storageOf(log: Resource<'AuditLog'>, cluster: Cluster, signal: AbortSignal): Promise<LogStorage> {
  const { s3, filesystem } = log.spec.storage;
  if (filesystem !== undefined) return { kind: 'Filesystem', path: filesystem.path };
  if (s3 === undefined) throw new RowsealError('BadManifest', 'storage has neither s3 nor filesystem', { object: describeObject('AuditLog', log.metadata) });
  const credentials = s3.credentialsSecretRef && (await s3Credentials(log, cluster, { name: s3.credentialsSecretRef.name, signal }));
  return {
    kind: 'S3',
    ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
    region: s3.region ?? 'us-east-1',
    bucket: s3.bucket,
    ...(s3.prefix === undefined ? {} : { prefix: s3.prefix }),
    forcePathStyle: s3.forcePathStyle ?? false,
    objectLock: s3.objectLock,
    ...(credentials === undefined ? {} : { credentials }),
  };
}

async function s3Credentials(log: Resource<'AuditLog'>, cluster: Cluster, { name, signal }: { name: string; signal: AbortSignal }) {
  const key = { namespace: log.metadata.namespace, name };
  const secret = await requiredSecret(cluster, key, { referrer: log, signal });
  return {
    accessKeyId: requiredValue(secret, key, ['AWS_ACCESS_KEY_ID', 'accessKeyId']),
    secretAccessKey: requiredValue(secret, key, ['AWS_SECRET_ACCESS_KEY', 'secretAccessKey']),
  };
}

/**
 * The signing key: read, or generated and stored when the Secret is absent. If we die after storing it, the restart reads it;
 * if somebody else stored one first, theirs is the one that counts.
 */
async function signerKeyOf(log: Resource<'AuditLog'>, cluster: Cluster, { keeper, signal }: { keeper: LogKeeper; signal: AbortSignal }): Promise<string> {
  const key = { namespace: log.metadata.namespace, name: log.spec.signer?.secretRef.name ?? `${log.metadata.name}-log-key` };
  const present = await cluster.secret(key, signal);
  if (present !== undefined) return requiredValue(present, key, [signerKeyName]);
  const { signerKey, verifierKey } = keeper.generateKeys(log.spec.origin);
  const outcome = await cluster.createSecret(key, { [signerKeyName]: signerKey, [verifierKeyName]: verifierKey }, signal);
  if (outcome === 'created') return signerKey;
  return requiredValue(await requiredSecret(cluster, key, { referrer: log, signal }), key, [signerKeyName]);
}

async function requiredSecret(cluster: Cluster, key: ObjectKey, { referrer, signal }: { referrer: Resource; signal: AbortSignal }): Promise<Secret> {
  const secret = await cluster.secret(key, signal);
  if (secret !== undefined) return secret;
  throw new RowsealError('BadSecret', `Secret ${key.namespace}/${key.name} does not exist`, {
    object: describeObject(referrer.kind, referrer.metadata),
    next: 'create it, or correct the reference',
    retryable: true,
  });
}

function requiredValue(secret: Secret, key: ObjectKey, names: readonly string[]): string {
  for (const name of names) {
    const value = secret.data[name]?.trim();
    if (value !== undefined && value !== '') return value;
  }
  throw new RowsealError('BadSecret', `Secret ${key.namespace}/${key.name} has no key ${names.join(' or ')}`, { next: `add the key ${names[0] ?? ''}` });
}
