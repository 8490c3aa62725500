// What a set of manifest files declares together: our objects by key, Secrets, labels of namespaces, and what is wrong or not for us.
import { RowsealError } from '../../model/errors.ts';
import { apiGroup, describeObject, kindNames, type KindName } from '../../model/kinds.ts';
import type { Secret } from '../../ports/cluster.ts';
import { isMapping, type ManifestObject } from './parse-documents.ts';

export interface ManifestProblem {
  readonly file: string;
  /** The object it is about, when it can be told. */
  readonly kind?: KindName;
  readonly namespace?: string;
  readonly name?: string;
  readonly error: RowsealError;
}

export interface Declared {
  /** By `objectId`. An object that is declared twice is a problem and stands in neither place. */
  readonly objects: ReadonlyMap<string, ManifestObject & { readonly kind: KindName }>;
  /** By `namespace/name`. */
  readonly secrets: ReadonlyMap<string, Omit<Secret, 'resourceVersion'>>;
  readonly namespaceLabels: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly problems: readonly ManifestProblem[];
  /** One sentence each, about objects of kinds that are not ours. */
  readonly ignored: readonly string[];
}

export function objectId(kind: KindName, key: { readonly namespace: string; readonly name: string }): string {
  return `${kind}.${key.namespace}.${key.name}`;
}

export function collect(manifests: Iterable<ManifestObject>): Declared {
  const objects = new Map<string, ManifestObject & { readonly kind: KindName }>();
  const declared = { secrets: new Map<string, Omit<Secret, 'resourceVersion'>>(), namespaceLabels: new Map<string, Record<string, string>>() };
  const problems: ManifestProblem[] = [];
  const ignored: string[] = [];
  const first = new Map<string, string>();
  for (const manifest of manifests) {
    const id = `${manifest.kind}.${manifest.namespace}.${manifest.name}`;
    const other = first.get(id);
    try {
      if (other !== undefined) {
        objects.delete(id);
        declared.secrets.delete(`${manifest.namespace}/${manifest.name}`);
        throw refused(manifest, `is declared twice, in ${other} and ${manifest.file}`, 'keep one of the two');
      }
      first.set(id, manifest.file);
      if (manifest.apiVersion.startsWith(`${apiGroup}/`)) objects.set(id, { ...manifest, kind: ourKind(manifest) });
      else if (manifest.apiVersion === 'v1' && manifest.kind === 'Secret') declared.secrets.set(`${manifest.namespace}/${manifest.name}`, parseSecret(manifest));
      else if (manifest.apiVersion === 'v1' && manifest.kind === 'Namespace') declared.namespaceLabels.set(manifest.name, stringsOf(metadataOf(manifest)['labels']));
      else ignored.push(`${manifest.file}: ${manifest.kind} ${manifest.name} is not a kind of Rowseal and is ignored`);
    } catch (error) {
      if (!(error instanceof RowsealError)) throw error;
      problems.push({ file: manifest.file, ...identity(manifest), error });
    }
  }
  return { objects, ...declared, problems, ignored };
}

function identity(manifest: ManifestObject): { kind?: KindName; namespace?: string; name?: string } {
  const kind = kindNames.find((name) => name === manifest.kind);
  return kind === undefined ? {} : { kind, namespace: manifest.namespace, name: manifest.name };
}

function ourKind(manifest: ManifestObject): KindName {
  const kind = kindNames.find((name) => name === manifest.kind);
  if (kind !== undefined) return kind;
  throw refused(manifest, `is not a kind of ${apiGroup}`, `write one of ${kindNames.join(', ')}`);
}

function parseSecret(manifest: ManifestObject): Omit<Secret, 'resourceVersion'> {
  const { raw } = manifest;
  const encoded = Object.entries(stringsOf(raw['data'], () => refused(manifest, 'data must map names to strings', 'put values into quotes')));
  const plain = stringsOf(raw['stringData'], () => refused(manifest, 'stringData must map names to strings', 'put values into quotes'));
  const decoded = encoded.map(([name, value]) => {
    if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) throw refused(manifest, `data.${name} is not base64`, 'encode it, or use stringData');
    return [name, Buffer.from(value, 'base64').toString('utf8')] as const;
  });
  return { data: { ...Object.fromEntries(decoded), ...plain }, annotations: stringsOf(metadataOf(manifest)['annotations']) };
}

function metadataOf(manifest: ManifestObject): Record<string, unknown> {
  const { metadata } = manifest.raw;
  return isMapping(metadata) ? metadata : {};
}

/** String values only; without `otherwise`, anything else is passed over. */
function stringsOf(value: unknown, otherwise?: () => RowsealError): Record<string, string> {
  if (value === undefined || value === null) return {};
  const entries = isMapping(value) ? Object.entries(value) : [['', undefined] as const];
  const strings = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (otherwise !== undefined && strings.length !== entries.length) throw otherwise();
  return Object.fromEntries(strings);
}

function refused(manifest: ManifestObject, message: string, next: string): RowsealError {
  const object = describeObject(manifest.kind, manifest);
  return new RowsealError('BadManifest', `${object} ${message}`, { object, next });
}
