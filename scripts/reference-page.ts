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
      rows(part, schema, { lines, shown: new Map() });
      lines.push('', ...ruleLines(part, schema), '');
    }
  }
  return `${lines.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

interface Page {
  readonly lines: string[];
  /** Where fields that stand in several places were shown; predicates are unrolled in the schema, not here. */
  readonly shown: Map<string, string>;
}

function rows(path: string, schema: Schema, page: Page): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = `${path}.${name}`;
    const required = path.startsWith('spec') && schema.required?.includes(name) === true ? ' **Required.**' : '';
    const before = shownBefore(at + suffix(field), inner(field), page.shown);
    const elsewhere = before === undefined ? '' : ` Its fields are those of \`${before}\`.`;
    page.lines.push(`| \`${at}\` | ${typeName(field)} | ${escape(field.description ?? '')}${required}${elsewhere} |`);
    if (before === undefined) rows(at + suffix(field), inner(field), page);
  }
}

function shownBefore(path: string, schema: Schema, shown: Map<string, string>): string | undefined {
  if (Object.keys(schema.properties ?? {}).length < 2) return undefined;
  const key = JSON.stringify(schema);
  const before = shown.get(key);
  if (before === undefined) shown.set(key, path);
  return before;
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
  collectRules(part, schema, { found, shown: new Map() });
  return found.length === 0 ? [] : [`Rules of ${part}:`, '', ...found];
}

function collectRules(path: string, schema: Schema, page: { readonly found: string[]; readonly shown: Map<string, string> }): void {
  const { found, shown } = page;
  if (shownBefore(path, schema, shown) !== undefined) return;
  for (const rule of schema['x-kubernetes-validations'] ?? []) found.push(`- \`${path}\`: ${escape(rule.message)}`);
  if (schema.items) collectRules(`${path}[]`, schema.items, page);
  if (schema.additionalProperties) collectRules(`${path}{}`, schema.additionalProperties, page);
  for (const [name, field] of Object.entries(schema.properties ?? {})) collectRules(`${path}.${name}`, field, page);
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
