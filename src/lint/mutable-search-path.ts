// Functions whose names mean what the caller's search_path says: where they run as somebody else, or decide about rows, the caller decides.
import type { CatalogFunction, CatalogRelation, CatalogRole, Oid } from '../policy/catalog.ts';
import { hasBareNames } from './bare-names.ts';
import { calledFunctions } from './called-functions.ts';
import { functionTables, searchPathOf, type TableUse } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { reachesAll } from './owner-reach.ts';
import { askedPolicies } from './policy-parts.ts';
import { functionTitled, listed, rolesListed, sqlFunction, titled } from './words.ts';

export const mutableSearchPath: Lint = {
  id: 'mutable-search-path',
  severity: 'error',
  title: 'the caller decides what names in a function mean',
  reason: 'A name without its schema is looked up along the search_path of the session, temporary tables first of all: the caller puts a table, a function or an operator of its own there.',
  fix: "SET search_path = pg_catalog, pg_temp on the function, and every name in it with its schema",
  find: (landscape) => {
    if (landscape.guarded.length === 0) return [];
    const tables = functionTables(landscape);
    const around = { landscape, deciding: decidingFunctions(landscape), lentBy: lending(landscape) };
    return landscape.catalog.functions.filter(isLookedUp).flatMap((called) => finding(called, tables.usesOf(called), around));
  },
};

/** Roles for whose policies each function is called, and the tables. */
type Deciding = ReadonlyMap<CatalogFunction, readonly { readonly roles: readonly CatalogRole[]; readonly table: string }[]>;

function decidingFunctions(landscape: Landscape): Deciding {
  const functions = calledFunctions(landscape);
  const uses = askedPolicies(landscape).flatMap(({ table, roles, expressions }) =>
    expressions.flatMap(({ tree }) => functions.calledIn(tree)).map((called) => ({ called, roles, table: titled(table) })),
  );
  const direct = [...Map.groupBy(uses, ({ called }) => called)];
  const reached = direct.flatMap(([called, its]) => [called, ...functions.calledBy(called)].map((each) => ({ each, its })));
  return new Map([...Map.groupBy(reached, ({ each }) => each)].map(([each, ways]) => [each, ways.flatMap(({ its }) => its)]));
}

/** A body of the SQL standard (BEGIN ATOMIC) had its names looked up when it was made; other languages are not read here. */
function isLookedUp(called: CatalogFunction): boolean {
  return called.extension === null && called.source !== undefined && !/^\s*(?:BEGIN ATOMIC|RETURN\b)/.test(called.source);
}

/** Tables that an owner reads past their policies; few roles own many functions. */
function lending(landscape: Landscape): (owner: Oid) => readonly CatalogRelation[] {
  const known = new Map<Oid, readonly CatalogRelation[]>();
  return (owner) => {
    const found = known.get(owner) ?? landscape.guarded.filter((table) => reachesAll(landscape.roles.role(owner), table, 'Select', landscape));
    known.set(owner, found);
    return found;
  };
}

interface Around {
  readonly landscape: Landscape;
  readonly deciding: Deciding;
  readonly lentBy: (owner: Oid) => readonly CatalogRelation[];
}

function finding(called: CatalogFunction, uses: readonly TableUse[], { landscape, deciding, lentBy }: Around): readonly LintFinding[] {
  const owner = landscape.roles.role(called.owner);
  const lent = called.definer ? lentBy(called.owner) : [];
  const decides = deciding.get(called) ?? [];
  const callers = runnersOf(called, landscape).filter((role) => !landscape.roles.has(role.oid, called.owner) && (decides.some(({ roles }) => roles.includes(role)) || lent.some((table) => landscape.bound(role, table))));
  if (callers.length === 0) return [];
  const path = called.settings.some((setting) => setting.startsWith('search_path=')) ? searchPathOf(called) : undefined;
  const way = wayIn(called, { path, uses, callers, landscape, lent: lent.length > 0 });
  if (way === undefined) return [];
  return [
    {
      object: functionTitled(called),
      tables: [...new Set([...decides.map(({ table }) => table), ...lent.filter((table) => uses.some(({ relation }) => relation === table)).map(titled)])],
      severity: way.severity,
      why: `${way.why} ${decides.length > 0 ? `Policies on ${listed([...new Set(decides.map(({ table }) => table))])} believe its answer.` : `It runs as ${owner?.name ?? 'its owner'}, whom policies do not hold back.`}`,
      fix: `ALTER ${sqlFunction(called)} SET search_path = pg_catalog, pg_temp, after every name in it has its schema`,
    },
  ];
}

/** A trigger function runs for who writes a table that has the trigger, and cannot be called. */
function runnersOf(called: CatalogFunction, landscape: Landscape): readonly CatalogRole[] {
  if (called.returns !== 'trigger') return landscape.callers(called);
  const writers = landscape.once(triggeredBy).get(called.oid) ?? [];
  return landscape.roles.ordinary.filter((role) => writers.includes(role));
}

function triggeredBy(landscape: Landscape): ReadonlyMap<Oid, readonly CatalogRole[]> {
  const fired = landscape.relations.flatMap((relation) =>
    relation.triggers.filter((trigger) => trigger.enabled).map((trigger) => ({ called: trigger.function, roles: trigger.events.flatMap((event) => landscape.holders(relation, event.toUpperCase())) })),
  );
  return new Map([...Map.groupBy(fired, ({ called }) => called)].map(([called, uses]) => [called, uses.flatMap(({ roles }) => roles)]));
}

interface Lookup {
  /** Undefined where the function leaves it to the session. */
  readonly path: readonly string[] | undefined;
  readonly uses: readonly TableUse[];
  readonly callers: readonly CatalogRole[];
  readonly landscape: Landscape;
  readonly lent: boolean;
}

function wayIn(called: CatalogFunction, { path, uses, callers, landscape, lent }: Lookup): { readonly severity: Severity; readonly why: string } | undefined {
  if (!hasBareNames(called) && uses.every(({ qualified }) => qualified)) return undefined;
  const makers = lent ? callers.filter((role) => mayCreateIn(role, path, landscape)) : [];
  if (makers.length > 0) return { severity: 'error', why: `${rolesListed(makers)} can make functions and operators where it looks for them.` };
  const bare = [...new Set(uses.filter(({ qualified }) => !qualified).map(({ relation }) => relation.name))];
  const temporary = callers.filter((role) => holdsOnDatabase(role, 'TEMPORARY', landscape));
  if (bare.length > 0 && temporary.length > 0 && path?.at(-1) !== 'pg_temp') {
    return { severity: 'warning', why: `It names ${listed(bare)} without a schema, and a temporary table of that name, which ${rolesListed(temporary)} can make, is found first.` };
  }
  return path === undefined && called.definer ? { severity: 'info', why: 'It leaves search_path to the session; nobody who may call it can make use of that now.' } : undefined;
}

/** Without a path of its own, any schema that the caller can make things in will do. */
function mayCreateIn(role: CatalogRole, path: readonly string[] | undefined, landscape: Landscape): boolean {
  const schemas = landscape.catalog.schemas.filter((schema) => path === undefined || path.includes(schema.name) || (path.includes('$user') && schema.name === role.name));
  const held = schemas.some((schema) => landscape.roles.among(schema.grants, 'CREATE').some((grantee) => grantee.oid === 0 || landscape.roles.has(role.oid, grantee.oid)));
  return held || (path === undefined && holdsOnDatabase(role, 'CREATE', landscape));
}

function holdsOnDatabase(role: CatalogRole, privilege: string, { catalog, roles }: Landscape): boolean {
  return roles.among(catalog.databaseGrants, privilege).some((grantee) => grantee.oid === 0 || roles.has(role.oid, grantee.oid));
}
