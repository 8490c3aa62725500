// Which tables a target means: names as written, or a selector over the catalog; partitions and inheritance children follow their root.
import { type Desired, type Neighbours, withTables } from './desired.ts';
import type { Observation, ObservedTable } from './observed.ts';
import { sameTable, tableKey, type TableName } from './table-name.ts';
import { namedTables, type Target, type TargetedTable } from './target.ts';

export interface TargetedTables {
  /** Tables that the target names (whether they exist or not), that its selector matches, and all their descendants; by root, then as observed. */
  readonly tables: readonly TargetedTable[];
  /** Foreign tables and materialised views among them: they hold rows, and no policy can be put on them. */
  readonly ungovernable: readonly TableName[];
}

/** The desired state of every table that the target means in this catalog: partitions, inheritance children and what a selector matches. */
export function resolveTables(desired: Desired, observation: Observation, neighbours: Neighbours): Desired {
  const { tables, ungovernable } = targetedTables(desired.target, observation.tables);
  return { ...withTables(desired, tables, neighbours), ungovernable };
}

/** Resolves a target over the observed tables, which hold the ancestors of each. */
export function targetedTables(target: Target, observed: readonly ObservedTable[]): TargetedTables {
  const rootOf = rootFinder(target, observed);
  const found = observed.flatMap((table) => {
    const root = rootOf(table);
    return root === undefined ? [] : [{ table: table.table, root, carries: carriesPolicies(table) || isNamed(target, table.table) }];
  });
  const named = namedTables(target);
  const missing = named.filter((name) => !found.some(({ table }) => sameTable(table, name))).map((table) => ({ table, root: table }));
  return {
    tables: [...found.filter(({ carries }) => carries).map(({ table, root }) => ({ table, root })), ...missing].sort((a, b) => rank(a, named) - rank(b, named)),
    ungovernable: found.filter(({ carries }) => !carries).map(({ table }) => table),
  };
}

/** Of one observed table: the topmost of itself and its ancestors that the target means by itself, if any. */
export function rootFinder(target: Target, observed: readonly ObservedTable[]): (table: ObservedTable) => TableName | undefined {
  const catalog = new Map(observed.map((table) => [tableKey(table.table), table]));
  const known = new Map<ObservedTable, TableName | undefined>();
  const rootOf = (table: ObservedTable): TableName | undefined => {
    if (known.has(table)) return known.get(table);
    const ancestors = (target.children === 'Leave' ? [] : table.parents).map((name) => catalog.get(tableKey(name))).filter((parent) => parent !== undefined);
    const above = ancestors.map(rootOf).find((root) => root !== undefined);
    const root = above ?? (means(target, table) ? table.table : undefined);
    known.set(table, root);
    return root;
  };
  return rootOf;
}

function means(target: Target, table: ObservedTable): boolean {
  if (table.table.schema !== target.schema) return false;
  if (target.selector === undefined) return isNamed(target, table.table);
  const { namePattern, hasColumns = [] } = target.selector;
  if (!table.selectable || !holdsRows(table)) return false;
  if (namePattern !== undefined && !globMatches(namePattern, table.table.table)) return false;
  return hasColumns.every((name) => table.columns.some((column) => column.name === name));
}

function isNamed(target: Target, { schema, table }: TableName): boolean {
  return schema === target.schema && target.tables?.includes(table) === true;
}

/** The same strings that LIKE matches with likePattern: whole, by case, character by character; in quadratic time, where a regular expression could take for ever. */
export function globMatches(glob: string, name: string): boolean {
  const [pattern, text] = [Array.from(glob), Array.from(name)];
  let [at, star, resume] = [0, -1, 0];
  for (let index = 0; index < text.length; ) {
    if (pattern[at] === '*') [star, resume, at] = [at, index, at + 1];
    else if (pattern[at] === '?' || pattern[at] === text[index]) [at, index] = [at + 1, index + 1];
    else if (star >= 0) [at, resume, index] = [star + 1, resume + 1, resume + 1];
    else return false;
  }
  return pattern.slice(at).every((character) => character === '*');
}

function carriesPolicies({ relationKind }: ObservedTable): boolean {
  return relationKind === 'r' || relationKind === 'p';
}

/** A plain view has no rows of its own; what it shows is a matter for the lints. */
function holdsRows(table: ObservedTable): boolean {
  return carriesPolicies(table) || table.relationKind === 'f' || table.relationKind === 'm';
}

/** Tables named in the manifest come in its order, so that the first one missing is the first one named. */
function rank({ root }: TargetedTable, named: readonly TableName[]): number {
  return named.findIndex((name) => sameTable(name, root));
}
