// Where declared objects come from and status goes to: a Kubernetes API server, or a folder of manifests.
import type { KindName, ObjectKey, Resource, StatusOf } from '../model/kinds.ts';

export interface Secret {
  /** Decoded values by key. */
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
}

/** Something changed; the listener enqueues the key and reads the whole state later (level-based). */
export interface ClusterEvent {
  readonly kind: KindName | 'Secret';
  readonly key: ObjectKey;
}

export interface ClusterNotice {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, one word. */
  readonly reason: string;
  /** CamelCase verb: what the controller was doing. */
  readonly action: string;
  readonly message: string;
}

/** Whether a person approved a plan; `digest` is compared with the plan's by the caller. */
export type Approval =
  | { readonly kind: 'None' }
  | { readonly kind: 'Approved'; readonly digest: string; readonly by: string }
  /** Nothing here makes sure who approves, so nobody can. */
  | { readonly kind: 'Unavailable'; readonly why: string };

export interface Cluster {
  /** Identifies the cluster in the fence of a database: the uid of kube-system, or one made up per state folder. */
  readonly uid: string;
  /** Fills the caches, then keeps them fresh until the signal is aborted. Resolves when the first list of every kind is in. */
  start(listener: (event: ClusterEvent) => void, signal: AbortSignal): Promise<void>;
  /** From the cache. Objects that are being deleted are included. */
  list<K extends KindName>(kind: K): readonly Resource<K>[];
  get<K extends KindName>(kind: K, key: ObjectKey): Resource<K> | undefined;
  /** Reads a Secret and reports its later changes as events of kind Secret. */
  secret(key: ObjectKey, signal: AbortSignal): Promise<Secret | undefined>;
  /** Creates a Secret, never overwriting one. */
  createSecret(key: ObjectKey, data: Readonly<Record<string, string>>, signal: AbortSignal): Promise<'created' | 'exists'>;
  namespaceLabels(namespace: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Writes the whole status by server-side apply; writes nothing when the cached status is equal already. */
  updateStatus<K extends KindName>(resource: Resource<K>, status: StatusOf<K>, signal: AbortSignal): Promise<void>;
  /** Makes the set of our finalizers on the object equal to this; nothing is written when it is already. */
  setFinalizer(resource: Resource, present: boolean, signal: AbortSignal): Promise<void>;
  /** The approval that stands for a RowPolicy now (DESIGN §3, Approval). */
  approval(policy: Resource<'RowPolicy'>, signal: AbortSignal): Promise<Approval>;
  /** Best effort: an Event that cannot be written is logged, never an error. */
  notify(resource: Resource, notice: ClusterNotice): void;
}
