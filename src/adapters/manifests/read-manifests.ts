// One look at a file or folder of manifests, for verbs that change nothing.
import { readFile } from 'node:fs/promises';
import { type RowsealError, toRowsealError } from '../../model/errors.ts';
import { apiVersion, type Resource } from '../../model/kinds.ts';
import { parseResource } from '../../model/validate.ts';
import type { Secret } from '../../ports/cluster.ts';
import { collect, type ManifestProblem } from './collect.ts';
import { listFiles } from './list-files.ts';
import { type ManifestObject, parseDocuments } from './parse-documents.ts';

export interface Manifests {
  readonly resources: readonly Resource[];
  /** By `namespace/name`. */
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly namespaceLabels: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly problems: readonly ManifestProblem[];
  readonly ignored: readonly string[];
}

/** Throws BadUsage when the path cannot be read; everything wrong inside the files is in `problems`. */
export async function readManifests(path: string): Promise<Manifests> {
  const manifests: ManifestObject[] = [];
  const problems: ManifestProblem[] = [];
  for (const file of await listFiles(path)) {
    try {
      manifests.push(...parseDocuments(await readFile(file, 'utf8'), file));
    } catch (error) {
      problems.push({ file, error: toRowsealError(error, 'BadManifest', { object: file, next: 'make the file readable' }) });
    }
  }
  const declared = collect(manifests);
  const resources: Resource[] = [];
  for (const { raw, file, kind, namespace, name } of declared.objects.values()) {
    try {
      resources.push(parseResource({ ...raw, status: {} }));
    } catch (error) {
      problems.push({ file, kind, namespace, name, error: toRowsealError(error, 'BadManifest', { object: `${apiVersion} ${kind}` }) });
    }
  }
  const secrets = new Map([...declared.secrets].map(([key, secret]) => [key, { ...secret, resourceVersion: '1' }]));
  return { resources, secrets, namespaceLabels: declared.namespaceLabels, problems: [...problems, ...declared.problems], ignored: declared.ignored };
}

/** The sentence for a person, with the file it is about. */
export function describeProblem({ file, error }: { readonly file: string; readonly error: RowsealError }): string {
  const text = error.describe();
  return text.includes(file) ? text : `${file}: ${text}`;
}
