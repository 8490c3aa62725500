// Copies of real rows on the probe connection, put under the policies of now and under those of a plan: what a plan would do, tried out.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { type Desired, membershipTables } from '../../policy/desired.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import type { Step } from '../../policy/step.ts';
import { describeTable, sameTable, type TableName } from '../../policy/table-name.ts';
import { stateAfter, type StatedPolicy, stateNow, type TableState } from '../../policy/table-state.ts';
import { compileDesired } from './compile.ts';
import { rolledBack } from './evaluate.ts';
import type { Probe } from './probe.ts';
import { quoteName, quoteTable } from './quote.ts';
import { readRealRows, type TextRows } from './real-rows.ts';
import { onCopy, retarget, retargetText, scratchSchema } from './retarget.ts';
import type { RunQuery } from './run-query.ts';
import { type CopyRules, createCopies, enforceOnCopies, grantOnCopy, rowIds } from './scratch.ts';
import type { Session } from './session.ts';
import { claimsOnCopies } from './tested-claims.ts';

export interface RehearsalRequest {
  readonly desired: Desired;
  readonly observation: Observation;
  readonly steps: readonly Step[];
  /** The tables it is about; those that memberships read are copied, too. */
  readonly tables: readonly ObservedTable[];
  readonly roles: readonly string[];
}

export interface RehearsalOptions {
  readonly session: Pick<Session, 'exclusively'>;
  readonly probe: Probe;
  readonly claims: ClaimsConfiguration;
}

export type When = 'Now' | 'Then';

export interface Stage {
  /** The tables that could be copied, as they are in the database. */
  readonly tables: readonly ObservedTable[];
  /** Runs the action while the copies are under the policies of now, or of the plan. */
  under<T>(when: When, action: (query: RunQuery) => Promise<T>): Promise<T>;
  /** Whether no policy binds the role on this table at that time, or it may not read the table at all. */
  /** Places of all rows of the copy. */
  rowsOf(table: ObservedTable): ReadonlySet<string>;
  standing(role: string, table: ObservedTable, when: When): 'Bound' | 'SeesAll' | 'SeesNothing';
}

/** Row values are in memory for as long as the action runs, and nowhere else. `refuse` is told which table could not be copied, and why. */
export async function rehearse<T>(options: RehearsalOptions, request: RehearsalRequest, { refuse, action }: { readonly refuse: (why: string) => void; readonly action: (stage: Stage) => Promise<T> }, signal: AbortSignal): Promise<T | undefined> {
  const { copied, complete } = await readTables(options, request, refuse, signal);
  if (copied.length === 0 || !complete) return undefined;
  const tables = copied.map(({ table }) => table);
  const rights = await options.session.exclusively((query) => readRights(query, tables, request.roles), signal);
  const rules = { Now: await rulesNow(tables), Then: await rulesThen(tables, request, options.claims) };
  return options.probe.use(
    request.roles,
    (query) =>
      rolledBack(query, async () => {
        await createCopies(query, tables.map(onCopy));
        const places = new Map<ObservedTable, ReadonlySet<string>>();
        for (const { table, rows } of copied) {
          await fillCopy(query, onCopy(table), rows);
          places.set(table, new Set(await rowIds(query, onCopy(table))));
        }
        await grantReaders(query, tables, rights, request);
        return action({
          tables: tables.filter((table) => request.tables.includes(table)),
          under: (when, inside) => underRules(query, rules[when], () => inside(query)),
          rowsOf: (table) => places.get(table) ?? new Set(),
          standing: (role, table, when) => standing(rights, { role, table }, when === 'Now' ? stateNow(table) : stateAfter(table, request.steps)),
        });
      }),
    signal,
  );
}

interface Copied {
  readonly table: ObservedTable;
  readonly rows: TextRows;
}

async function readTables({ session }: RehearsalOptions, { tables, desired, observation }: RehearsalRequest, refuse: (why: string) => void, signal: AbortSignal): Promise<{ copied: readonly Copied[]; complete: boolean }> {
  const lookedUp = membershipTables(desired).flatMap((name) => observation.tables.filter(({ table }) => sameTable(table, name)));
  const copied: Copied[] = [];
  let complete = true;
  for (const table of new Set([...tables, ...lookedUp])) {
    const { rows, refusal } = copied.some((other) => other.table.table.table === table.table.table)
      ? { rows: undefined, refusal: `${describeTable(table.table)} bears the name of another table` }
      : await session.exclusively((query) => readRealRows(query, table), signal);
    if (rows !== undefined) copied.push({ table, rows });
    else {
      refuse(refusal ?? '');
      // Without what memberships read, every answer would be a guess.
      if (lookedUp.includes(table)) complete = false;
    }
  }
  return { copied, complete };
}

/** Puts rows as text into a copy; each value is a parameter. */
export async function fillCopy(query: RunQuery, { table, columns }: ObservedTable, rows: TextRows): Promise<void> {
  const names = columns.map(({ name }) => quoteName(name));
  if (names.length === 0) {
    for (let row = 0; row < rows.length; row += 1) await query(`insert into ${quoteTable(table)} default values`);
    return;
  }
  const batch = Math.floor(60_000 / names.length);
  for (let from = 0; from < rows.length; from += batch) {
    const part = rows.slice(from, from + batch);
    const values = part.map((_row, index) => `(${names.map((_name, column) => `$${index * names.length + column + 1}`).join(', ')})`);
    await query(`insert into ${quoteTable(table)} (${names.join(', ')}) values ${values.join(', ')}`, part.flat());
  }
}

interface Right {
  readonly role: string;
  readonly oid: number;
  readonly reads: boolean;
  readonly owns: boolean;
}

async function readRights(query: RunQuery, tables: readonly ObservedTable[], roles: readonly string[]): Promise<readonly Right[]> {
  return query<Right>(
    `select r.rolname::text as role, c.oid::int8::int as oid, pg_has_role(r.oid, c.relowner, 'USAGE') as owns,
            has_schema_privilege(r.oid, c.relnamespace, 'USAGE') and has_any_column_privilege(r.oid, c.oid, 'SELECT') as reads
       from pg_catalog.pg_class c, pg_catalog.pg_roles r where c.oid = any ($1::int8[]::oid[]) and r.rolname = any ($2::text[])`,
    [tables.map((table) => table.oid), roles],
  );
}

function rightOf(rights: readonly Right[], role: string, table: ObservedTable): Right | undefined {
  return rights.find((right) => right.role === role && right.oid === table.oid);
}

function standing(rights: readonly Right[], { role, table }: { readonly role: string; readonly table: ObservedTable }, state: TableState): 'Bound' | 'SeesAll' | 'SeesNothing' {
  const right = rightOf(rights, role, table);
  if (right?.reads !== true) return 'SeesNothing';
  return !state.rowSecurity || (right.owns && !state.forced) ? 'SeesAll' : 'Bound';
}

/** As on the originals. The probe itself may not read what no helper reads for it, should an expression step out of its role. */
async function grantReaders(query: RunQuery, tables: readonly ObservedTable[], rights: readonly Right[], { roles, desired }: RehearsalRequest): Promise<void> {
  const lookedUp = membershipTables(desired);
  for (const table of tables) {
    const copy = onCopy(table).table;
    await grantOnCopy(query, copy, { rights: 'select', roles: roles.filter((role) => rightOf(rights, role, table)?.reads === true) });
    if (!lookedUp.some((name) => sameTable(name, table.table))) await query(`revoke all on ${quoteTable(copy)} from current_user`);
  }
}

async function underRules<T>(query: RunQuery, rules: readonly CopyRules[], action: () => Promise<T>): Promise<T> {
  await query('savepoint rules');
  try {
    await enforceOnCopies(query, rules);
    return await action();
  } finally {
    await query('rollback to savepoint rules; release savepoint rules').catch(() => undefined);
  }
}

function rulesNow(tables: readonly ObservedTable[]): Promise<readonly CopyRules[]> {
  return Promise.all(tables.map(async (table) => ({ table: onCopy(table).table, rowSecurity: table.rowSecurity, functions: [], policies: await policiesOnCopies(stateNow(table), tables) })));
}

/** What the plan makes is compiled anew for the copies; what it leaves is taken as it stands in the database. */
async function rulesThen(tables: readonly ObservedTable[], { desired, observation, steps }: RehearsalRequest, claims: ClaimsConfiguration): Promise<readonly CopyRules[]> {
  const part = { ...desired, tables: desired.tables.filter(({ table }) => tables.some((copied) => sameTable(copied.table, table))) };
  const moved = await retarget(part, observation, tables);
  const compiled = compileDesired(moved.desired, moved.observation, { claims: claimsOnCopies(claims), helperSchema: scratchSchema });
  return Promise.all(
    tables.map(async (table) => {
      const state = stateAfter(table, steps);
      const own = compiledFor(compiled, onCopy(table).table).filter(({ name }) => state.policies.some((policy) => policy.name === name));
      const others = { ...state, policies: state.policies.filter(({ name }) => !own.some((policy) => policy.name === name)) };
      const policies = [...own, ...(await policiesOnCopies(others, tables))];
      return { table: onCopy(table).table, rowSecurity: state.rowSecurity, functions: own.flatMap((policy) => policy.functions), policies };
    }),
  );
}

function compiledFor(compiled: ReturnType<typeof compileDesired>, name: TableName) {
  return compiled.tables.find(({ table }) => sameTable(table, name))?.policies ?? [];
}

async function policiesOnCopies({ policies }: TableState, tables: readonly ObservedTable[]): Promise<readonly StatedPolicy[]> {
  return Promise.all(
    policies.map(async ({ name, as, command, roles, using, check }) => ({
      name,
      as,
      command,
      roles,
      ...(using === undefined ? {} : { using: await retargetText(using, tables) }),
      ...(check === undefined ? {} : { check: await retargetText(check, tables) }),
    })),
  );
}
