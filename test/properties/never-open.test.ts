// Never open: while random states follow each other, over lost connections and restarts, nobody reaches what neither the old nor the new one allows.
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../parts/tcp-proxy.ts';
import { expectAsDeclared } from './as-declared.ts';
import { type Operator, startOperator } from './operator.ts';
import { emptyWorld, transition } from './oracle.ts';
import { anyState, apart, freshlyNamed, type State } from './states.ts';
import { startWatchers } from './watchers.ts';
import { claimSets, createRoles, resetTables } from './world.ts';

const transitions = Number(process.env['ROWSEAL_TRANSITIONS'] ?? 8);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);

describe.each(supportedMajors)('on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  let proxy: TcpProxy;
  let operator: Operator | undefined;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    proxy = await startTcpProxy(postgres.port);
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await createRoles(admin);
  });
  afterAll(async () => {
    await operator?.close();
    await proxy?.stop();
    await admin?.end();
    await postgres?.stop();
  });

  /** Now and then the connection breaks on one side or the other. */
  async function breakSometimes(_text: string, session: { readonly pid: number }): Promise<void> {
    const luck = Math.random();
    if (luck < 0.01) proxy.reset();
    else if (luck < 0.02) await admin.query('select pg_terminate_backend($1)', [session.pid]);
  }

  async function follow(states: readonly State[]): Promise<void> {
    const someLate = (names: readonly string[]) => names.filter(() => Math.random() < 0.7).sort(() => Math.random() - 0.5);
    await operator?.close();
    await resetTables(admin);
    operator = await startOperator({ postgres, port: proxy.port, choose: someLate, beforeStatement: breakSometimes });
    let world = emptyWorld;
    let before: State = [];
    const watch = await startWatchers(postgres, world);
    try {
      for (const state of states) {
        world = transition(world, before, state);
        watch.begins(world);
        operator.declare(state);
        if (Math.random() < 0.2) await operator.restart();
        await operator.converge();
        watch.isInForce();
        expect(watch.offences, JSON.stringify({ from: before, to: state })).toEqual([]);
        await expectAsDeclared(admin, { world, state }, [{ role: 'app', claims: claimSets[0] }, { role: 'third', claims: claimSets[1] }]).catch((error: unknown) => {
          throw new Error(JSON.stringify({ from: before, to: state }), { cause: error });
        });
        before = state;
      }
    } finally {
      await watch.stop();
    }
    expect(watch.observed()).toBeGreaterThan(transitions);
  }

  const states = (): readonly State[] => fc.sample(anyState(['Retain', 'Restore']), { seed: seed + major, numRuns: transitions });

  it(`over ${transitions} transitions of rules that become others in place (seed ${seed})`, () => follow(states().map(apart)));

  it(`over ${transitions} transitions of RowPolicies that share tables (seed ${seed})`, () => follow(states().map(freshlyNamed)));
});
