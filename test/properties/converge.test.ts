// From any declared state to any other, over any crash between: the catalog ends as if the last state had been applied to a fresh database.
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { expectAsDeclared } from './as-declared.ts';
import { emptyWorld, transition, type Who } from './oracle.ts';
import { type Operator, startOperator } from './operator.ts';
import { anyState, type State } from './states.ts';
import { claimSets, createRoles, resetTables, roleNames } from './world.ts';

/** Pairs in all; `make soak` asks for 1,000. */
const pairs = Number(process.env['ROWSEAL_PAIRS'] ?? 40);
const perMajor = Math.ceil(pairs / (2 * supportedMajors.length));

describe.each(supportedMajors)('on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  let operator: Operator;
  let crash = { afterStatements: Infinity, byServer: false };

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await createRoles(admin);
  });
  afterAll(async () => {
    await operator?.close();
    await admin?.end();
    await postgres?.stop();
  });

  async function fresh(): Promise<void> {
    await operator?.close();
    await admin.query('drop schema if exists rowseal cascade');
    await resetTables(admin);
    operator = await startOperator({ postgres, beforeStatement: crashWhenDue });
  }

  /** Ends the session in the middle of a transaction: by killing its backend, or from our side as a dying process does. */
  async function crashWhenDue(_text: string, session: { readonly pid: number; close(): Promise<void> }): Promise<void> {
    crash.afterStatements -= 1;
    if (crash.afterStatements !== 0) return;
    if (crash.byServer) await admin.query('select pg_terminate_backend($1)', [session.pid]);
    else await session.close();
  }

  async function enforce(state: State): Promise<void> {
    operator.declare(state);
    await operator.converge();
  }

  /** Policies of every table, and the flags of those that the state governs: a table that is let go keeps its flags and ends closed. */
  async function catalog(state: State): Promise<unknown> {
    const { rows: tables } = await admin.query<{ relname: string }>(
      `select relname, relrowsecurity, relforcerowsecurity,
              (select json_agg(json_build_array(policyname, permissive, roles, cmd, qual, with_check) order by policyname) from pg_policies where tablename = relname and schemaname = 'public') as policies
         from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname`,
    );
    return tables.map(({ relname, ...flags }) => [relname, 'policies' in flags && flags.policies, state.some((policy) => policy.tables.some((table) => table === relname)) ? flags : undefined]);
  }

  async function isClosed(table: string): Promise<boolean> {
    const { rows: found } = await admin.query(`select relrowsecurity and not exists (select from pg_policy where polrelid = pg_class.oid) as closed from pg_class where oid = $1::regclass`, [table]);
    return found[0]?.closed === true;
  }

  it('any state becomes any other as from nothing, means what it says, and then takes no step', async () => {
    await fc.assert(
      fc.asyncProperty(anyState(['Restore']), anyState(['Restore']), someWhos, async (a, b, whos) => {
        await fresh();
        await enforce(b);
        const freshCatalog = await catalog(b);
        await expectAsDeclared(admin, { world: transition(emptyWorld, [], b), state: b }, whos);
        await fresh();
        await enforce(a);
        await enforce(b);
        await expectAsDeclared(admin, { world: transition(transition(emptyWorld, [], a), a, b), state: b }, whos);
        // A membership table that was let go stays closed and is read through a helper, other than on a fresh database.
        const wanted = (await isClosed('members')) ? await catalog(b) : freshCatalog;
        expect(await catalog(b)).toEqual(wanted);
        const writes = operator.cluster.statusWrites();
        await operator.restart();
        await operator.converge();
        expect([operator.cluster.statusWrites(), await catalog(b)]).toEqual([writes, wanted]);
      }),
      { numRuns: perMajor, endOnFailure: true },
    );
  });

  it('a crash between any two statements, then a restart, ends the same', async () => {
    const crashes = fc.record({ afterStatements: fc.integer({ min: 1, max: 40 }), byServer: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(anyState(['Restore']), anyState(['Restore']), crashes, async (a, b, when) => {
        await fresh();
        await enforce(a);
        await enforce(b);
        const wanted = await catalog(b);
        const closed = await isClosed('members');
        await fresh();
        await enforce(a);
        crash = { ...when };
        operator.declare(b);
        await operator.converge();
        crash = { afterStatements: Infinity, byServer: false };
        if (closed === (await isClosed('members'))) expect(await catalog(b)).toEqual(wanted);
        await expectAsDeclared(admin, { world: transition(transition(emptyWorld, [], a), a, b), state: b }, [{ role: 'app', claims: claimSets[0] }, { role: 'third', claims: claimSets[1] }]);
      }),
      { numRuns: perMajor, endOnFailure: true },
    );
  });
});

const someWhos: fc.Arbitrary<readonly Who[]> = fc.uniqueArray(fc.record({ role: fc.constantFrom(...roleNames), claims: fc.constantFrom(...claimSets) }), { minLength: 2, maxLength: 3 });
