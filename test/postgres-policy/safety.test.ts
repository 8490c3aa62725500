// Never open, never half applied, never injected: what must hold while policies change.
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applyPlan } from '../../src/adapters/postgres/apply.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { clock, type Flow, forget, never, type Rules, setting, startFlow } from './harness.ts';

let postgres: Postgres;
let flow: Flow;
beforeAll(async () => {
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query(`create role app; create role reader login password 'reader'; grant app to reader`);
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  await flow.admin.query(`${forget} drop table if exists orders cascade; create table orders (id int primary key, tenant_id text);
    insert into orders select n, case n % 2 when 0 then 'a' else 'b' end from generate_series(1, 20) n; grant select on orders to app`);
});

const tenantRule = (extra: Partial<Rules[number]> = {}): Rules[number] => ({ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] }, ...extra });

async function reader(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: postgres.uri('postgres', 'reader', 'reader') });
  await client.connect();
  await client.query(`select set_config($1, '{"t":"a"}', false)`, [setting]);
  return client;
}

describe('while policies change', () => {
  it('no reader ever sees a row that neither the old nor the new state allows', async () => {
    const restricted: Rules[number] = { name: 'fence', as: 'Restrictive', roles: ['PUBLIC'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } };
    const wide: Rules[number] = { name: 'wide', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Gt', value: '0' }] } };
    // Each state alone shows at most tenant a; an instant between two of them could show more.
    const states: readonly Rules[] = [[tenantRule()], [wide, restricted], [tenantRule({ commands: ['Select', 'Delete'] })], [wide, restricted, tenantRule()], [tenantRule({ as: 'Restrictive' }), wide]];
    await flow.converge('orders', { rules: states[0] ?? [] });
    const clients = await Promise.all([reader(), reader(), reader()]);
    const done = new AbortController();
    let reads = 0;
    const foreign: unknown[] = [];
    const reading = clients.map(async (client, index) => {
      while (!done.signal.aborted) {
        const { rows } = await client.query(index === 0 ? { name: 'prepared', text: 'select tenant_id from orders' } : 'select tenant_id from orders');
        reads += 1;
        foreign.push(...rows.filter((row) => row.tenant_id !== 'a'));
      }
    });
    for (let round = 0; round < 60; round += 1) {
      await flow.converge('orders', { rules: states[round % states.length] ?? [], rowSecurity: round % 3 === 0 ? 'Enabled' : 'Forced' });
      if (round % 10 === 9) await flow.remove('orders', 'FailClosed');
    }
    done.abort();
    await Promise.all(reading);
    await Promise.all(clients.map((client) => client.end()));
    expect(foreign).toEqual([]);
    expect(reads).toBeGreaterThan(60);
  });

  it('a lock held by somebody gives WaitingForLock naming the process, and readers get through between the attempts', async () => {
    const plan = await flow.planOf('orders', { rules: [tenantRule()] });
    const holder = await reader();
    await holder.query('begin; select count(*) from orders');
    const { rows } = await holder.query('select pg_backend_pid() as pid');
    const waiting = applyPlan(plan, { session: flow.session, clock, lockTimeoutMs: 50, attempts: 2 }, never);
    await expect(waiting).rejects.toMatchObject({ code: 'WaitingForLock', retryable: true, message: expect.stringContaining(`process ${rows[0]?.pid}`) });
    await holder.query('commit');
    await holder.end();
    expect(await flow.store.apply(plan, never)).toBe('Applied');
  });

  it('locks of many tables share one limit, so that whoever waits for the first is let through soon', async () => {
    const tables = ['q1', 'q2', 'q3'];
    await flow.admin.query(tables.map((table) => `create table ${table} (tenant_id text); grant select on ${table} to app`).join('; '));
    const plan = await flow.planOf('queue', { rules: [tenantRule()], target: { schema: 'public', tables } });
    const holders: pg.Client[] = [];
    for (const table of tables) {
      const holder = await reader();
      await holder.query(`begin; lock table ${table} in access share mode`);
      holders.push(holder);
    }
    // Each is let go just within its own limit, so that together they would take three times as long.
    const letGo = holders.map((holder, index) => sleep(150 * (index + 1)).then(() => holder.query('commit')));
    const beganMs = performance.now();
    await expect(applyPlan(plan, { session: flow.session, clock, lockTimeoutMs: 190, attempts: 1 }, never)).rejects.toMatchObject({ code: 'WaitingForLock' });
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    await Promise.all(letGo);
    await Promise.all(holders.map((holder) => holder.end()));
    expect(await flow.store.apply(plan, never)).toBe('Applied');
    expect((await flow.session.exclusively((query) => query(`select current_setting('statement_timeout') as value`), never))[0]).toEqual({ value: '1min' });
    await flow.admin.query(`drop table ${tables.join(', ')}`);
  });

  it('nothing is half applied when a step fails', async () => {
    const rules = [tenantRule(), tenantRule({ name: 'wrong', using: { all: [{ column: 'id', op: 'Eq', value: 'no number' }] } })];
    await expect(flow.converge('orders', { rules })).rejects.toMatchObject({ code: 'BadPredicate' });
    expect((await flow.observe('orders', ['orders'])).tables[0]).toMatchObject({ rowSecurity: false, policies: [] });
  });
});

describe('what is missing', () => {
  it.each([
    ['a table', { target: { schema: 'public', tables: ['nowhere'] }, rules: [tenantRule()] }, 'table public.nowhere'],
    ['a role', { rules: [tenantRule({ roles: ['nobody'] })] }, 'role nobody'],
    ['a column', { rules: [tenantRule({ using: { all: [{ column: 'nothing', op: 'Eq', value: '1' }] } })] }, 'column public.orders.nothing'],
    ['a membership table', { rules: [tenantRule({ using: { all: [{ column: 'id', member: { table: 'gone', column: 'id', where: { all: [{ column: 'id', op: 'Eq', value: '1' }] } } }] } })] }, 'table public.gone'],
  ] as const)('%s is named before anything is changed', async (_what, spec, object) => {
    await expect(flow.planOf('orders', spec as never)).rejects.toMatchObject({ code: 'DatabaseObjectMissing', object });
  });

  it('a view is refused', async () => {
    await flow.admin.query('create view shown as select * from orders');
    await expect(flow.planOf('orders', { target: { schema: 'public', tables: ['shown'] }, rules: [tenantRule()] })).rejects.toMatchObject({ code: 'DatabaseObjectMissing' });
  });
});

describe('names and literals', () => {
  const nasty = [`a'b`, 'a"b', 'a;drop table orders;--', '/* c', '*/ d', '--', `'); drop table orders; --`, 'ключ ☃', '$1', '$rowseal$', String.raw`back\slash`, 'x'.repeat(63), 'select', 'PUBLIC '];
  it.each(nasty)('are inert: %s', async (name) => {
    await flow.admin.query(`drop table if exists ${pg.escapeIdentifier(name)}; create table ${pg.escapeIdentifier(name)} (${pg.escapeIdentifier(name)} text, id int);
      create role ${pg.escapeIdentifier(name)}; grant select on ${pg.escapeIdentifier(name)} to ${pg.escapeIdentifier(name)}`);
    await flow.admin.query(`insert into ${pg.escapeIdentifier(name)} values ($1, 1), ('other', 2)`, [name]);
    const rules: Rules = [
      { name: 'one', roles: [name], commands: ['Select'], using: { all: [{ column: name, op: 'Eq', value: name }, { column: name, op: 'In', values: [name] }, { column: name, member: { table: name, column: name, where: { all: [{ column: name, op: 'Eq', claim: [name] }] } } }] } },
    ];
    await flow.converge('nasty', { target: { schema: 'public', tables: [name] }, rules });
    expect(await flow.see(name, JSON.stringify({ [name]: name }), `select id from ${pg.escapeIdentifier(name)}`)).toEqual([{ id: 1 }]);
    expect((await flow.planOf('nasty', { target: { schema: 'public', tables: [name] }, rules })).steps).toEqual([]);
    await flow.remove('nasty', 'Restore');
    await flow.admin.query(`drop table ${pg.escapeIdentifier(name)}; drop role ${pg.escapeIdentifier(name)}`);
  });

  it('a NUL or a name beyond 63 bytes is refused, never cut', async () => {
    await expect(flow.planOf('orders', { rules: [tenantRule({ using: { all: [{ column: 'tenant_id', op: 'Eq', value: 'a\0' }] } })] })).rejects.toMatchObject({ code: 'BadPredicate' });
  });
});

describe('a helper function', () => {
  it('can be called by the roles of its policy only', async () => {
    const rules = [tenantRule({ using: { all: [{ column: 'id', member: { table: 'orders', column: 'id', where: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } } }] } })];
    await flow.converge('orders', { rules });
    expect((await flow.see('app', '{"t":"a"}', 'select id from orders')).length).toBe(10);
    await flow.admin.query('create role stranger');
    const { rows } = await flow.admin.query(`select oid::regprocedure::text as f from pg_proc where proname ~ '^member_'`);
    await expect(flow.see('stranger', '{"t":"a"}', `select ${String(rows[0]?.f).replace('(text,jsonb)', `('x', null)`)}`)).rejects.toMatchObject({ code: '42501' });
  });

  it('that several RowPolicies share is for the roles of all of them, and of none that has left', async () => {
    const member = (roles: string[]): Rules => [tenantRule({ roles, using: { all: [{ column: 'id', member: { table: 'orders', column: 'id', where: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } } }] } })];
    const granted = async () => {
      const { rows } = await flow.admin.query(`select (aclexplode(proacl)).grantee::regrole::text as role from pg_proc where proname ~ '^member_' order by 1`);
      return rows.map((row) => row.role).filter((role) => role !== 'postgres');
    };
    await flow.converge('orders', { rules: member(['PUBLIC']) });
    await flow.converge('second', { rules: member(['app']) });
    expect(await granted()).toEqual(['-']);
    await flow.converge('orders', { rules: member(['reader']) });
    expect(await granted()).toEqual(['app', 'reader']);
    await flow.remove('second', 'Restore');
    expect(await granted()).toEqual(['reader']);
  });
});
