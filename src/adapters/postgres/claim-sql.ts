// Claims, literals and the current role as SQL values that are NULL, never an error, when they don't fit (DESIGN §5, Claims).
import { quoteLiteral, quoteName } from './quote.ts';

export interface SqlType {
  readonly schema: string;
  readonly name: string;
  /** Whether `pg_input_is_valid` catches whatever the type's input function may raise. */
  readonly softInput: boolean;
}

export interface ClaimSource {
  /** The setting that holds the claims as JSON. */
  readonly setting: string;
  /** server_version_num; before 16 there is no `pg_input_is_valid`. */
  readonly versionNumber: number;
}

export const textType: SqlType = { schema: 'pg_catalog', name: 'text', softInput: true };
const jsonbType: SqlType = { schema: 'pg_catalog', name: 'jsonb', softInput: true };

/** Every text is a valid value of these. */
const textual = new Set(['text', 'varchar', 'bpchar']);
/** Casting to these cuts silently, which would make different values equal; they are compared as text. */
const cutting = new Set(['name', 'char']);

/** The type to cast to when comparing with a column of this base type. Qualified by schema a type has no default modifier. */
export function comparableType(type: SqlType): SqlType {
  return type.schema === 'pg_catalog' && cutting.has(type.name) ? textType : type;
}

export function typeSql(type: SqlType): string {
  return `${quoteName(type.schema)}.${quoteName(type.name)}`;
}

export function literalSql(text: string, type: SqlType): string {
  return `cast(${quoteLiteral(text)} as ${typeSql(type)})`;
}

/** One claim, once per query: an uncorrelated subselect becomes an initplan. */
export function claimSql(path: readonly string[], type: SqlType, source: ClaimSource): string {
  const value = `${claimsSql(source)} #>> ${pathSql(path)}`;
  if (isTextual(type)) return `(select cast(${value} as ${typeSql(type)}))`;
  return `(select ${guardedCast('c.value', type, source)} from (select ${value} as value) as c)`;
}

/** The items of a claim that holds a JSON array, for `= any (…)`; what is no array becomes one unknown item, so that `not` denies, too. */
export function claimItemsSql(path: readonly string[], type: SqlType, source: ClaimSource): string {
  const value = `${claimsSql(source)} #> ${pathSql(path)}`;
  const items = `jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end)`;
  return `array(select ${guardedCast('i.item', type, source)} from (select ${value} as value) as c, ${items} as i(item))`;
}

/** Whether the claim is known at all; a negated membership needs to ask. */
export function claimKnownSql(path: readonly string[], source: ClaimSource): string {
  return `(select (${claimsSql(source)} #>> ${pathSql(path)}) is not null)`;
}

/** The current role; `role` is an expression of type text. */
export function roleSql(role: string, type: SqlType, source: ClaimSource): string {
  return isTextual(type) ? `(select cast(${role} as ${typeSql(type)}))` : `(select ${guardedCast('r.name', type, source)} from (select ${role} as name) as r)`;
}

/** The claims as jsonb; after SET LOCAL ends the setting is '' and not NULL. */
function claimsSql(source: ClaimSource): string {
  const setting = `nullif(current_setting(${quoteLiteral(source.setting)}, true), '')`;
  return `(${guardedCast(setting, jsonbType, source)})`;
}

function pathSql(path: readonly string[]): string {
  return `array[${path.map(quoteLiteral).join(', ')}]`;
}

function guardedCast(value: string, type: SqlType, source: ClaimSource): string {
  if (isTextual(type)) return `cast(${value} as ${typeSql(type)})`;
  const builtIn = source.versionNumber >= 160_000 && type.softInput;
  const check = builtIn ? 'pg_catalog.pg_input_is_valid' : 'rowseal.input_is_valid';
  return `case when ${check}(${value}, ${quoteLiteral(typeSql(type))}) then cast(${value} as ${typeSql(type)}) end`;
}

function isTextual(type: SqlType): boolean {
  return type.schema === 'pg_catalog' && textual.has(type.name);
}
