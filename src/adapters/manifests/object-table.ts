// The objects of standalone mode as an API server would keep them: identity, generation, deletion with finalizers, status.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { RowsealError, toRowsealError } from '../../model/errors.ts';
import { finalizerName } from '../../model/finalizer.ts';
import { describeObject, type KindName, type ObjectKey, type Resource } from '../../model/kinds.ts';
import { isNoteworthy } from '../../model/noteworthy.ts';
import { parseResource } from '../../model/validate.ts';
import type { ClusterEvent } from '../../ports/cluster.ts';
import { mendedStatus, refusedStatus } from './bad-manifest-status.ts';
import { type Declared, type ManifestProblem, objectId } from './collect.ts';
import { isMapping, type ManifestObject } from './parse-documents.ts';
import type { ObjectRecord, StateFolder } from './state-folder.ts';

interface Entry {
  readonly record: ObjectRecord;
  readonly status: object;
  readonly version: number;
  /** Why the manifest on disk is refused. */
  readonly refusal?: RowsealError;
}

export interface ObjectTableOptions {
  readonly state: StateFolder;
  readonly emit: (event: ClusterEvent) => void;
  readonly now: () => Date;
}

const safeFileName = /^[a-z0-9][-a-z0-9.]*$/;

export class ObjectTable {
  readonly #state: StateFolder;
  readonly #emit: (event: ClusterEvent) => void;
  readonly #now: () => Date;
  readonly #entries = new Map<string, Entry>();
  #version = 0;

  constructor({ state, emit, now }: ObjectTableOptions) {
    this.#state = state;
    this.#emit = emit;
    this.#now = now;
    for (const record of state.records()) {
      const status = state.status(record.kind, record, record.uid);
      this.#entries.set(objectId(record.kind, record), { record, status, version: (this.#version += 1) });
    }
  }

  list(kind: KindName): readonly Resource[] {
    return [...this.#entries.values()].filter((entry) => entry.record.kind === kind).map(toResource);
  }

  get(kind: KindName, key: ObjectKey): Resource | undefined {
    const entry = this.#entries.get(objectId(kind, key));
    return entry === undefined ? undefined : toResource(entry);
  }

  /**
   * Takes over what the manifests declare now; returns what is wrong with them. Objects of a broken file stay as they are, and
   * nothing is taken for deleted while `unsettled` says that some file is not read yet: it may have moved there.
   */
  apply(declared: Declared, { broken, unsettled }: { readonly broken: ReadonlyMap<string, RowsealError>; readonly unsettled: boolean }): readonly ManifestProblem[] {
    const refusals = new Map<string, RowsealError>();
    for (const { kind, namespace, name, error } of declared.problems) {
      if (kind !== undefined && namespace !== undefined && name !== undefined) refusals.set(objectId(kind, { namespace, name }), error);
    }
    const problems: ManifestProblem[] = [...broken].map(([file, error]) => ({ file, error }));
    for (const [id, manifest] of declared.objects) {
      const error = this.#declare(id, manifest);
      if (error === undefined) continue;
      const { file, kind, namespace, name } = manifest;
      problems.push({ file, kind, namespace, name, error });
      refusals.set(id, error);
    }
    for (const [id, { record }] of this.#entries) {
      const fileError = declared.objects.has(id) ? undefined : broken.get(record.file);
      if (fileError !== undefined && !refusals.has(id)) refusals.set(id, fileError);
      if (!unsettled && !declared.objects.has(id) && !refusals.has(id)) this.#undeclare(id);
    }
    for (const id of this.#entries.keys()) this.#setRefusal(id, refusals.get(id));
    for (const problem of [...problems, ...declared.problems]) this.#explainUnknown(problem);
    return [...problems, ...declared.problems];
  }

  updateStatus(resource: Resource, status: object): void {
    const id = objectId(resource.kind, resource.metadata);
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.record.uid !== resource.metadata.uid) return;
    const wanted = entry.refusal === undefined ? status : refusedStatus(status, this.#refusal(entry, entry.refusal));
    this.#writeStatus(id, entry, wanted);
  }

  /** True when the object is gone by this: its last finalizer was taken off while it was being deleted. */
  setFinalizer(resource: Resource, present: boolean): boolean {
    const id = objectId(resource.kind, resource.metadata);
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.record.uid !== resource.metadata.uid) return false;
    if (entry.record.finalizers.includes(finalizerName) === present) return false;
    // As in Kubernetes, an object that is being deleted takes no new finalizer.
    if (present && entry.record.deletionTimestamp !== undefined) return false;
    if (!present && entry.record.deletionTimestamp !== undefined) {
      this.#drop(id, entry.record);
      return true;
    }
    this.#save(id, { ...entry, record: { ...entry.record, finalizers: present ? [finalizerName] : [] } });
    return false;
  }

  /** Undefined when the manifest is in force now. */
  #declare(id: string, manifest: ManifestObject & { readonly kind: KindName }): RowsealError | undefined {
    const entry = this.#entries.get(id);
    if (entry?.record.deletionTimestamp !== undefined) {
      const object = describeObject(manifest.kind, manifest);
      return new RowsealError('BadManifest', `${object} is still being deleted`, { object, next: 'nothing: it is created again afterwards', retryable: true });
    }
    try {
      const { kind, metadata, spec } = parseResource(declaredPart(manifest), entry?.record.spec);
      const { name, namespace, annotations } = metadata;
      const identity = entry?.record ?? { uid: randomUUID(), generation: 0, finalizers: [] };
      const generation = isDeepStrictEqual(entry?.record.spec, spec) ? identity.generation : identity.generation + 1;
      const record: ObjectRecord = { kind, namespace, name, uid: identity.uid, generation, finalizers: identity.finalizers, annotations, spec, file: manifest.file };
      if (!isDeepStrictEqual(entry?.record, record)) this.#save(id, { status: {}, version: 0, ...entry, record });
      return undefined;
    } catch (error) {
      return toRowsealError(error, 'BadManifest', { object: describeObject(manifest.kind, manifest) });
    }
  }

  #undeclare(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.record.deletionTimestamp !== undefined) return;
    if (entry.record.finalizers.length === 0) this.#drop(id, entry.record);
    else this.#save(id, { ...entry, record: { ...entry.record, deletionTimestamp: this.#now().toISOString() } });
  }

  #drop(id: string, record: ObjectRecord): void {
    this.#state.dropRecord(record.kind, record);
    this.#entries.delete(id);
    this.#emit(eventOf(record));
  }

  #save(id: string, entry: Entry): void {
    const before = this.#entries.get(id);
    this.#state.saveRecord(entry.record);
    const after = { ...entry, version: (this.#version += 1) };
    this.#entries.set(id, after);
    if (isNoteworthy(before && toResource(before), toResource(after))) this.#emit(eventOf(entry.record));
  }

  #setRefusal(id: string, error: RowsealError | undefined): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (error !== undefined) {
      const refused = { ...entry, refusal: error };
      this.#writeStatus(id, refused, refusedStatus(entry.status, this.#refusal(entry, error)));
      return;
    }
    const { refusal, ...mended } = entry;
    const status = mendedStatus(entry.status);
    if (refusal === undefined && status === entry.status) return;
    this.#entries.set(id, mended);
    this.#writeStatus(id, mended, status);
    this.#emit(eventOf(entry.record));
  }

  #writeStatus(id: string, entry: Entry, status: object): void {
    // Through JSON, so that an absent field and one that is undefined are the same.
    const plain = JSON.parse(JSON.stringify(status)) as object;
    if (isDeepStrictEqual(plain, entry.status)) {
      this.#entries.set(id, entry);
      return;
    }
    this.#state.saveStatus(entry.record.kind, entry.record, plain);
    const after = { ...entry, status: plain, version: (this.#version += 1) };
    const before = this.#entries.get(id);
    this.#entries.set(id, after);
    if (isNoteworthy(before && toResource(before), toResource(after))) this.#emit(eventOf(entry.record));
  }

  /** An object that was never accepted has no place in the table, but its status says why. */
  #explainUnknown({ kind, namespace, name, error }: ManifestProblem): void {
    if (kind === undefined || namespace === undefined || name === undefined) return;
    if (this.#entries.has(objectId(kind, { namespace, name })) || !safeFileName.test(namespace) || !safeFileName.test(name)) return;
    const status = refusedStatus({}, { error, generation: 0, now: this.#now().toISOString() });
    this.#state.saveStatus(kind, { namespace, name, uid: '', generation: 0 }, status);
  }

  #refusal(entry: Entry, error: RowsealError) {
    return { error, generation: entry.record.generation, now: this.#now().toISOString() };
  }
}

/** Identity is ours to give, so that nothing but name, namespace and annotations is taken from the manifest's metadata. */
function declaredPart({ raw }: ManifestObject): Record<string, unknown> {
  const { metadata, status: _, ...rest } = raw;
  const { name, namespace, annotations } = isMapping(metadata) ? metadata : {};
  return { ...rest, metadata: { name, namespace, annotations } };
}

function toResource({ record, status, version }: Entry): Resource {
  const { kind, spec, file: _, ...identity } = record;
  // The spec was accepted by parseResource for this kind when the record was made.
  return { kind, metadata: { ...identity, resourceVersion: String(version) }, spec, status } as Resource;
}

function eventOf({ kind, namespace, name }: ObjectRecord): ClusterEvent {
  return { kind, key: { namespace, name } };
}
