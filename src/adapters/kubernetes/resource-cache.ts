// The objects of one kind as last seen, parsed; and what cannot be parsed, with the reason.
import type { RowsealError } from '../../model/errors.ts';
import { toRowsealError } from '../../model/errors.ts';
import type { KindName, ObjectKey, Resource } from '../../model/kinds.ts';
import { isNoteworthy } from '../../model/noteworthy.ts';
import { parseResource } from '../../model/validate.ts';
import { type ApiObject, isOlder, keyText } from './api-object.ts';

export interface CacheListener {
  onNoteworthy(key: ObjectKey): void;
  /** An object that this version of Rowseal does not accept, though the API server has it: its CRDs are older or newer. */
  onRefused(object: ApiObject, error: RowsealError): void;
}

export class ResourceCache {
  readonly kind: KindName;
  readonly #listener: CacheListener;
  readonly #resources = new Map<string, Resource>();

  constructor(kind: KindName, listener: CacheListener) {
    this.kind = kind;
    this.#listener = listener;
  }

  list(): readonly Resource[] {
    return [...this.#resources.values()];
  }

  get(key: ObjectKey): Resource | undefined {
    return this.#resources.get(keyText(key));
  }

  replace(objects: readonly ApiObject[]): void {
    const present = new Set(objects.map(({ metadata }) => keyText(metadata)));
    for (const [key, resource] of this.#resources) if (!present.has(key)) this.#set(resource.metadata, undefined);
    for (const object of objects) this.put(object);
  }

  put(object: ApiObject): void {
    const before = this.get(object.metadata);
    if (before?.metadata.uid === object.metadata.uid && isOlder(object.metadata.resourceVersion, before.metadata.resourceVersion)) return;
    try {
      this.#set(object.metadata, parseResource(object.raw));
    } catch (error) {
      // What was accepted last stays; forgetting it would look like a deletion.
      this.#listener.onRefused(object, toRowsealError(error, 'BadManifest'));
    }
  }

  /** Takes over the answer to a write of ours, unless the object went away meanwhile. */
  putAnswer(object: ApiObject): void {
    if (this.get(object.metadata)?.metadata.uid === object.metadata.uid) this.put(object);
  }

  delete(object: ApiObject): void {
    if (this.get(object.metadata)?.metadata.uid === object.metadata.uid) this.#set(object.metadata, undefined);
  }

  #set(key: ObjectKey, after: Resource | undefined): void {
    const before = this.get(key);
    if (after === undefined) this.#resources.delete(keyText(key));
    else this.#resources.set(keyText(key), after);
    if (isNoteworthy(before, after)) this.#listener.onNoteworthy({ namespace: key.namespace, name: key.name });
  }
}
