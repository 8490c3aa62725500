// From a raw object to a Resource, with the API server's own strictness, so that a folder of manifests refuses what Kubernetes refuses.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { RowsealError } from './errors.ts';
import { apiVersion, describeObject, kindDefinitions, kindNames, type KindName, type ObjectMeta, type Resource, type SpecOf } from './kinds.ts';
import { nearestName } from './nearest-name.ts';
import { brokenRules, joinPath, type Problem } from './schema-rules.ts';

const shownProblems = 5;
const objectNamePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const namespacePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * Parses one object of ours. `oldSpec` is the last valid spec of the same object, for the rules about what may not change.
 * Throws BadManifest naming the object, each field's path, what is wrong, and the known name nearest to an unknown one.
 */
export function parseResource(raw: unknown, oldSpec?: unknown): Resource {
  const object = asRecord(raw);
  const kind = kindOf(object);
  const metadata = parseMetadata(kind, asRecord(object['metadata']));
  const problems = [...unknownTopLevel(object), ...findProblems(kind, object['spec'], oldSpec)];
  if (problems.length > 0) throw refusal(kind, metadata, problems);
  // The schema held, and SpecOf is the static type of that schema.
  return { kind, metadata, spec: object['spec'] as SpecOf<KindName>, status: asRecord(object['status'] ?? {}) };
}

/** Everything wrong with a spec: first its shape, and only when that is right, the rules. */
export function findProblems(kind: KindName, spec: unknown, oldSpec?: unknown): readonly Problem[] {
  if (spec === undefined) return [{ path: 'spec', message: 'is required' }];
  const fits = shapeValidators[kind];
  if (!fits(spec)) return distinct((fits.errors ?? []).map(shapeProblem));
  return brokenRules(kindDefinitions[kind].spec, { path: 'spec', value: spec, old: oldSpec });
}

function refusal(kind: KindName, metadata: ObjectMeta, problems: readonly Problem[]): RowsealError {
  const object = describeObject(kind, metadata);
  const shown = problems.slice(0, shownProblems).map(({ path, message }) => `${path}: ${message}`);
  const more = problems.length > shownProblems ? ` (and ${problems.length - shownProblems} more)` : '';
  return new RowsealError('BadManifest', `${object}: ${shown.join('; ')}${more}`, { object, next: 'correct the manifest; docs/reference.md lists every field' });
}

function kindOf(object: Record<string, unknown>): KindName {
  const named = kindNames.find((name) => name === object['kind']);
  if (named === undefined) {
    const nearest = typeof object['kind'] === 'string' ? nearestName(object['kind'], kindNames) : undefined;
    throw new RowsealError('BadManifest', `unknown kind ${JSON.stringify(object['kind'] ?? null)}${meant(nearest)}`, { next: `write one of ${kindNames.join(', ')}` });
  }
  if (object['apiVersion'] !== apiVersion) {
    throw new RowsealError('BadManifest', `${named}: unknown apiVersion ${JSON.stringify(object['apiVersion'] ?? null)}`, { next: `write apiVersion: ${apiVersion}` });
  }
  return named;
}

function parseMetadata(kind: KindName, raw: Record<string, unknown>): ObjectMeta {
  const { name, namespace } = raw;
  if (typeof name !== 'string' || name.length > 253 || !objectNamePattern.test(name)) {
    throw new RowsealError('BadManifest', `${kind} ${JSON.stringify(name ?? null)}: metadata.name is not a name of lower-case letters, digits, - and .`, {
      next: 'write metadata.name, such as orders-by-tenant',
    });
  }
  if (typeof namespace !== 'string' || !namespacePattern.test(namespace)) {
    throw new RowsealError('BadManifest', `${kind} ${name}: metadata.namespace is not a namespace's name`, { next: 'write lower-case letters, digits and -, at most 63' });
  }
  const deletionTimestamp = raw['deletionTimestamp'];
  return {
    name,
    namespace,
    uid: text(raw['uid']),
    resourceVersion: text(raw['resourceVersion']),
    generation: typeof raw['generation'] === 'number' ? raw['generation'] : 0,
    finalizers: Array.isArray(raw['finalizers']) ? raw['finalizers'].map(text) : [],
    annotations: parseAnnotations(kind, { name, namespace }, raw['annotations']),
    ...(typeof deletionTimestamp === 'string' ? { deletionTimestamp } : {}),
  };
}

function parseAnnotations(kind: KindName, key: { name: string; namespace: string }, raw: unknown): Readonly<Record<string, string>> {
  const annotations = asRecord(raw ?? {});
  const wrong = Object.entries(annotations).find(([, value]) => typeof value !== 'string');
  if (wrong === undefined) return annotations as Record<string, string>;
  const object = describeObject(kind, key);
  throw new RowsealError('BadManifest', `${object}: ${joinPath('metadata.annotations', wrong[0])} is not a string`, { object, next: 'put the value into quotes' });
}

const topLevelFields = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

function unknownTopLevel(object: Record<string, unknown>): readonly Problem[] {
  return Object.keys(object)
    .filter((name) => !topLevelFields.includes(name))
    .map((name) => unknownField('', name, topLevelFields));
}

function unknownField(path: string, name: string, known: readonly string[]): Problem {
  const nearest = nearestName(name, known);
  return { path: joinPath(path, name), message: `unknown field${nearest === undefined ? `; known here: ${known.join(', ')}` : meant(nearest)}` };
}

function meant(nearest: string | undefined): string {
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}

/** One sentence for a finding of ajv; never the value itself, except for a word out of a closed set. */
function shapeProblem(error: ErrorObject): Problem {
  const path = pathOf(error.instancePath);
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(path, text(params['additionalProperty']), Object.keys(asRecord(asRecord(error.parentSchema)['properties'] ?? {})));
    case 'required':
      return { path: joinPath(path, text(params['missingProperty'])), message: 'is required' };
    case 'enum': {
      const allowed = (params['allowedValues'] as readonly unknown[]).map(text);
      return { path, message: `must be one of ${allowed.join(', ')}${typeof error.data === 'string' ? meant(nearestName(error.data, allowed)) : ''}` };
    }
    case 'type':
      return { path, message: `must be ${[params['type']].flat().map(text).join(' or ')}` };
    case 'pattern':
      return { path, message: `does not match ${text(params['pattern'])}` };
    default:
      return { path, message: error.message ?? error.keyword };
  }
}

/** ajv's JSON pointer below the spec as the dotted path people read. */
function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : joinPath(path, part)), 'spec');
}

/** A value of the wrong type in a closed set would be reported twice; the first sentence is enough. */
function distinct(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.path}\n${problem.message}`, problem])).values()];
}

const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, formats: { 'date-time': true } });

const shapeValidators: Readonly<Record<KindName, ValidateFunction>> = {
  DatabaseConnection: ajv.compile(strictShape(kindDefinitions.DatabaseConnection.spec)),
  RowPolicy: ajv.compile(strictShape(kindDefinitions.RowPolicy.spec)),
  AuditLog: ajv.compile(strictShape(kindDefinitions.AuditLog.spec)),
  AuditPolicy: ajv.compile(strictShape(kindDefinitions.AuditPolicy.spec)),
};

/** The structural schema as plain JSON Schema: unknown fields refused, and Kubernetes' int-or-string spelled out. */
function strictShape(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const node = value as Record<string, unknown>;
    if (node['x-kubernetes-int-or-string'] === true) return { ...node, type: ['integer', 'string', ...(node['nullable'] === true ? ['null'] : [])] };
    const closed = node['type'] === 'object' && typeof node['properties'] === 'object' && node['x-kubernetes-preserve-unknown-fields'] !== true;
    return closed ? { ...node, additionalProperties: false } : node;
  }) as object;
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new RowsealError('BadManifest', 'a mapping was expected where something else stands', { next: 'check the indentation around apiVersion, kind, metadata and spec' });
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
