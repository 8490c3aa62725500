// The objects in the text of one manifest file: several documents, and lists of objects, in one flat sequence.
import { parseAllDocuments } from 'yaml';
import { RowsealError } from '../../model/errors.ts';

export interface ManifestObject {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The whole object, with the default namespace filled in. */
  readonly raw: Readonly<Record<string, unknown>>;
}

const defaultNamespace = 'default';
const maxListDepth = 4;

/** Throws BadManifest with the file and line when the text is not YAML, or a document is not a Kubernetes object. */
export function parseDocuments(text: string, file: string): readonly ManifestObject[] {
  return parseAllDocuments(text, { prettyErrors: true, uniqueKeys: true }).flatMap((document, index) => {
    const [error] = document.errors;
    // Only the first line: the rest quotes the file, which may hold a Secret.
    if (error !== undefined) throw unreadable(file, error.message.split('\n')[0] ?? error.code, error);
    return flatten(document.toJS({ maxAliasCount: 100 }), { file, where: `document ${index + 1}`, depth: 0 });
  });
}

function flatten(value: unknown, place: { readonly file: string; readonly where: string; readonly depth: number }): readonly ManifestObject[] {
  if (value === null || value === undefined) return [];
  const { file, where, depth } = place;
  if (!isMapping(value)) throw unreadable(file, `${where} is not a mapping`);
  const { apiVersion, kind } = value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') throw unreadable(file, `${where} has no apiVersion and kind`);
  if (apiVersion === 'v1' && kind === 'List' && depth < maxListDepth) {
    if (!Array.isArray(value['items'])) throw unreadable(file, `${where} is a List without items`);
    return value['items'].flatMap((item: unknown, index) => flatten(item, { file, where: `${where}, item ${index + 1}`, depth: depth + 1 }));
  }
  const metadata = value['metadata'];
  if (!isMapping(metadata) || typeof metadata['name'] !== 'string' || metadata['name'] === '') throw unreadable(file, `${where} (${kind}) has no metadata.name`);
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : defaultNamespace;
  return [{ file, apiVersion, kind, namespace, name: metadata['name'], raw: { ...value, metadata: { ...metadata, namespace } } }];
}

function unreadable(file: string, message: string, cause?: unknown): RowsealError {
  return new RowsealError('BadManifest', `${file}: ${message}`, { object: file, next: 'correct the file; until then what it last declared stays in force', cause });
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
