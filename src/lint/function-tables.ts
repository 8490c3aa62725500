// The relations that a function's body reads and writes, and those of the functions it calls: by name, since a body in quotes leaves no dependency.
import type { CatalogFunction, CatalogRelation } from '../policy/catalog.ts';
import { calledFunctions, codeOf, folded } from './called-functions.ts';
import type { Landscape } from './landscape.ts';
import { remembered } from './remembered.ts';

export type BodyCommand = 'Select' | 'Insert' | 'Update' | 'Delete' | 'Truncate';

export interface TableUse {
  readonly relation: CatalogRelation;
  readonly command: BodyCommand;
  /** Whether the body wrote the schema, too; without it the caller's search_path may decide which table is meant. */
  readonly qualified: boolean;
}

const name = String.raw`(?:"(?:[^"]|"")+"|[a-z_][\w$]*)`;
const dotted = String.raw`(?:(${name})\s*\.\s*)?(${name})`;
/** What stands before a table. `UPDATE … SET` keeps `FOR UPDATE OF` and `ON CONFLICT DO UPDATE` out. */
const places: readonly (readonly [BodyCommand, RegExp])[] = [
  ['Insert', new RegExp(String.raw`\binsert\s+into\s+${dotted}`, 'gi')],
  ['Insert', new RegExp(String.raw`\bmerge\s+into\s+${dotted}`, 'gi')],
  ['Update', new RegExp(String.raw`\bupdate\s+(?:only\s+)?${dotted}(?=\s+(?:as\s+)?(?:${name}\s+)?set\b)`, 'gi')],
  ['Delete', new RegExp(String.raw`\bdelete\s+from\s+(?:only\s+)?${dotted}`, 'gi')],
  ['Truncate', new RegExp(String.raw`\btruncate\s+(?:table\s+)?(?:only\s+)?${dotted}`, 'gi')],
  ['Select', new RegExp(String.raw`(?<!\bdelete\s+)\b(?:from|join|using)\s+(?:only\s+|lateral\s+)?${dotted}(?!\s*\()`, 'gi')],
  ['Select', new RegExp(String.raw`\bfrom\s+(?:${name}\s*\.\s*)?${name}(?:\s+(?:as\s+)?${name})?\s*,\s*${dotted}`, 'gi')],
];

export interface FunctionTables {
  /** Uses in the body itself and in those bodies that it calls and that run with the same rights. */
  readonly usesOf: (called: CatalogFunction) => readonly TableUse[];
}

export function functionTables(landscape: Landscape): FunctionTables {
  return landscape.once(readTables);
}

function readTables(landscape: Landscape): FunctionTables {
  const functions = calledFunctions(landscape);
  const byName = Map.groupBy(landscape.catalog.relations, (relation) => relation.name);
  const direct = remembered((called: CatalogFunction) => usesIn(called, byName).flatMap((use) => throughViews(use, landscape)));
  return {
    // A definer function that is called runs as its own owner, so it is its own matter.
    usesOf: remembered((called: CatalogFunction) => [called, ...functions.calledBy(called).filter((each) => !each.definer)].flatMap(direct)),
  };
}

function usesIn(called: CatalogFunction, byName: ReadonlyMap<string, readonly CatalogRelation[]>): readonly TableUse[] {
  const code = codeOf(called);
  return places.flatMap(([command, place]) =>
    [...code.matchAll(place)].flatMap(([, schema, table]) => {
      const relation = meant(called, byName.get(folded(table ?? '')) ?? [], schema === undefined ? undefined : folded(schema));
      return relation === undefined ? [] : [{ relation, command, qualified: schema !== undefined }];
    }),
  );
}

/** With a schema that one; without, the first of the function's own search_path, its schema, public. */
function meant(called: CatalogFunction, candidates: readonly CatalogRelation[], schema: string | undefined): CatalogRelation | undefined {
  if (schema !== undefined) return candidates.find((relation) => relation.schema === schema);
  const order = [...searchPathOf(called), called.schema, 'public'];
  return order.map((each) => candidates.find((relation) => relation.schema === each)).find((relation) => relation !== undefined) ?? candidates[0];
}

export function searchPathOf({ settings }: CatalogFunction): readonly string[] {
  const setting = settings.find((each) => each.startsWith('search_path='));
  return setting === undefined ? [] : setting.slice('search_path='.length).split(',').map((each) => folded(each.trim())).filter((each) => each !== '');
}

/** A view without security_invoker is read as its owner; what it reads counts as read here, too. */
function throughViews(use: TableUse, landscape: Landscape, depth = 0): readonly TableUse[] {
  const below = depth > 8 ? [] : (use.relation.view?.reads ?? []).flatMap((oid) => landscape.relation(oid) ?? []);
  return [use, ...below.flatMap((relation) => throughViews({ ...use, relation }, landscape, depth + 1))];
}
