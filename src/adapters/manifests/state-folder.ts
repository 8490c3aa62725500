// What standalone mode must remember over a restart, and what it says to people: identities, last good specs, statuses, generated Secrets.
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { RowsealError, toRowsealError } from '../../model/errors.ts';
import { apiVersion, kindNames, type KindName, type ObjectKey } from '../../model/kinds.ts';
import { createFile, readIfThere, replaceFile } from './atomic-file.ts';
import { objectId } from './collect.ts';
import { isMapping } from './parse-documents.ts';

/** What the API server would keep of an object: its identity, and the spec that was last accepted. */
export interface ObjectRecord {
  readonly kind: KindName;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly finalizers: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: unknown;
  /** The file that declares it; while that file cannot be read, the object stays. */
  readonly file: string;
  readonly deletionTimestamp?: string;
}

export class StateFolder {
  readonly path: string;
  /** Identifies this folder in the fence of a database. */
  readonly uid: string;

  /** Throws BadUsage when the folder cannot be made or written. */
  constructor(path: string) {
    this.path = path;
    try {
      for (const part of ['objects', 'status', 'approvals']) mkdirSync(join(path, part), { recursive: true });
      mkdirSync(join(path, 'secrets'), { recursive: true, mode: 0o700 });
      chmodSync(join(path, 'secrets'), 0o700);
      // If we die before this is on disk, nothing was written to a database under the identity yet; the restart makes another one.
      createFile(join(path, 'cluster-uid'), `${randomUUID()}\n`, { durable: true });
      this.uid = (readIfThere(join(path, 'cluster-uid')) ?? '').trim();
    } catch (error) {
      throw toRowsealError(error, 'BadUsage', { object: path, next: 'give a folder that Rowseal may write as its state folder' });
    }
  }

  records(): readonly ObjectRecord[] {
    return readdirSync(join(this.path, 'objects'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => parseRecord(join(this.path, 'objects', name)));
  }

  /**
   * Durable before anybody hears of the object. If we die before it, the restart sees the change in the manifests again;
   * after it, the restart tells the listeners of every object anyway.
   */
  saveRecord(record: ObjectRecord): void {
    replaceFile(this.#recordPath(record.kind, record), `${JSON.stringify(record, undefined, 1)}\n`, { durable: true });
  }

  /** If we die between the two, the restart finds a status without an object and no object will ever read it; the next creation replaces it. */
  dropRecord(kind: KindName, key: ObjectKey): void {
    rmSync(this.#recordPath(kind, key), { force: true });
    rmSync(this.#statusPath(kind, key), { force: true });
  }

  /** The status written for this uid; an empty one when there is none, or it cannot be read: it is computed again. */
  status(kind: KindName, key: ObjectKey, uid: string): Record<string, unknown> {
    try {
      const document: unknown = parse(readIfThere(this.#statusPath(kind, key)) ?? '');
      if (!isMapping(document) || !isMapping(document['metadata']) || document['metadata']['uid'] !== uid) return {};
      return isMapping(document['status']) ? document['status'] : {};
    } catch {
      return {};
    }
  }

  /** Not synced to disk: after a power loss the status is computed again. */
  saveStatus(kind: KindName, metadata: ObjectKey & { readonly uid: string; readonly generation: number }, status: object): void {
    const { name, namespace, uid, generation } = metadata;
    const text = stringify({ apiVersion, kind, metadata: { name, namespace, uid, generation }, status }, { lineWidth: 0, aliasDuplicateObjects: false });
    replaceFile(this.#statusPath(kind, metadata), `# Written by Rowseal; changes here are not read.\n${text}`);
  }

  /** The data of a Secret that Rowseal generated. */
  generatedSecret(key: ObjectKey): Readonly<Record<string, string>> | undefined {
    const text = readIfThere(this.#secretPath(key));
    if (text === undefined) return undefined;
    const document: unknown = parse(text);
    const data = isMapping(document) ? document['stringData'] : undefined;
    if (!isMapping(data)) throw new RowsealError('BadSecret', 'the generated Secret cannot be read', { object: this.#secretPath(key), next: 'restore the file from a backup' });
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, String(value)]));
  }

  /** False when there is one. Durable on return: a key that signed anything must never be lost, and if we die before, it signed nothing. */
  createSecret(key: ObjectKey, data: Readonly<Record<string, string>>): boolean {
    const document = { apiVersion: 'v1', kind: 'Secret', metadata: { name: key.name, namespace: key.namespace }, stringData: data };
    return createFile(this.#secretPath(key), stringify(document), { mode: 0o600, durable: true });
  }

  /** The approval that `rowseal approve` left; a file that cannot be read approves nothing. */
  approval(key: ObjectKey): { readonly digest: string; readonly by: string } | undefined {
    try {
      const document: unknown = JSON.parse(readIfThere(this.#approvalPath(key)) ?? 'null');
      if (!isMapping(document) || typeof document['digest'] !== 'string' || typeof document['by'] !== 'string') return undefined;
      return { digest: document['digest'], by: document['by'] };
    } catch {
      return undefined;
    }
  }

  /** Replaces an earlier approval. If we die before it is on disk, nothing is approved, and the person asks again. */
  approve(key: ObjectKey, approval: { readonly digest: string; readonly by: string }): void {
    replaceFile(this.#approvalPath(key), `${JSON.stringify(approval)}\n`, { durable: true });
  }

  #approvalPath(key: ObjectKey): string {
    return join(this.path, 'approvals', `${objectId('RowPolicy', key)}.json`);
  }

  #recordPath(kind: KindName, key: ObjectKey): string {
    return join(this.path, 'objects', `${objectId(kind, key)}.json`);
  }

  #statusPath(kind: KindName, key: ObjectKey): string {
    return join(this.path, 'status', `${objectId(kind, key)}.yaml`);
  }

  #secretPath({ namespace, name }: ObjectKey): string {
    if (/[/\\]|^\.*$/.test(namespace) || /[/\\]|^\.*$/.test(name)) {
      throw new RowsealError('BadReference', `${namespace}/${name} is not a name of a Secret`, { next: 'use lower-case letters, digits, - and .' });
    }
    return join(this.path, 'secrets', `${namespace}.${name}.yaml`);
  }
}

function parseRecord(path: string): ObjectRecord {
  try {
    const record: unknown = JSON.parse(readIfThere(path) ?? '');
    if (isMapping(record) && kindNames.some((kind) => kind === record['kind']) && typeof record['uid'] === 'string') return record as unknown as ObjectRecord;
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path);
}

/** Guessing would forget a finalizer, so that a person decides. */
function damaged(path: string, cause?: unknown): RowsealError {
  return new RowsealError('BadManifest', 'a file of the state folder is damaged', { object: path, next: 'restore it, or remove it to let Rowseal treat the object as new', cause });
}
