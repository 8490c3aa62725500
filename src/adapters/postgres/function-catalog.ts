// Reads functions of the catalog that the recogniser may look into. Evaluates nothing of them.
import type { ObservedFunction } from '../../policy/observed.ts';
import { expressionNode, type Node, plainName, record, selectNode, Unrecognised } from './recognise-node.ts';
import type { RunQuery } from './run-query.ts';

/** Settings of a function that change neither what its body means nor what it reads. */
const harmlessSettings = ['search_path', 'row_security', 'statement_timeout', 'lock_timeout'];
const mostRounds = 5;

/** Functions that are called in these expressions, and those that their bodies call in turn. */
export async function calledFunctions(query: RunQuery, texts: readonly string[]): Promise<readonly ObservedFunction[]> {
  const found = new Map<string, ObservedFunction>();
  let wanted = texts.flatMap((text) => namesCalled(text));
  for (let round = 0; round < mostRounds && wanted.length > 0; round += 1) {
    const functions = await functionsOf(query, [...new Set(wanted)]);
    const fresh = functions.filter((each) => !found.has(keyOf(each)));
    for (const each of fresh) found.set(keyOf(each), each);
    wanted = fresh.flatMap(({ body }) => namesCalled(body));
  }
  return [...found.values()];
}

function keyOf({ schema, name, parameters }: ObservedFunction): string {
  return JSON.stringify([schema, name, parameters.map(({ type }) => type)]);
}

/** Names without their schemas: which one is meant is decided where they are looked into. */
function namesCalled(text: string): readonly string[] {
  const names: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    for (const [key, child] of Object.entries(record(value))) {
      if (key === 'FuncCall') names.push(plainName(record(child)['funcname']).split('.').at(-1) ?? '');
      visit(child);
    }
  };
  visit(readable(text));
  return names.filter((name) => name !== '');
}

function readable(text: string): Node | undefined {
  for (const read of [() => expressionNode(text), () => selectNode(text), () => expressionNode(/RETURN\s+([^;]*)/i.exec(text)?.[1] ?? '')]) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Unrecognised)) throw error;
    }
  }
  return undefined;
}

interface FunctionRow extends Omit<ObservedFunction, 'searchPath'> {
  readonly settings: readonly string[] | null;
}

async function functionsOf(query: RunQuery, names: readonly string[]): Promise<readonly ObservedFunction[]> {
  const rows = await query<FunctionRow>(
    `select n.nspname as schema, p.proname as name, l.lanname as language, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body, p.prosqlbody is not null as parsed,
            array(select json_build_object('name', coalesce(p.proargnames[a.place], ''), 'type', ${typeKeySql('a.oid')}) from unnest(p.proargtypes::oid[]) with ordinality as a(oid, place) order by a.place) as parameters,
            ${typeKeySql('p.prorettype')} as returns, p.proretset as "returnsSet", p.proisstrict as strict, p.prosecdef as "securityDefiner",
            o.rolname as owner, o.rolsuper or o.rolbypassrls as "ownerBypasses", p.proconfig as settings
       from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_language l on l.oid = p.prolang
       join pg_catalog.pg_roles o on o.oid = p.proowner
      where p.proname = any ($1::text[]) and n.nspname not in ('pg_catalog', 'information_schema') and p.prokind = 'f' and l.lanname in ('sql', 'plpgsql')
        and p.proargmodes is null and p.provariadic = 0 and length(p.prosrc) < 16384`,
    [names],
  );
  return rows.flatMap(({ settings, ...row }) => {
    const pairs = (settings ?? []).map((setting) => [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)] as const);
    if (pairs.some(([name]) => !harmlessSettings.includes(name))) return [];
    const path = pairs.find(([name]) => name === 'search_path')?.[1];
    return [{ ...row, ...(path === undefined ? {} : { searchPath: pathOf(path) }) }];
  });
}

/** Where pg_catalog does not come first, or a schema depends on the session, no bare name is sure. */
function pathOf(setting: string): readonly string[] {
  const schemas = setting.split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
  return schemas.includes('$user') || schemas.indexOf('pg_catalog') > 0 ? [] : schemas.filter((schema) => schema !== '');
}

/** As recognise-node's typeKey writes it. */
function typeKeySql(oid: string): string {
  return `(select case when tn.nspname = 'pg_catalog' then t.typname::text else tn.nspname || '.' || t.typname end
     from pg_catalog.pg_type t join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace where t.oid = ${oid})`;
}

