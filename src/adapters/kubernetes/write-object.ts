// The two writes to our own objects: the status by server-side apply, and our finalizer under optimistic locking.
import { isDeepStrictEqual } from 'node:util';
import { RowsealError } from '../../model/errors.ts';
import { finalizerName } from '../../model/finalizer.ts';
import { apiVersion, type KindName, type ObjectKey } from '../../model/kinds.ts';
import { apiError, type ApiCall } from './api-error.ts';
import { type ApiObject, keyText, kindPath, kindResource, parseApiObject } from './api-object.ts';
import { applyPatch, type Client, fieldManager, mergePatch } from './client.ts';

export interface ObjectIdentity extends ObjectKey {
  readonly uid: string;
}

export interface StatusTarget {
  readonly kind: KindName;
  readonly identity: ObjectIdentity;
  /** Of the object as it was last seen. */
  readonly resourceVersion: string;
  readonly status: object;
}

/** Each lost race means that somebody else made progress; more in a row than this is left to the work queue. */
const maxAttempts = 4;

/** True when writing `wanted` over `current` would change nothing; absent and undefined are the same. */
export function sameStatus(current: unknown, wanted: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(current ?? {})), JSON.parse(JSON.stringify(wanted ?? {})));
}

/**
 * Applies the whole status; fields we leave out are removed. Returns the object as written, undefined when it is gone or was
 * recreated. The API server ignores the uid in a status of a custom resource (measured on 1.36), so that only the resource
 * version keeps the status of an object from landing on its successor of the same name.
 * If we die after the request, the status is there; before it, the restart computes and writes it again.
 */
export async function applyStatus(client: Client, target: StatusTarget, signal: AbortSignal): Promise<ApiObject | undefined> {
  const { kind, identity, status } = target;
  const { namespace, name } = identity;
  const call: ApiCall = { verb: 'patch', resource: `${kindResource(kind)}/status`, object: keyText(identity) };
  let { resourceVersion } = target;
  for (let attempt = 1; ; attempt += 1) {
    const { statusCode, body } = await client.send({
      ...call,
      method: 'PATCH',
      path: `${kindPath(kind, identity)}/status`,
      query: { fieldManager, force: 'true' },
      contentType: applyPatch,
      body: { apiVersion, kind, metadata: { namespace, name, resourceVersion }, status },
      signal,
    });
    if (statusCode === 404) return undefined;
    if (statusCode < 300) return parseApiObject(body);
    if (statusCode !== 409 || attempt === maxAttempts) throw apiError(call, statusCode, body);
    const current = await readObject(client, { kind, identity }, signal);
    if (current === undefined) return undefined;
    resourceVersion = current.metadata.resourceVersion;
  }
}

/**
 * Makes our finalizer present or absent and leaves everybody else's alone. Not server-side apply: an applied finalizer that
 * somebody else owns too would stay when we let go of it, and the object would never go away.
 * If we die before the request, the restart finds the finalizer as it was and reconciles the deletion or the object again.
 */
export async function writeFinalizer(client: Client, target: { readonly kind: KindName; readonly identity: ObjectIdentity; readonly present: boolean }, signal: AbortSignal): Promise<ApiObject | undefined> {
  const { kind, identity, present } = target;
  const resource = kindResource(kind);
  const path = kindPath(kind, identity);
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const object = await readObject(client, { kind, identity }, signal);
    if (object === undefined || object.metadata.finalizers.includes(finalizerName) === present) return object;
    const others = object.metadata.finalizers.filter((name) => name !== finalizerName);
    const { resourceVersion } = object.metadata;
    const call: ApiCall = { verb: 'patch', resource, object: keyText(identity) };
    const { statusCode, body } = await client.send({
      ...call,
      method: 'PATCH',
      path,
      query: { fieldManager },
      contentType: mergePatch,
      body: { metadata: { resourceVersion, finalizers: present ? [...others, finalizerName] : others } },
      signal,
    });
    if (statusCode === 404) return undefined;
    if (statusCode < 300) return parseApiObject(body);
    if (statusCode !== 409) throw apiError(call, statusCode, body);
  }
  throw new RowsealError('ClusterConflict', 'the finalizer could not be changed, since the object changes all the time', {
    object: `${resource} ${keyText(identity)}`,
    next: 'nothing: it is tried again',
    retryable: true,
  });
}

/** The newest state; undefined when the object is gone, or another one has its name. */
async function readObject(client: Client, { kind, identity }: { readonly kind: KindName; readonly identity: ObjectIdentity }, signal: AbortSignal): Promise<ApiObject | undefined> {
  const call: ApiCall = { verb: 'get', resource: kindResource(kind), object: keyText(identity) };
  const { statusCode, body } = await client.send({ ...call, path: kindPath(kind, identity), signal });
  if (statusCode === 404) return undefined;
  const object = statusCode === 200 ? parseApiObject(body) : undefined;
  if (object === undefined) throw apiError(call, statusCode, body);
  return object.metadata.uid === identity.uid ? object : undefined;
}
