// Found policies as manifests: a RowPolicy for each table, and for tables with the very same rules one together.
import type { FoundExpression, FoundPolicies, FoundPolicy, FoundTable } from '../adapters/postgres/read-import.ts';
import { apiVersion, type DatabaseConnectionSpec, type RowPolicySpec } from '../model/kinds.ts';
import { findProblems } from '../model/validate.ts';
import { describeTable } from '../policy/table-name.ts';

type Rule = RowPolicySpec['rules'][number];

export interface ImportOptions {
  readonly namespace: string;
  readonly connection: string;
}

export interface ImportedObject {
  /** Sentences to stand above it. */
  readonly notes: readonly string[];
  readonly object: { readonly apiVersion: string; readonly kind: string; readonly metadata: { readonly name: string; readonly namespace: string }; readonly spec: object };
}

export interface Imported {
  /** Sentences about what is not in any object. */
  readonly notes: readonly string[];
  readonly objects: readonly ImportedObject[];
}

const mostRules = 32;
const mostTables = 64;

export function importManifests(found: FoundPolicies, options: ImportOptions): Imported {
  const notes: string[] = [];
  const groups = new Map<string, { tables: FoundTable[]; rules: readonly Named[] }>();
  for (const table of found.tables) {
    if (!table.rowSecurity) {
      notes.push(`${describeTable(table.table)} has ${table.policies.length} policies, but its row security is off: they are without effect, and are not imported. Enable it, and import again, if they are meant.`);
      continue;
    }
    const declared = declaredRules(table, notes);
    if (declared.length === 0 && table.policies.length > 0) continue;
    const key = JSON.stringify([table.table.schema, table.forced, table.hasChildren || table.parents.length > 0, declared.map(({ rule }) => rule)]);
    const group = groups.get(key);
    if (group === undefined || group.tables.length >= mostTables) groups.set(group === undefined ? key : `${key}${table.table.table}`, { tables: [table], rules: declared });
    else group.tables.push(table);
  }
  const names = new Set<string>();
  const policies = [...groups.values()].flatMap(({ tables, rules }) => rowPolicies(tables, rules, { options, names }));
  return { notes, objects: [connectionObject(found, policies, options), ...policies] };
}

interface Named {
  readonly rule: Rule;
  readonly notes: readonly string[];
  /** Where the rule needs `sql`: the names outside pg_catalog that it uses. */
  readonly uses?: readonly string[];
}

function declaredRules(table: FoundTable, notes: string[]): readonly Named[] {
  const name = describeTable(table.table);
  const taken = new Set<string>();
  return table.policies.flatMap((policy) => {
    const named = policy.left === undefined ? ruleOf(policy, taken) : policy.left;
    if (typeof named !== 'string') return [named];
    notes.push(`policy ${JSON.stringify(policy.name)} of ${name} is not imported: ${named}. It stays as it is.`);
    return [];
  });
}

/** The rule, or in words why no schema admits it. */
function ruleOf(policy: FoundPolicy, taken: Set<string>): Named | string {
  if (policy.roles.length > 64) return 'it is for more than 64 roles';
  const { using, check } = policy;
  const kept = { ...verbatimOf('using', using), ...verbatimOf('check', check) };
  const rule: Rule = {
    name: entryName(policy.name, taken),
    policyName: policy.name,
    ...(policy.as === 'Permissive' ? {} : { as: policy.as }),
    roles: [...policy.roles],
    commands: [policy.command],
    ...(using === undefined ? {} : { using: predicateOf(using) }),
    ...(check === undefined ? {} : { check: predicateOf(check) }),
    ...(Object.keys(kept).length === 0 ? {} : { verbatim: kept }),
  };
  const problem = problemOf(rule);
  if (problem !== undefined) return problem;
  const texts = [using, check].flatMap((expression) => (expression !== undefined && 'why' in expression ? [expression] : []));
  return { rule, notes: texts.map(({ why }) => `${rule.name}: kept as sql, since ${why}.`), ...(texts.length === 0 ? {} : { uses: texts.flatMap(({ uses }) => uses) }) };
}

function problemOf(rule: Rule): string | undefined {
  const spec = { databaseRef: { name: 'd' }, target: { schema: 's', tables: ['t'] }, rules: [rule] };
  return findProblems('RowPolicy', spec)[0]?.message;
}

function verbatimOf(side: 'using' | 'check', expression: FoundExpression | undefined): Rule['verbatim'] {
  return expression !== undefined && 'terms' in expression ? { [side]: expression.text } : {};
}

function predicateOf(expression: FoundExpression): NonNullable<Rule['using']> {
  return 'terms' in expression ? expression.terms : { sql: expression.text };
}

interface Naming {
  readonly options: ImportOptions;
  readonly names: Set<string>;
}

function rowPolicies(tables: readonly FoundTable[], rules: readonly Named[], { options, names }: Naming): readonly (ImportedObject & { readonly uses: readonly string[]; readonly sql: boolean })[] {
  const [first] = tables;
  if (first === undefined) return [];
  const { schema } = first.table;
  const family = first.hasChildren || first.parents.length > 0;
  const parts = Array.from({ length: Math.max(1, Math.ceil(rules.length / mostRules)) }, (_, index) => rules.slice(index * mostRules, (index + 1) * mostRules));
  return parts.map((part) => {
    const target = { schema, tables: tables.map(({ table }) => table.table), ...(family ? { children: 'Leave' } : {}) };
    const spec = { databaseRef: { name: options.connection }, target, rowSecurity: first.forced ? 'Forced' : 'Enabled', rules: part.map(({ rule }) => rule), ...(parts.length > 1 ? { approval: 'Automatic' } : {}) };
    const notes = [
      ...(family ? [`Partitions and inheritance children can be read by themselves, past these policies. "children: Leave" keeps them as they were found; take it out to have them governed, too.`] : []),
      ...(parts.length > 1 ? [`The table has more policies than one RowPolicy holds. "approval: Automatic" lets the parts come together on a copy; take it out once they are adopted.`] : []),
      ...(part.length === 0 ? ['Row security without any policy: nobody sees a row.'] : []),
      ...part.flatMap((each) => each.notes),
    ];
    const name = objectName(schema === 'public' ? first.table.table : `${schema}-${first.table.table}`, names);
    return { notes, object: { apiVersion, kind: 'RowPolicy', metadata: { name, namespace: options.namespace }, spec }, uses: part.flatMap(({ uses }) => uses ?? []), sql: part.some(({ uses }) => uses !== undefined) };
  });
}

function connectionObject(found: FoundPolicies, policies: ReturnType<typeof rowPolicies>, { namespace, connection }: ImportOptions): ImportedObject {
  const withSql = policies.filter(({ sql }) => sql);
  const grants = withSql.length === 0 ? {} : { grants: [{ name: 'own-namespace', namespaces: { from: 'Same' }, rights: ['Widen'] }, ...sqlGrants(withSql)] };
  const setting = found.claims.type === 'Setting' && found.claims.setting !== 'request.jwt.claims' ? { claims: { type: 'Setting', setting: found.claims.setting } } : {};
  const spec = { engine: 'PostgreSQL', connection: { secretRef: { name: connection } }, ...setting, ...grants } as DatabaseConnectionSpec;
  const notes = withSql.length === 0 ? [] : ['Some policies are kept as sql, which needs the grants below, on exactly these tables. Review them: sql is evaluated as whoever queries.'];
  return { notes, object: { apiVersion, kind: 'DatabaseConnection', metadata: { name: connection, namespace }, spec } };
}

/** One grant for each schema, as far as its lists go. */
function sqlGrants(policies: ReturnType<typeof rowPolicies>): readonly object[] {
  const bySchema = Map.groupBy(policies, ({ object }) => (object.spec as RowPolicySpec).target.schema);
  const names = new Set(['own-namespace']);
  return [...bySchema].map(([schema, group]) => {
    const tables = [...new Set(group.flatMap(({ object }) => (object.spec as RowPolicySpec).target.tables ?? []))];
    const uses = [...new Set(group.flatMap((each) => each.uses))].sort();
    return {
      name: entryName(`sql-${schema}`, names),
      namespaces: { from: 'Same' },
      kinds: ['RowPolicy'],
      schemas: [schema],
      ...(tables.length > 256 ? {} : { tables }),
      rights: ['SQL', 'Widen'],
      ...(uses.length === 0 ? {} : { sqlMayUse: uses.slice(0, 256) }),
    };
  });
}

function entryName(text: string, taken: Set<string>): string {
  return distinct(slug(text).slice(0, 50).replaceAll(/^-+|-+$/g, '') || 'policy', taken);
}

function objectName(text: string, taken: Set<string>): string {
  return distinct(slug(text).slice(0, 200).replaceAll(/^-+|-+$/g, '') || 'table', taken);
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

function distinct(name: string, taken: Set<string>): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (taken.has(candidate)) continue;
    taken.add(candidate);
    return candidate;
  }
}
