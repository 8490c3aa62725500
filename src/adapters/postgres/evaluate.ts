// One evaluation of what a user wrote: as the role with its claims, read-only but for temporary copies, in a savepoint that is rolled back.
import { quoteName } from './quote.ts';
import type { RunQuery } from './run-query.ts';

export interface Actor {
  readonly role: string;
  /** The session setting that says who it acts for, and what it holds. */
  readonly claims?: { readonly setting: string; readonly text: string };
  /** Further session settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

export const statementLimitSeconds = 5;

/** Everything that changes what an expression means or how values are written, and the limits, anew each time: an expression may have set others. */
const settings = [
  ['statement_timeout', `${statementLimitSeconds}s`],
  ['lock_timeout', '2s'],
  ['search_path', 'pg_catalog, pg_temp'],
  ['row_security', 'on'],
  ['client_min_messages', 'error'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['standard_conforming_strings', 'on'],
] as const;

const prepared = settings.map(([name, value]) => `set local ${name} = ${name === 'search_path' ? value : `'${value}'`}`).join('; ');

/** A transaction of the probe's connection with known settings, rolled back whatever happens. */
export async function rolledBack<T>(query: RunQuery, action: () => Promise<T>): Promise<T> {
  await query('begin isolation level repeatable read');
  try {
    await query(prepared);
    return await action();
  } finally {
    await query('rollback').catch(() => undefined);
  }
}

/**
 * From here on whatever a predicate does, it does as the role: nothing can be written but temporary copies, and nobody inside a
 * read-only transaction can make it read-write again. Stepping out of the role reaches the probe, which owns copies only.
 */
export async function asActor<T>(query: RunQuery, { role, claims, settings: further = {} }: Actor, action: () => Promise<T>): Promise<T> {
  await query(`savepoint actor; set transaction read only; ${prepared}`);
  try {
    if (claims !== undefined) await query('select set_config($1, $2, true)', [claims.setting, claims.text]);
    for (const [name, value] of Object.entries(further)) await query('select set_config($1, $2, true)', [name, value]);
    await query(`set local role ${quoteName(role)}`);
    return await action();
  } finally {
    // Roles and settings, too, are those of before again.
    await query('rollback to savepoint actor; release savepoint actor').catch(() => undefined);
  }
}

/** Back to the probe itself inside an actor's evaluation, to look at what is left of its copies. */
export async function asProbe(query: RunQuery): Promise<void> {
  await query(`${prepared}; set local role none`);
}
