// Indexes that the typed predicates of a RowPolicy need and that are not there: what `indexes: Create` makes.
import { createHash } from 'node:crypto';
import type { Desired } from './desired.ts';
import type { Expression } from './expression.ts';
import { missingIndexes } from './index-need.ts';
import type { Observation, ObservedTable } from './observed.ts';
import type { Items, Operand, Predicate, Term } from './predicate.ts';
import { tableKey, type TableName } from './table-name.ts';

export interface IndexNeed {
  readonly table: TableName;
  readonly oid: number;
  readonly column: string;
  /** Made without blocking writers, leaf by leaf. */
  readonly partitioned: boolean;
}

/**
 * One need for each table and column, roots before others. Permissive rules decide which rows a query looks for; restrictive ones count only
 * where there are no others. The columns that lookups filter by belong to other tables, and are left to the lint.
 */
export function indexNeeds(desired: Desired, { tables }: Observation): readonly IndexNeed[] {
  const conditions = conditionsOf(desired);
  const wanted = new Set(desired.tables.map(({ table }) => tableKey(table)));
  const byKey = new Map(tables.map((table) => [tableKey(table.table), table]));
  const split = withForeignPartitions(tables, byKey);
  return tables.flatMap((table) => {
    if (!wanted.has(tableKey(table.table)) || table.indexes === undefined || split.has(table)) return [];
    const parents = table.parents.map((name) => byKey.get(tableKey(name))).filter((parent) => parent !== undefined);
    // The index of a partitioned table has a part on each partition.
    if (parents.some((parent) => parent.relationKind === 'p' && wanted.has(tableKey(parent.table)) && !split.has(parent))) return [];
    const sought = conditions.flatMap((condition) => missingIndexes(condition, { name: table.table.table, indexes: table.indexes ?? [] }));
    const columns = [...new Set(sought.filter((each) => each.as === 'Column').map(({ column }) => column))];
    return columns.map((column) => ({ table: table.table, oid: table.oid, column, partitioned: table.relationKind === 'p' }));
  });
}

const maxNameBytes = 63;

/** Deterministic, within 63 bytes; the table's oid is in it, so that one made anew under an old name gets an index of its own. */
export function indexName(oid: number, table: string, column: string): string {
  const hash = createHash('sha256').update(JSON.stringify([oid, column])).digest('hex').slice(0, 10);
  const head = Array.from(`rowseal_${table}_${column}`);
  while (Buffer.byteLength(head.join('')) > maxNameBytes - hash.length - 1) head.pop();
  return `${head.join('')}_${hash}`;
}

function conditionsOf({ policies }: Desired): readonly Expression[] {
  const reading = policies.filter(({ command }) => command !== 'Insert');
  const permissive = reading.filter((policy) => policy.as === 'Permissive');
  return (permissive.length > 0 ? permissive : reading).flatMap(({ using }) => (using === undefined ? [] : [conditionOf(using)]));
}

/** A foreign partition takes no index, so that its partitioned ancestors can't have a whole one: each partition gets its own. */
function withForeignPartitions(tables: readonly ObservedTable[], byKey: ReadonlyMap<string, ObservedTable>): ReadonlySet<ObservedTable> {
  const split = new Set<ObservedTable>();
  const climb = (table: ObservedTable): void => {
    for (const name of table.parents) {
      const parent = byKey.get(tableKey(name));
      if (parent === undefined || split.has(parent)) continue;
      split.add(parent);
      climb(parent);
    }
  };
  for (const table of tables) if (table.relationKind === 'f') climb(table);
  return new Set([...split].filter(({ relationKind }) => relationKind === 'p'));
}

function conditionOf(predicate: Predicate): Expression {
  if (predicate.kind === 'sql') return unserved;
  return { kind: 'Or', args: predicate.alternatives.map((terms) => ({ kind: 'And' as const, args: terms.map(termExpression) })) };
}

/** What no index could serve, or nothing is known of. */
const unserved: Expression = { kind: 'Constant', value: true };
/** The same for every row. */
const constant: Expression = { kind: 'Constant', value: null };

function termExpression(term: Term): Expression {
  if (term.kind === 'isNull' || term.not) return unserved;
  switch (term.kind) {
    case 'compare':
      // An index on an expression is a matter of taste, and left to people.
      return term.op === 'Eq' && [term.left, term.right].some(({ kind }) => kind === 'column') ? { kind: 'Operator', operator: '=', args: [operandExpression(term.left), operandExpression(term.right)] } : unserved;
    case 'in':
      return { kind: 'Operator', operator: '= ANY', args: [operandExpression(term.left), itemsExpression(term.items)] };
    case 'member':
      return { kind: 'Operator', operator: '= ANY', args: [operandExpression(term.left), constant] };
    case 'set':
      return unserved;
  }
}

function itemsExpression(items: Items): Expression {
  return items.kind === 'values' ? constant : operandExpression(items);
}

function operandExpression(operand: Operand): Expression {
  switch (operand.kind) {
    case 'column':
      return { kind: 'Column', path: [operand.name] };
    case 'function':
      return { kind: 'Function', name: operand.name, args: operand.args.map(operandExpression) };
    default:
      return constant;
  }
}
