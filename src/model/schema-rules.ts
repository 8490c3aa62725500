// The schemas' rules (CEL for the API server) applied to a value in standalone mode, by their TypeScript twins.
import type { ValidationRule } from './schema/build.ts';

export interface Problem {
  /** Such as `spec.rules[0].using`. */
  readonly path: string;
  readonly message: string;
}

/** The parts of a structural schema that the walk needs. */
export interface RuledSchema {
  readonly properties?: Readonly<Record<string, RuledSchema>>;
  readonly items?: RuledSchema;
  readonly additionalProperties?: RuledSchema | boolean;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

interface Place {
  readonly path: string;
  readonly value: unknown;
  /** What was at the same place before, as far as the API server would find it; undefined when there was nothing. */
  readonly old: unknown;
}

/** What the rules refuse in a value that fits the schema's shape; transition rules speak only where there is an old value. */
export function brokenRules(schema: RuledSchema, place: Place): readonly Problem[] {
  const { path, value, old } = place;
  if (value === undefined || value === null) return [];
  const own = (schema['x-kubernetes-validations'] ?? [])
    .filter((rule) => !ruleHolds(rule, value, old))
    .map((rule) => ({ path, message: rule.message }));
  return [...own, ...duplicates(schema, place), ...children(schema, place).flatMap((child) => brokenRules(child.schema, child))];
}

function ruleHolds(rule: ValidationRule, value: unknown, old: unknown): boolean {
  // The shape was checked against the schema that carries the rule, which is what the rule's parameter type says.
  if (rule.holds) return rule.holds(value as never);
  return old === undefined || rule.keeps === undefined || rule.keeps(value as never, old as never);
}

/** A map list names each key once; the API server refuses a second entry under the same name. */
function duplicates(schema: RuledSchema, { path, value }: Place): readonly Problem[] {
  const key = schema['x-kubernetes-list-map-keys']?.[0];
  if (key === undefined || !Array.isArray(value)) return [];
  const seen = new Set<unknown>();
  const problems: Problem[] = [];
  for (const [index, entry] of value.entries()) {
    const name = field(entry, key);
    if (seen.has(name)) problems.push({ path: `${path}[${index}]`, message: `${key} ${JSON.stringify(name)} is used twice` });
    seen.add(name);
  }
  return problems;
}

function children(schema: RuledSchema, { path, value, old }: Place): readonly (Place & { readonly schema: RuledSchema })[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return [];
    return value.map((entry: unknown, index) => ({ schema: items, path: `${path}[${index}]`, value: entry, old: oldEntry(schema, entry, old) }));
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, entry]: [string, unknown]) => {
    const below = schema.properties?.[name] ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    return below === undefined ? [] : [{ schema: below, path: joinPath(path, name), value: entry, old: field(old, name) }];
  });
}

/** Only entries of a map list have a past: those of a plain list cannot be told from one another. */
function oldEntry(schema: RuledSchema, entry: unknown, old: unknown): unknown {
  const key = schema['x-kubernetes-list-map-keys']?.[0];
  if (key === undefined || !Array.isArray(old)) return undefined;
  return old.find((candidate: unknown) => field(candidate, key) === field(entry, key));
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

export function joinPath(path: string, name: string): string {
  if (path === '') return name;
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
}
