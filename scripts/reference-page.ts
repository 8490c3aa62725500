// The reference of all fields as one Markdown page, made from the same schemas as the CRDs.
import type { KindDefinition } from '../src/model/kinds.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[];
}

export function referencePage(definitions: readonly KindDefinition[]): string {
  const lines = ['<!-- Generated from src/model by scripts/generate-crds.ts; do not edit. -->', '# Reference of all fields', ''];
  lines.push('API group `rowseal.dev`, version `v1alpha1`, all namespaced, category `rowseal`.', '');
  for (const definition of definitions) {
    lines.push(`## ${definition.kind} (\`${definition.shortNames.join('`, `')}\`)`, '');
    for (const [part, schema] of [['spec', definition.spec], ['status', definition.status]] as const) {
      lines.push(`### ${definition.kind}.${part}`, '', '| field | type | meaning |', '|---|---|---|');
      rows(part, schema, (row) => lines.push(row));
      lines.push('', ...ruleLines(part, schema), '');
    }
  }
  return `${lines.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

function rows(path: string, schema: Schema, push: (row: string) => void): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = `${path}.${name}`;
    const required = path.startsWith('spec') && schema.required?.includes(name) === true ? ' **Required.**' : '';
    push(`| \`${at}\` | ${typeName(field)} | ${escape(field.description ?? '')}${required} |`);
    rows(at + suffix(field), inner(field), push);
  }
}

function suffix(schema: Schema): string {
  if (schema.items) return `[]${suffix(schema.items)}`;
  return schema.additionalProperties ? `{}${suffix(schema.additionalProperties)}` : '';
}

function inner(schema: Schema): Schema {
  const below = schema.items ?? schema.additionalProperties;
  return below === undefined ? schema : inner(below);
}

function typeName(schema: Schema): string {
  if (schema.items) return `list of ${typeName(schema.items)}${schema.maxItems === undefined ? '' : `, at most ${schema.maxItems}`}`;
  if (schema.additionalProperties) return `map to ${typeName(schema.additionalProperties)}`;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(' or ');
  if (schema['x-kubernetes-int-or-string'] === true) return 'string, integer or null';
  if (schema.type === 'integer' && schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER) {
    return `integer, ${schema.minimum ?? 0} to ${schema.maximum}`;
  }
  return schema.type ?? 'any';
}

/** The sentences of the rules, each under the field it stands at. */
function ruleLines(part: string, schema: Schema): string[] {
  const found: string[] = [];
  collectRules(part, schema, found);
  return found.length === 0 ? [] : [`Rules of ${part}:`, '', ...found];
}

function collectRules(path: string, schema: Schema, found: string[]): void {
  for (const rule of schema['x-kubernetes-validations'] ?? []) found.push(`- \`${path}\`: ${escape(rule.message)}`);
  if (schema.items) collectRules(`${path}[]`, schema.items, found);
  if (schema.additionalProperties) collectRules(`${path}{}`, schema.additionalProperties, found);
  for (const [name, field] of Object.entries(schema.properties ?? {})) collectRules(`${path}.${name}`, field, found);
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
