// Never open where tables come: renamed and made anew, made or attached as partitions, while readers try every one that is there.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { setting } from '../postgres-policy/harness.ts';
import { type Operator, startOperator } from './operator.ts';
import { createRoles, createTableSql, password, resetTables } from './world.ts';

const key = { namespace: 'shop', name: 'alpha' };
const rules: RowPolicySpec['rules'] = [{ name: 'tenant', roles: ['PUBLIC'], commands: ['All'], using: { all: [{ column: 'tenant', op: 'Eq', claim: ['t'] }] } }];

describe.each([15, 18] as const)('on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  let operator: Operator;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await createRoles(admin);
    await admin.query('alter default privileges grant select on tables to app');
  });
  afterAll(async () => {
    await admin?.end();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await resetTables(admin);
    operator = await startOperator({ postgres });
  });
  afterEach(() => operator.close());

  async function govern(target: RowPolicySpec['target']): Promise<void> {
    operator.cluster.put('RowPolicy', key, { databaseRef: { name: 'db' }, target, rules, approval: 'Automatic' });
    await operator.converge();
  }

  /** Tables of these names, each read over and over as tenant a by the role that may read them all; what else it saw. */
  async function whileRead(pattern: string, action: () => Promise<void>): Promise<{ readonly foreign: readonly string[]; readonly reads: number }> {
    const client = new pg.Client({ connectionString: postgres.uri('postgres', 'app', password) });
    await client.connect();
    await client.query('select set_config($1, $2, false)', [setting, '{"t":"a"}']);
    const foreign = new Set<string>();
    const end = new AbortController();
    let reads = 0;
    const reading = (async () => {
      while (!end.signal.aborted) {
        const { rows: names } = await client.query<{ relname: string }>(`select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and relname like $1`, [pattern]);
        for (const { relname } of names) {
          // A table that is gone again was not seen.
          const seen = await client.query<{ tenant: string }>(`select tenant from public.${relname}`).catch((error: unknown) => {
            if (!(error instanceof Error && 'code' in error && error.code === '42P01')) throw error;
            return { rows: [] };
          });
          reads += 1;
          for (const { tenant } of seen.rows) if (tenant !== 'a') foreign.add(`${tenant} in ${relname}`);
        }
        await sleep(1);
      }
    })();
    try {
      await action();
    } finally {
      end.abort();
      await reading;
      await client.end();
    }
    return { foreign: [...foreign], reads };
  }

  it('a governed table that is renamed and made anew shows nothing that it should not, under either name', async () => {
    await govern({ schema: 'public', tables: ['orders'] });
    const { foreign, reads } = await whileRead('orders%', async () => {
      for (let round = 1; round <= 4; round += 1) {
        await admin.query(`begin; alter table orders rename to orders_${round}; ${createTableSql('orders')}; commit`);
        await sleep(30);
        await operator.converge();
      }
    });
    expect([foreign, reads > 20]).toEqual([[], true]);
    expect((await admin.query(`select count(*)::int as n from pg_policies where tablename = 'orders'`)).rows).toEqual([{ n: 1 }]);
  });

  it('partitions that are made, attached, detached and dropped show nothing that they should not', async () => {
    const filled = (table: string) => `insert into ${table} values (1, 'a'), (1, 'b')`;
    await admin.query('drop table if exists parted cascade; create table parted (id int, tenant text) partition by list (id)');
    await govern({ schema: 'public', tables: ['parted'] });
    const { foreign, reads } = await whileRead('parted%', async () => {
      for (let round = 1; round <= 4; round += 1) {
        await admin.query(`begin; create table parted_made partition of parted for values in (1); ${filled('parted_made')}; commit`);
        await sleep(20);
        await operator.converge();
        await admin.query(`begin; alter table parted detach partition parted_made; commit`);
        await sleep(20);
        await operator.converge();
        await admin.query(`begin; create table parted_attached (id int, tenant text); ${filled('parted_attached')}; alter table parted attach partition parted_attached for values in (1); commit`);
        await sleep(20);
        await operator.converge();
        await admin.query('drop table parted_made, parted_attached');
      }
    });
    expect([foreign, reads > 20]).toEqual([[], true]);
  });

  it('a table that a selector will mean is closed from its first moment', async () => {
    // There is none yet, which is said, and no reason not to be on guard.
    await expect(govern({ schema: 'public', selector: { namePattern: 'bill*', hasColumns: ['tenant'] } })).rejects.toThrow('NoTables');
    const { foreign, reads } = await whileRead('bill%', async () => {
      for (let round = 1; round <= 6; round += 1) {
        await admin.query(`create table bill_${round} as select * from (values (1, 'a'), (2, 'b')) as v(id, tenant)`);
        await sleep(20);
        if (round % 2 === 0) await operator.converge();
      }
    });
    expect([foreign, reads > 5]).toEqual([[], true]);
    expect((await admin.query(`select count(*)::int as n from pg_policies where tablename like 'bill%'`)).rows).toEqual([{ n: 6 }]);
    await admin.query(`drop table bill_1, bill_2, bill_3, bill_4, bill_5, bill_6`);
  });
});
