// Reads the Catalog that lints look at: one query, in a transaction of the caller's; nothing of Rowseal need be installed.
import { RowsealError } from '../../model/errors.ts';
import type { Catalog, CatalogPolicy, CatalogRelation, CatalogView, PolicyExpression } from '../../policy/catalog.ts';
import { statementError } from './database-error.ts';
import type { CatalogRows, FunctionRow, Keyed, PolicyRow, RelationRow, RuleRow, TriggerRow, ViewRow } from './lint-catalog-rows.ts';
import { lintCatalogSql } from './lint-catalog-sql.ts';
import { readExpression, readFilter } from './read-expression.ts';
import type { RunQuery } from './run-query.ts';

/** Needs a prepared session: expressions are deparsed under its search_path. */
export async function readCatalog(query: RunQuery): Promise<Catalog> {
  const rows = await catalogRows(query);
  const [server] = rows.server;
  if (server === undefined) throw new RowsealError('DatabaseStatement', 'the catalog query returned no server');
  const relations = await assemble(rows);
  return { ...rows, server, relations, functions: rows.functions.map(functionOf) };
}

async function catalogRows(query: RunQuery): Promise<CatalogRows> {
  try {
    const [row] = await query<{ catalog: CatalogRows }>(lintCatalogSql);
    if (row === undefined) throw new RowsealError('DatabaseStatement', 'the catalog query returned no row');
    return row.catalog;
  } catch (error) {
    throw statementError(error, 'reading the catalog', 'system catalog');
  }
}

async function assemble(rows: CatalogRows): Promise<readonly CatalogRelation[]> {
  const leakproof = new Set(rows.leakproofTypes.map((type) => type.oid));
  const columns = byRelation(rows.columns);
  const policies = byRelation(rows.policies);
  const indexes = byRelation(rows.indexes);
  const foreignKeys = byRelation(rows.foreignKeys);
  const triggers = byRelation(rows.triggers);
  const rules = byRelation(rows.rules);
  const views = new Map(rows.views.map((view) => [view.relation, view]));
  const readTree = rememberedExpressions();
  const one = async (relation: RelationRow): Promise<CatalogRelation> => {
    const view = views.get(relation.oid);
    return {
      ...relation,
      kind: relationKinds[relation.kind] ?? 'Table',
      columns: (columns.get(relation.oid) ?? []).map(({ typeOid, relation: _table, default: preset, ...column }) => ({
        ...column,
        ...(preset === null ? {} : { default: preset }),
        leakproofEquality: leakproof.has(typeOid),
      })),
      policies: await Promise.all((policies.get(relation.oid) ?? []).map((policy) => policyOf(policy, readTree))),
      indexes: indexes.get(relation.oid) ?? [],
      foreignKeys: (foreignKeys.get(relation.oid) ?? []).map((key) => ({ ...key, onDelete: actions[key.onDelete] ?? 'NoAction', onUpdate: actions[key.onUpdate] ?? 'NoAction' })),
      triggers: (triggers.get(relation.oid) ?? []).map(triggerOf),
      rules: (rules.get(relation.oid) ?? []).map(ruleOf),
      ...(view === undefined ? {} : { view: await viewOf(view) }),
    };
  };
  return Promise.all(rows.relations.map(one));
}

function byRelation<Row extends Keyed>(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const found = new Map<number, Row[]>();
  for (const row of rows) {
    const known = found.get(row.relation);
    if (known === undefined) found.set(row.relation, [row]);
    else known.push(row);
  }
  return found;
}

/** Thousands of policies often share a few expressions. */
function rememberedExpressions(): (text: string) => Promise<PolicyExpression> {
  const known = new Map<string, Promise<PolicyExpression>>();
  return async (text) => {
    const found = known.get(text) ?? readExpression(text).then((tree) => ({ text, tree }));
    known.set(text, found);
    return found;
  };
}

const relationKinds: Readonly<Record<string, CatalogRelation['kind']>> = { r: 'Table', p: 'PartitionedTable', v: 'View', m: 'MaterializedView', f: 'ForeignTable' };
const actions: Readonly<Record<string, CatalogRelation['foreignKeys'][number]['onDelete']>> = { a: 'NoAction', r: 'Restrict', c: 'Cascade', n: 'SetNull', d: 'SetDefault' };
const commands: Readonly<Record<string, CatalogPolicy['command']>> = { '*': 'All', r: 'Select', a: 'Insert', w: 'Update', d: 'Delete' };

async function policyOf(row: PolicyRow, readTree: (text: string) => Promise<PolicyExpression>): Promise<CatalogPolicy> {
  return {
    name: row.name,
    permissive: row.permissive,
    command: commands[row.command] ?? 'All',
    roles: row.roles,
    columns: row.columns,
    ...(row.using === null ? {} : { using: await readTree(row.using) }),
    ...(row.check === null ? {} : { check: await readTree(row.check) }),
  };
}

async function viewOf({ definition, reads, calls }: ViewRow): Promise<CatalogView> {
  const filter = await readFilter(definition);
  return { definition, reads, calls, ...(filter === undefined ? {} : { filter }) };
}

/** Bits of pg_trigger.tgtype. */
const triggerBits = { perRow: 1, before: 2, insert: 4, delete: 8, update: 16, truncate: 32, insteadOf: 64 } as const;

function triggerOf({ name, function: called, type, enabled }: TriggerRow): CatalogRelation['triggers'][number] {
  const has = (bit: keyof typeof triggerBits) => (type & triggerBits[bit]) !== 0;
  const events = [...(has('insert') ? (['Insert'] as const) : []), ...(has('update') ? (['Update'] as const) : []), ...(has('delete') ? (['Delete'] as const) : []), ...(has('truncate') ? (['Truncate'] as const) : [])];
  return { name, function: called, timing: has('insteadOf') ? 'InsteadOf' : has('before') ? 'Before' : 'After', perRow: has('perRow'), events, enabled };
}

function ruleOf({ event, relation: _table, ...rule }: RuleRow): CatalogRelation['rules'][number] {
  return { ...rule, event: event === '2' ? 'Update' : event === '3' ? 'Insert' : 'Delete' };
}

const functionKinds: Readonly<Record<string, Catalog['functions'][number]['kind']>> = { f: 'Function', p: 'Procedure', a: 'Aggregate', w: 'Window' };
const volatilities: Readonly<Record<string, Catalog['functions'][number]['volatility']>> = { i: 'Immutable', s: 'Stable', v: 'Volatile' };

function functionOf({ source, kind, volatility, ...row }: FunctionRow): Catalog['functions'][number] {
  return { ...row, kind: functionKinds[kind] ?? 'Function', volatility: volatilities[volatility] ?? 'Volatile', ...(source === null ? {} : { source }) };
}
