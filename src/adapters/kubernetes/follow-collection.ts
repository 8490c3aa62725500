// A collection kept up to date: a paged list, then watches that resume where the last one ended, and a new list when that is too long ago.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiCall, apiError } from './api-error.ts';
import { type ApiObject, isRecord, parseApiObject } from './api-object.ts';
import { backoffMs } from './backoff.ts';
import type { Client } from './client.ts';
import { watchEvents, WatchRefused, type WatchEvent } from './watch-stream.ts';

interface Collection {
  readonly path: string;
  readonly resource: string;
  readonly fieldSelector?: string;
}

interface CollectionListener {
  /** The whole collection as it is now. */
  onList(objects: readonly ApiObject[]): void;
  onPut(object: ApiObject): void;
  onDelete(object: ApiObject): void;
  /** Told of every failure; following goes on by itself. */
  onFailure(error: unknown, retryInMs: number): void;
}

const pageSize = 500;
/** A watch that lasted this long was healthy, whatever ended it. */
const healthyMs = 5000;
const shortestWatchSeconds = 240;

/** After so many failures in a row even a version that should be good is given up, as after an etcd restored from a backup. */
const failuresUntilNewList = 5;
const tooOld = 410;

interface Following {
  readonly collection: Collection;
  readonly listener: CollectionListener;
}

/** Follows until the signal is aborted; never rejects. */
export async function followCollection(client: Client, following: Following, signal: AbortSignal): Promise<void> {
  let version: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = performance.now();
    const lasted = () => performance.now() - startedMs > healthyMs;
    try {
      version ??= await list(client, following, signal);
      await watchOnce(client, { ...following, version, onVersion: (seen) => (version = seen) }, signal);
      failures = lasted() ? 0 : failures + 1;
      if (failures > 0) await pause(backoffMs(failures), signal);
    } catch (error) {
      if (signal.aborted) return;
      const refused = error instanceof WatchRefused ? error : undefined;
      failures = lasted() ? 1 : failures + 1;
      if (refused?.statusCode === tooOld || failures % failuresUntilNewList === 0) version = undefined;
      // Too old is the normal way to learn that a new list is due; it is asked for at once, though not in a loop.
      const retryInMs = refused?.statusCode === tooOld && failures === 1 ? 0 : backoffMs(failures, refused?.retryAfterMs);
      if (refused?.statusCode !== tooOld) following.listener.onFailure(refused?.cause ?? error, retryInMs);
      await pause(retryInMs, signal);
    }
  }
}

/** Delivers the whole collection and returns the version to watch from. */
async function list(client: Client, { collection, listener }: Following, signal: AbortSignal): Promise<string> {
  const call: ApiCall = { verb: 'list', resource: collection.resource };
  const objects: ApiObject[] = [];
  let next: string | undefined;
  for (;;) {
    const query = { limit: String(pageSize), continue: next, fieldSelector: collection.fieldSelector };
    const { statusCode, body } = await client.send({ ...call, path: collection.path, query, signal });
    if (statusCode === tooOld) throw new WatchRefused(call, statusCode, { body, retryAfterMs: undefined });
    if (statusCode !== 200 || !isRecord(body) || !Array.isArray(body['items'])) throw apiError(call, statusCode, body);
    const metadata = isRecord(body['metadata']) ? body['metadata'] : {};
    for (const item of body['items']) {
      const object = parseApiObject(item);
      if (object !== undefined) objects.push(object);
    }
    next = typeof metadata['continue'] === 'string' && metadata['continue'] !== '' ? metadata['continue'] : undefined;
    if (next === undefined) {
      listener.onList(objects);
      return typeof metadata['resourceVersion'] === 'string' ? metadata['resourceVersion'] : '';
    }
  }
}

interface WatchFrom extends Following {
  readonly version: string;
  /** Told of every version passed, so that a watch that breaks is resumed from there. */
  readonly onVersion: (version: string) => void;
}

async function watchOnce(client: Client, { collection, listener, version, onVersion }: WatchFrom, signal: AbortSignal): Promise<void> {
  const { path, resource, fieldSelector } = collection;
  // Jitter, so that many watches do not come back at the same instant for ever.
  const timeoutSeconds = Math.round(shortestWatchSeconds * (1 + Math.random()));
  for await (const event of watchEvents(client, { verb: 'watch', resource, path, fieldSelector, resourceVersion: version, timeoutSeconds, signal })) {
    const seen = deliver(event, { resource, listener });
    if (seen !== undefined) onVersion(seen);
  }
}

/** The version after the event. */
function deliver(event: WatchEvent, { resource, listener }: { readonly resource: string; readonly listener: CollectionListener }): string | undefined {
  if (event.type === 'ERROR') {
    const code = isRecord(event.object) && typeof event.object['code'] === 'number' ? event.object['code'] : 500;
    throw new WatchRefused({ verb: 'watch', resource }, code, { body: event.object, retryAfterMs: undefined });
  }
  const object = parseApiObject(event.object);
  // A bookmark carries nothing but its version, and not even a name.
  if (event.type === 'BOOKMARK') return bookmarkVersion(event.object);
  if (object === undefined) throw new Error('the watch sent an event without an object');
  if (event.type === 'DELETED') listener.onDelete(object);
  else listener.onPut(object);
  return object.metadata.resourceVersion;
}

function bookmarkVersion(object: unknown): string | undefined {
  const metadata = isRecord(object) && isRecord(object['metadata']) ? object['metadata'] : {};
  return typeof metadata['resourceVersion'] === 'string' ? metadata['resourceVersion'] : undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
