// Objects as the API server sends them, and where they live in its paths.
import { apiGroup, kindDefinitions, type KindName, type ObjectKey } from '../../model/kinds.ts';

export interface ApiObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly finalizers: readonly string[];
  };
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Undefined when it is no object of the API. */
export function parseApiObject(value: unknown): ApiObject | undefined {
  if (!isRecord(value) || !isRecord(value['metadata'])) return undefined;
  const { name, namespace, uid, resourceVersion, finalizers } = value['metadata'];
  if (typeof name !== 'string' || typeof resourceVersion !== 'string') return undefined;
  return {
    metadata: {
      name,
      resourceVersion,
      namespace: typeof namespace === 'string' ? namespace : '',
      uid: typeof uid === 'string' ? uid : '',
      finalizers: Array.isArray(finalizers) ? finalizers.filter((entry) => typeof entry === 'string') : [],
    },
    raw: value,
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Resource versions grow; one that cannot be compared is taken for newer, since events come in order. */
export function isOlder(version: string, than: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(than) && BigInt(version) < BigInt(than);
}

export function keyText({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

/** All objects of a kind, or one of them. */
export function kindPath(kind: KindName, key?: ObjectKey): string {
  const root = `/apis/${apiGroup}/v1alpha1`;
  const { plural } = kindDefinitions[kind];
  return key === undefined ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(key.namespace)}/${plural}/${encodeURIComponent(key.name)}`;
}

/** As RBAC names it. */
export function kindResource(kind: KindName): string {
  return `${kindDefinitions[kind].plural}.${apiGroup}`;
}
