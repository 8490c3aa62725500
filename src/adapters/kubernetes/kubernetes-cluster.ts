// The Cluster port over a Kubernetes API server.
import { setTimeout as sleep } from 'node:timers/promises';
import { withConditions } from '../../model/condition.ts';
import { approveAnnotation, approvedByAnnotation } from '../../model/annotations.ts';
import { describeError, RowsealError } from '../../model/errors.ts';
import { finalizerName } from '../../model/finalizer.ts';
import { type Condition, describeObject, type KindName, kindNames, type ObjectKey, type Resource, type StatusOf } from '../../model/kinds.ts';
import type { Approval, Cluster, ClusterEvent, ClusterNotice, Secret } from '../../ports/cluster.ts';
import type { Logger } from '../../ports/logger.ts';
import { AdmissionGuard } from './admission-guard.ts';
import { type ApiObject, isRecord, kindPath, kindResource, parseApiObject } from './api-object.ts';
import { Client } from './client.ts';
import { Connection, type KubeconfigSource } from './connection.ts';
import { Events } from './events.ts';
import { followCollection } from './follow-collection.ts';
import { NamespaceLabels } from './namespace-labels.ts';
import { ResourceCache } from './resource-cache.ts';
import { Secrets } from './secrets.ts';
import { applyStatus, sameStatus, writeFinalizer } from './write-object.ts';

export interface KubernetesOptions extends KubeconfigSource {
  readonly logger: Logger;
  /** How long `start` waits for the first list of every kind; a minute when left out. */
  readonly startDeadlineMs?: number;
  /** Silence after which a watch is taken for dead; two and a half minutes when left out. */
  readonly watchIdleMs?: number;
}

export interface KubernetesCluster extends Cluster {
  readonly server: string;
  /** Ends everything that is under way. */
  close(): Promise<void>;
}

const defaultStartDeadlineMs = 60_000;
const defaultWatchIdleMs = 150_000;

/** Connects and identifies the cluster. Throws BadUsage for a bad kubeconfig, ClusterUnreachable, ClusterRefused. */
export async function connectKubernetes(options: KubernetesOptions, signal: AbortSignal): Promise<KubernetesCluster> {
  const connection = new Connection(options, { watchIdleMs: options.watchIdleMs ?? defaultWatchIdleMs });
  const client = new Client(connection);
  try {
    const call = { verb: 'get', resource: 'namespaces', object: 'kube-system' } as const;
    const system = parseApiObject(await client.call({ ...call, path: '/api/v1/namespaces/kube-system', signal }));
    if (system === undefined) throw new RowsealError('ClusterRefused', 'the server is no Kubernetes API server', { object: connection.server, next: 'check the address in the kubeconfig' });
    return new ApiServerCluster({ client, uid: system.metadata.uid, options });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class ApiServerCluster implements KubernetesCluster {
  readonly uid: string;
  readonly #client: Client;
  readonly #options: KubernetesOptions;
  readonly #stop = new AbortController();
  readonly #caches: Readonly<Record<KindName, ResourceCache>>;
  readonly #secrets: Secrets;
  readonly #events: Events;
  readonly #labels: NamespaceLabels;
  readonly #admission: AdmissionGuard;
  #listener: (event: ClusterEvent) => void = () => undefined;

  constructor({ client, uid, options }: { readonly client: Client; readonly uid: string; readonly options: KubernetesOptions }) {
    this.uid = uid;
    this.#client = client;
    this.#options = options;
    const { signal } = this.#stop;
    const cache = (kind: KindName) =>
      new ResourceCache(kind, {
        onNoteworthy: (key) => this.#listener({ kind, key }),
        onRefused: (object, error) => void this.#explain(kind, object, error),
      });
    this.#caches = { DatabaseConnection: cache('DatabaseConnection'), RowPolicy: cache('RowPolicy'), AuditLog: cache('AuditLog'), AuditPolicy: cache('AuditPolicy') };
    this.#secrets = new Secrets({
      client,
      signal,
      onChange: (key) => this.#listener({ kind: 'Secret', key }),
      onFailure: (key, error, retryInMs) => options.logger.warn({ object: describeObject('Secret', key), error: describeError(error), retryInMs }, 'a Secret cannot be followed'),
    });
    this.#events = new Events(client, options.logger, signal);
    this.#labels = new NamespaceLabels(client);
    this.#admission = new AdmissionGuard(client);
  }

  get server(): string {
    return this.#client.connection.server;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#client.connection.close();
  }

  async start(listener: (event: ClusterEvent) => void, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true });
    const waitingFor = new Set<KindName>(kindNames);
    const complete = new AbortController();
    let lastFailure: unknown;
    for (const kind of kindNames) {
      this.#follow(kind, {
        onFirstList: () => {
          waitingFor.delete(kind);
          if (waitingFor.size === 0) complete.abort();
        },
        onFailure: (error) => (lastFailure = error),
      });
    }
    const deadlineMs = this.#options.startDeadlineMs ?? defaultStartDeadlineMs;
    await sleep(deadlineMs, undefined, { signal: AbortSignal.any([complete.signal, signal]) }).catch(() => undefined);
    signal.throwIfAborted();
    if (waitingFor.size === 0) return;
    this.#stop.abort();
    if (lastFailure instanceof RowsealError) throw lastFailure;
    throw new RowsealError('Deadline', `no list of ${[...waitingFor].join(', ')} in ${deadlineMs} ms`, { object: this.server, next: 'check the load and the network of the API server', retryable: true });
  }

  list<K extends KindName>(kind: K): readonly Resource<K>[] {
    return this.#caches[kind].list() as readonly Resource<K>[];
  }

  get<K extends KindName>(kind: K, key: ObjectKey): Resource<K> | undefined {
    return this.#caches[kind].get(key) as Resource<K> | undefined;
  }

  secret(key: ObjectKey, signal: AbortSignal): Promise<Secret | undefined> {
    return this.#secrets.get(key, signal);
  }

  createSecret(key: ObjectKey, data: Readonly<Record<string, string>>, signal: AbortSignal): Promise<'created' | 'exists'> {
    return this.#secrets.create(key, data, signal);
  }

  namespaceLabels(namespace: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    return this.#labels.get(namespace, signal);
  }

  async updateStatus<K extends KindName>({ kind, metadata }: Resource<K>, status: StatusOf<K>, signal: AbortSignal): Promise<void> {
    const cached = this.#caches[kind].get(metadata);
    // Gone, or another object of the same name, of which this status says nothing.
    if (cached?.metadata.uid !== metadata.uid || sameStatus(cached.status, status)) return;
    const { resourceVersion } = cached.metadata;
    const written = await applyStatus(this.#client, { kind, identity: metadata, resourceVersion, status }, signal);
    if (written !== undefined) this.#caches[kind].putAnswer(written);
  }

  async setFinalizer({ kind, metadata }: Resource, present: boolean, signal: AbortSignal): Promise<void> {
    const cached = this.#caches[kind].get(metadata);
    if (cached?.metadata.uid === metadata.uid && cached.metadata.finalizers.includes(finalizerName) === present) return;
    const written = await writeFinalizer(this.#client, { kind, identity: metadata, present }, signal);
    if (written !== undefined) this.#caches[kind].putAnswer(written);
  }

  async approval({ metadata }: Resource<'RowPolicy'>, signal: AbortSignal): Promise<Approval> {
    const missing = await this.#admission.missing(signal);
    if (missing !== undefined) return { kind: 'Unavailable', why: missing };
    const digest = metadata.annotations[approveAnnotation];
    const by = metadata.annotations[approvedByAnnotation];
    return digest === undefined || by === undefined ? { kind: 'None' } : { kind: 'Approved', digest, by };
  }

  notify(resource: Resource, notice: ClusterNotice): void {
    this.#events.add(resource, notice);
  }

  #follow(kind: KindName, on: { readonly onFirstList: () => void; readonly onFailure: (error: unknown) => void }): void {
    const cache = this.#caches[kind];
    const listener = {
      onList: (objects: readonly ApiObject[]) => {
        cache.replace(objects);
        on.onFirstList();
      },
      onPut: (object: ApiObject) => cache.put(object),
      onDelete: (object: ApiObject) => cache.delete(object),
      onFailure: (error: unknown, retryInMs: number) => {
        on.onFailure(error);
        this.#options.logger.warn({ kind, error: describeError(error), retryInMs }, 'the API server cannot be followed for the moment');
      },
    };
    // It never rejects; the signal ends it.
    void followCollection(this.#client, { collection: { path: kindPath(kind), resource: kindResource(kind) }, listener }, this.#stop.signal);
  }

  /** Says on an object that we cannot read why nothing happens to it. Best effort: the log says it too. */
  async #explain(kind: KindName, { raw, metadata }: ApiObject, error: RowsealError): Promise<void> {
    const message = error.describe().slice(0, 4096);
    this.#options.logger.warn({ object: describeObject(kind, metadata), error: message }, 'an object is refused');
    const before = isRecord(raw['status']) ? raw['status'] : {};
    const conditions = withConditions(
      Array.isArray(before['conditions']) ? (before['conditions'] as readonly Condition[]) : [],
      [
        { type: 'Ready', status: 'False', reason: 'BadManifest', message },
        { type: 'Stalled', status: 'True', reason: 'BadManifest', message },
      ],
      { now: new Date().toISOString(), generation: generationOf(raw) },
    );
    const status = { ...before, conditions };
    if (sameStatus(before, status)) return;
    await applyStatus(this.#client, { kind, identity: metadata, resourceVersion: metadata.resourceVersion, status }, this.#stop.signal).catch((cause: unknown) => {
      if (!this.#stop.signal.aborted) this.#options.logger.warn({ object: describeObject(kind, metadata), error: describeError(cause) }, 'a status could not be written');
    });
  }
}

function generationOf(raw: Readonly<Record<string, unknown>>): number {
  const generation = isRecord(raw['metadata']) ? raw['metadata']['generation'] : undefined;
  return typeof generation === 'number' ? generation : 0;
}
