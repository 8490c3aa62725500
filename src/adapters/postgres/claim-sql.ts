// Claims, settings and the current role as SQL values that are NULL, never an error, when they don't fit (DESIGN §5, Claims).
import { type ClaimSource, claimsSql, requireClaim } from './claims-source-sql.ts';
import { guardedCast } from './guarded-cast.ts';
import { quoteLiteral } from './quote.ts';
import { isArray, isBuiltIn, isTextual, type SqlType, typeSql } from './sql-type.ts';

/** How an expression reads its session: as SQL, since a helper function gets both as parameters. */
export interface SessionValues {
  /** An expression of type jsonb. */
  readonly claims: string;
  /** An expression of type text. */
  readonly role: string;
  readonly versionNumber: number;
  /** Where the claims come from in the end; decides which claims there are, and what evaluating them costs. */
  readonly source: ClaimSource['claims'];
}

/** What a policy itself reads. */
export function sessionOf(source: ClaimSource): SessionValues {
  return { claims: claimsSql(source), role: 'cast(current_user as "pg_catalog"."text")', versionNumber: source.versionNumber, source: source.claims };
}

/** One claim, once per query: an uncorrelated subselect becomes an initplan. */
export function claimSql(path: readonly string[], type: SqlType, session: SessionValues): string {
  if (isArray(type)) return knownArraySql(claimItemsSql(path, type.element, session));
  if (isBuiltIn(type, 'jsonb')) return `(select nullif(${session.claims} #> ${pathSql(path, session)}, 'null'::jsonb))`;
  return castOnceSql(`${session.claims} #>> ${pathSql(path, session)}`, type, session);
}

/** The items of a claim that holds a JSON array, for `= any (…)`; what is no array becomes one unknown item, so that `not` denies, too. */
export function claimItemsSql(path: readonly string[], element: SqlType, session: SessionValues): string {
  const items = jsonItemsSql(`case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end`, element, session);
  return `array(select ${items.item} from ${onceSql(`${session.claims} #> ${pathSql(path, session)}`)} as c, ${items.from})`;
}

/** A claim as a set: the items of its JSON array, or itself alone; NULL where there is no claim, since even the empty set is something. */
export function claimSetSql(path: readonly string[], element: SqlType, session: SessionValues): string {
  const items = jsonItemsSql(`case when jsonb_typeof(c.value) = 'array' then c.value else jsonb_build_array(c.value) end`, element, session);
  return `(select array(select ${items.item} from ${items.from}) from ${onceSql(`${session.claims} #> ${pathSql(path, session)}`)} as c where c.value <> 'null'::jsonb)`;
}

function jsonItemsSql(array: string, element: SqlType, session: SessionValues): { readonly item: string; readonly from: string } {
  if (isBuiltIn(element, 'jsonb')) return { item: `nullif(i.item, 'null'::jsonb)`, from: `jsonb_array_elements(${array}) as i(item)` };
  return { item: guardedCast('i.item', element, session), from: `jsonb_array_elements_text(${array}) as i(item)` };
}

/** The items of an array of text, for `= any (…)`. */
export function textItemsSql(array: string, element: SqlType, session: SessionValues): string {
  return `array(select ${guardedCast('i.item', element, session)} from unnest(coalesce(${array}, array[null::text])) as i(item))`;
}

/** The same as a set. */
export function textSetSql(array: string, element: SqlType, session: SessionValues): string {
  return `(select array(select ${guardedCast('i.item', element, session)} from unnest(a.value) as i(item)) from ${onceSql(array)} as a where a.value is not null)`;
}

/** The array, or NULL when one of its items is unknown. */
export function knownArraySql(array: string): string {
  return `(select a.value from ${onceSql(array)} as a where not exists (select from unnest(a.value) as i(item) where i.item is null))`;
}

/** Whether claims are there, but not this one; NULL when there are none at all. */
export function claimMissingSql(path: readonly string[], session: SessionValues): string {
  return `(select case when jsonb_typeof(c.value) = 'object' then (c.value #>> ${pathSql(path, session)}) is null end from ${onceSql(session.claims)} as c)`;
}

/** A session setting as it is; one that was never set is NULL, one whose SET LOCAL ended is ''. */
export function settingSql(name: string, type: SqlType, session: SessionValues): string {
  return castOnceSql(`nullif(current_setting(${quoteLiteral(name)}, true), '')`, type, session);
}

/** The current role; `current_user` has the collation "C", which would clash with a column's own. */
export function roleSql(type: SqlType, session: SessionValues): string {
  return castOnceSql(`${session.role} collate "default"`, type, session);
}

/** `value`, an expression of type text, cast once per query; NULL where it doesn't fit. */
export function castOnceSql(value: string, type: SqlType, session: SessionValues): string {
  if (isTextual(type)) return `(select cast(${value} as ${typeSql(type)}))`;
  return `(select ${guardedCast('v.value', type, session)} from ${onceSql(value)} as v)`;
}

/**
 * A value that is used twice. Without OFFSET the planner would put its expression in both places: a signature would be checked
 * twice, and a constant (a helper's argument, a literal) would be folded into the cast and fail there, whatever CASE says.
 */
function onceSql(value: string): string {
  return `(select ${value} as value offset 0)`;
}

function pathSql(path: readonly string[], { source }: SessionValues): string {
  requireClaim(path, source);
  return `array[${path.map(quoteLiteral).join(', ')}]`;
}
