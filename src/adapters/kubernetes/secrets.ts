// Secrets, each watched by its own name from the first reading on: never the list of all of them.
import { setTimeout as sleep } from 'node:timers/promises';
import { RowsealError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/kinds.ts';
import type { Secret } from '../../ports/cluster.ts';
import { apiError, type ApiCall } from './api-error.ts';
import { type ApiObject, isOlder, isRecord, keyText, parseApiObject } from './api-object.ts';
import type { Client } from './client.ts';
import { followCollection } from './follow-collection.ts';

interface WatchedSecret {
  object: ApiObject | undefined;
  synced: boolean;
  failure: unknown;
  lastReadMs: number;
  readonly stop: AbortController;
  /** Wakes those who wait for the first answer. */
  readonly answered: AbortController;
}

export interface SecretsOptions {
  readonly client: Client;
  readonly onChange: (key: ObjectKey) => void;
  readonly onFailure: (key: ObjectKey, error: unknown, retryInMs: number) => void;
  /** Ends every watch. */
  readonly signal: AbortSignal;
}

const firstAnswerDeadlineMs = 15_000;
/** A Secret that nobody reads for this long is no longer watched; each object is reconciled far more often. */
const unreadMs = 3_600_000;

export class Secrets {
  readonly #options: SecretsOptions;
  readonly #watched = new Map<string, WatchedSecret>();

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  /** Undefined when there is none. Throws ClusterRefused or ClusterUnreachable while the first answer is not had. */
  async get(key: ObjectKey, signal: AbortSignal): Promise<Secret | undefined> {
    const watched = this.#watch(key);
    watched.lastReadMs = Date.now();
    this.#dropUnread();
    if (!watched.synced) {
      await sleep(firstAnswerDeadlineMs, undefined, { signal: AbortSignal.any([watched.answered.signal, signal]) }).catch(() => undefined);
      signal.throwIfAborted();
    }
    if (watched.synced) return watched.object === undefined ? undefined : toSecret(watched.object);
    this.#forget(key);
    if (watched.failure instanceof RowsealError) throw watched.failure;
    throw new RowsealError('ClusterUnreachable', 'the Secret could not be read in time', { object: `Secret ${keyText(key)}`, next: 'nothing: it is tried again', retryable: true });
  }

  /** If we die after the request, the Secret is there and nobody used it yet; the restart reads it like any other. */
  async create(key: ObjectKey, data: Readonly<Record<string, string>>, signal: AbortSignal): Promise<'created' | 'exists'> {
    const call: ApiCall = { verb: 'create', resource: 'secrets', object: keyText(key) };
    const encoded = Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'utf8').toString('base64')]);
    const { statusCode, body } = await this.#options.client.send({
      ...call,
      method: 'POST',
      path: `/api/v1/namespaces/${encodeURIComponent(key.namespace)}/secrets`,
      query: { fieldManager: 'rowseal' },
      body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: key.name, namespace: key.namespace }, type: 'Opaque', data: Object.fromEntries(encoded) },
      signal,
    });
    if (statusCode === 409 && isRecord(body) && body['reason'] === 'AlreadyExists') return 'exists';
    if (statusCode >= 300) throw apiError(call, statusCode, body);
    const created = parseApiObject(body);
    const watched = this.#watched.get(keyText(key));
    if (created !== undefined && watched !== undefined) this.#put(key, watched, created);
    return 'created';
  }

  #watch(key: ObjectKey): WatchedSecret {
    const before = this.#watched.get(keyText(key));
    if (before !== undefined) return before;
    const stop = new AbortController();
    const watched: WatchedSecret = { object: undefined, synced: false, failure: undefined, lastReadMs: Date.now(), stop, answered: new AbortController() };
    this.#watched.set(keyText(key), watched);
    const collection = {
      path: `/api/v1/namespaces/${encodeURIComponent(key.namespace)}/secrets`,
      resource: 'secrets',
      fieldSelector: `metadata.name=${key.name}`,
    };
    const listener = {
      onList: (objects: readonly ApiObject[]) => this.#put(key, watched, objects[0]),
      onPut: (object: ApiObject) => this.#put(key, watched, object),
      onDelete: () => this.#put(key, watched, undefined),
      onFailure: (error: unknown, retryInMs: number) => {
        watched.failure = error;
        // Waiting longer does not help against a refusal.
        if (!(error instanceof RowsealError) || !error.retryable) watched.answered.abort();
        this.#options.onFailure(key, error, retryInMs);
      },
    };
    // It never rejects; the signal ends it.
    void followCollection(this.#options.client, { collection, listener }, AbortSignal.any([stop.signal, this.#options.signal]));
    return watched;
  }

  #put(key: ObjectKey, watched: WatchedSecret, object: ApiObject | undefined): void {
    const before = watched.object;
    if (before !== undefined && object !== undefined && isOlder(object.metadata.resourceVersion, before.metadata.resourceVersion)) return;
    const news = watched.synced && before?.metadata.resourceVersion !== object?.metadata.resourceVersion;
    watched.object = object;
    watched.synced = true;
    watched.answered.abort();
    if (news) this.#options.onChange(key);
  }

  #forget(key: ObjectKey): void {
    this.#watched.get(keyText(key))?.stop.abort();
    this.#watched.delete(keyText(key));
  }

  #dropUnread(): void {
    const before = Date.now() - unreadMs;
    for (const [key, watched] of this.#watched) {
      if (watched.lastReadMs >= before) continue;
      watched.stop.abort();
      this.#watched.delete(key);
    }
  }
}

function toSecret({ raw, metadata }: ApiObject): Secret {
  const data = isRecord(raw['data']) ? raw['data'] : {};
  const meta = isRecord(raw['metadata']) ? raw['metadata'] : {};
  return {
    data: Object.fromEntries(strings(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString('utf8')])),
    annotations: Object.fromEntries(strings(isRecord(meta['annotations']) ? meta['annotations'] : {})),
    resourceVersion: metadata.resourceVersion,
  };
}

function strings(record: Record<string, unknown>): [string, string][] {
  return Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
}
