// Reads every policy of a database for import: each expression as terms where it is recognised, else as SQL, else why it can be neither.
import { RowsealError } from '../../model/errors.ts';
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { findProblems } from '../../model/validate.ts';
import type { Observation, ObservedPolicy, ObservedTable } from '../../policy/observed.ts';
import { observedOwner } from '../../policy/observed.ts';
import { predicateSpec } from '../../policy/predicate-spec.ts';
import type { TableName } from '../../policy/table-name.ts';
import { observe } from './observe.ts';
import { prepareParser } from './recognise-node.ts';
import { recognise } from './recognise.ts';
import type { RunQuery } from './run-query.ts';
import { checkSqlPredicate, namesOutside } from './sql-predicate.ts';
import { meaningsOf } from './verbatim.ts';

type PredicateSpec = ReturnType<typeof predicateSpec>;

/** One side of a policy: the terms it means, or the text as `sql` with what that uses beyond pg_catalog. */
export type FoundExpression =
  | { readonly text: string; readonly terms: PredicateSpec }
  | { readonly text: string; readonly why: string; readonly uses: readonly string[] };

export interface FoundPolicy extends Pick<ObservedPolicy, 'name' | 'as' | 'command' | 'roles'> {
  readonly using?: FoundExpression;
  readonly check?: FoundExpression;
  /** Why no RowPolicy can declare it; it stays as it is. */
  readonly left?: string;
}

export interface FoundTable extends Pick<ObservedTable, 'table' | 'rowSecurity' | 'forced' | 'parents'> {
  readonly policies: readonly FoundPolicy[];
  /** Whether it has partitions or inheritance children. */
  readonly hasChildren: boolean;
}

export interface FoundPolicies {
  /** Tables with policies or row security, by name. */
  readonly tables: readonly FoundTable[];
  readonly claims: ClaimsConfiguration;
}

export interface ImportRequest {
  /** All but the system's and our own when left out. */
  readonly schemas?: readonly string[];
}

export async function readImport(query: RunQuery, { schemas }: ImportRequest): Promise<FoundPolicies> {
  await prepareParser();
  const names = await query<TableName>(
    `select n.nspname as schema, c.relname as table from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^(pg_|rowseal$|information_schema$)' order by 1, 2`,
  );
  const observation = await observe(query, { owner: '', tables: names, roles: [], texts: ['true'] });
  const missing = (schemas ?? []).find((schema) => !names.some((name) => name.schema === schema));
  if (missing !== undefined) throw new RowsealError('DatabaseObjectMissing', `schema ${missing} has no tables`, { object: `schema ${missing}`, next: 'correct --schema' });
  const claims = { type: 'Setting' as const, setting: claimsSettingOf(observation) };
  const tables: FoundTable[] = [];
  for (const table of observation.tables) {
    if (!table.selectable || (schemas !== undefined && !schemas.includes(table.table.schema)) || (table.policies.length === 0 && !table.rowSecurity)) continue;
    const policies: FoundPolicy[] = [];
    for (const policy of table.policies) policies.push(await foundPolicy(policy, table, { observation, claims }));
    const { rowSecurity, forced, parents } = table;
    const hasChildren = observation.tables.some((other) => other.parents.some((parent) => parent.schema === table.table.schema && parent.table === table.table.table));
    tables.push({ table: table.table, rowSecurity, forced, parents, policies, hasChildren });
  }
  return { tables, claims };
}

/** The setting that policies and their functions most often read as JSON. */
function claimsSettingOf({ tables, functions = [] }: Observation): string {
  const texts = [...tables.flatMap(({ policies }) => policies.flatMap(({ using, check }) => [using ?? '', check ?? ''])), ...functions.map(({ body }) => body)];
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [, setting = ''] of text.matchAll(/current_setting\(\s*'([^']{1,63})'[^)]*\)[\s,)'"a-z:]{0,24}?::\s*jsonb?\b/gi)) counts.set(setting, (counts.get(setting) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most === undefined || counts.has('request.jwt.claims') ? 'request.jwt.claims' : most[0];
}

interface Reading {
  readonly observation: Observation;
  readonly claims: ClaimsConfiguration;
}

async function foundPolicy(policy: ObservedPolicy, table: ObservedTable, reading: Reading): Promise<FoundPolicy> {
  const { name, as, command, roles } = policy;
  const found = { name, as, command, roles };
  const owner = observedOwner(policy);
  if (owner !== undefined) return { ...found, left: `it belongs to RowPolicy ${owner}` };
  const sides: { using?: FoundExpression; check?: FoundExpression } = {};
  for (const side of ['using', 'check'] as const) {
    const text = policy[side];
    if (text === undefined) continue;
    const expression = await foundExpression(text, { policy, table, ...reading });
    if (typeof expression === 'string') return { ...found, left: expression };
    sides[side] = expression;
  }
  return { ...found, ...sides };
}

/** In words, why it can be declared in neither way. */
async function foundExpression(text: string, { policy, table, observation, claims }: Reading & { policy: ObservedPolicy; table: ObservedTable }): Promise<FoundExpression | string> {
  const governed = observation.tables.filter(({ rowSecurity, policies }) => rowSecurity && policies.length > 0).map((each) => each.table);
  const meanings = meaningsOf(policy.roles, table, { desired: { governed }, observation, claims: { claims, versionNumber: observation.versionNumber } });
  const recognised = recognise(text, meanings);
  if ('predicate' in recognised && recognised.predicate.kind === 'tree' && text.length <= 8192) {
    const terms = predicateSpec(recognised.predicate.alternatives, table.table.schema);
    if (isSayable(terms)) return { text, terms };
  }
  const why = 'why' in recognised ? recognised.why : 'a manifest can’t hold its terms, or so long a text';
  try {
    const uses = await namesOutside(text);
    await checkSqlPredicate(text, uses);
    return { text, why, uses };
  } catch (error) {
    if (error instanceof RowsealError && error.code === 'BadPredicate') return `${why}; ${error.message}`;
    throw error;
  }
}

/** Terms beyond what the schema admits in their place, such as a lookup three deep, are none. */
function isSayable(using: PredicateSpec): boolean {
  const rules = [{ name: 'r', roles: ['r'], commands: ['All'], using }];
  return findProblems('RowPolicy', { databaseRef: { name: 'd' }, target: { schema: 's', tables: ['t'] }, rules }).length === 0;
}
