// Which columns a condition needs an index on: the one judgement behind the lint and behind `indexes: Create | Warn`.
import type { Expression } from './expression.ts';

export interface ExistingIndex {
  readonly valid: boolean;
  readonly partial: boolean;
  /** Key columns in order; null is an expression. */
  readonly columns: readonly (string | null)[];
}

/** A column that the condition seeks by equality. Cast, or put through a function such as lower(), it is served only by an index on that expression. */
export interface SoughtColumn {
  readonly column: string;
  readonly as: 'Column' | 'Cast' | 'Expression';
}

interface IndexedTable {
  readonly name: string;
  readonly indexes: readonly ExistingIndex[];
}

/**
 * Columns without which some row is found only by looking at all of them; empty when indexes serve the condition, or when none could: it compares
 * nothing for equality, or one of its alternatives does not.
 */
export function missingIndexes(condition: Expression, table: IndexedTable): readonly SoughtColumn[] {
  const found = missing(condition, table) ?? [];
  return found.filter(({ column, as }, index) => found.findIndex((other) => other.column === column && other.as === as) === index);
}

/** Columns that the condition seeks at all, served or not. */
export function soughtColumns(condition: Expression, table: Pick<IndexedTable, 'name'>): readonly string[] {
  return [...new Set((missing(condition, { ...table, indexes: [] }) ?? []).map(({ column }) => column))];
}

/** A whole, usable index that begins with the column. */
function servesColumn({ valid, partial, columns }: ExistingIndex, { column, as }: SoughtColumn): boolean {
  return valid && !partial && columns[0] === (as === 'Column' ? column : null);
}

/** Undefined where no index could serve. AND needs one of its parts served, OR every one. */
function missing(condition: Expression, table: IndexedTable): readonly SoughtColumn[] | undefined {
  if (condition.kind === 'And') {
    const parts = condition.args.flatMap((part) => {
      const needed = missing(part, table);
      return needed === undefined ? [] : [needed];
    });
    return parts.toSorted((a, b) => a.length - b.length)[0];
  }
  if (condition.kind === 'Or') {
    const arms = condition.args.map((arm) => missing(arm, table));
    return arms.includes(undefined) ? undefined : arms.flatMap((arm) => arm ?? []);
  }
  const sought = soughtBy(condition, table.name);
  if (sought === undefined) return undefined;
  return table.indexes.some((index) => servesColumn(index, sought)) ? [] : [sought];
}

/** `column = value` and `column = ANY (values)`, where the other side is the same for every row. */
function soughtBy(condition: Expression, table: string): SoughtColumn | undefined {
  if (condition.kind !== 'Operator') return undefined;
  const [left, right] = condition.args;
  if (left === undefined || right === undefined) return undefined;
  const turned = condition.operator === '=' ? columnIn(right) : undefined;
  const [sought, other] = ['=', '= ANY', 'IN'].includes(condition.operator) && columnIn(left) !== undefined ? [columnIn(left), right] : [turned, left];
  return sought === undefined || namesRow(other, table, true) ? undefined : sought;
}

function columnIn(expression: Expression): SoughtColumn | undefined {
  if (expression.kind === 'Column') return { column: expression.path.at(-1) ?? '', as: 'Column' };
  if (expression.kind !== 'Cast' && !(expression.kind === 'Function' && expression.schema === undefined)) return undefined;
  const [column, ...others] = expression.args.filter((part) => part.kind !== 'Constant');
  return column?.kind === 'Column' && others.length === 0 ? { column: column.path.at(-1) ?? '', as: expression.kind === 'Cast' ? 'Cast' : 'Expression' } : undefined;
}

/** Whether the value depends on the row: at the top every column is the row's, in a sub-query those qualified with the table. */
function namesRow(expression: Expression, table: string, top: boolean): boolean {
  switch (expression.kind) {
    case 'Column':
      return top || expression.path.at(-2) === table;
    case 'Constant':
    case 'SessionValue':
      return false;
    case 'Query':
      return [...expression.args, ...(expression.where === undefined ? [] : [expression.where])].some((part) => namesRow(part, table, false));
    default:
      return expression.args.some((part) => namesRow(part, table, top));
  }
}
