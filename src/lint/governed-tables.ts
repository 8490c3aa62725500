// The tables that a RowPolicy's target means in a catalog: named or selected, with their partitions and inheritance children.
import type { RowPolicySpec } from '../model/kinds.ts';
import type { Catalog, CatalogRelation } from '../policy/catalog.ts';
import { globMatches } from '../policy/resolve.ts';
import { closure } from './role-power.ts';
import { titled } from './words.ts';

/** As `schema.table`. A name that the catalog does not have is kept, so that nothing is lost where nothing is found. */
export function governedTables(target: RowPolicySpec['target'], catalog: Catalog): ReadonlySet<string> {
  const chosen = catalog.relations.filter((relation) => isChosen(target, relation));
  const children = Map.groupBy(
    catalog.relations.flatMap((relation) => relation.parents.map((parent) => ({ parent, child: relation }))),
    ({ parent }) => parent,
  );
  const below = chosen.flatMap((root) => closure(root.oid, (oid) => (children.get(oid) ?? []).map(({ child }) => child.oid)));
  const byOid = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  const named = (target.tables ?? []).map((table) => `${target.schema}.${table}`);
  return new Set([...named, ...chosen.map(titled), ...below.flatMap((oid) => byOid.get(oid) ?? []).map(titled)]);
}

function isChosen({ schema, tables, selector }: RowPolicySpec['target'], relation: CatalogRelation): boolean {
  if (relation.schema !== schema || (relation.kind !== 'Table' && relation.kind !== 'PartitionedTable')) return false;
  if (tables !== undefined) return tables.includes(relation.name);
  if (selector === undefined) return false;
  const { namePattern, hasColumns = [] } = selector;
  const columns = new Set(relation.columns.map((column) => column.name));
  return (namePattern === undefined || globMatches(namePattern, relation.name)) && hasColumns.every((column) => columns.has(column));
}
