// Never open where rules change hands: between objects, from an object that goes to one that comes, and beside somebody else's.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../src/model/condition.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { expectAsDeclared } from './as-declared.ts';
import { type Operator, startOperator } from './operator.ts';
import { emptyWorld, transition, type WorldState } from './oracle.ts';
import type { Declared, State } from './states.ts';
import { startWatchers, type Watch } from './watchers.ts';
import { claimSets, createRoles, resetTables, roleNames } from './world.ts';

type Rule = Declared['rules'][number];

let postgres: Postgres;
let admin: pg.Client;
let operator: Operator;
let watch: Watch;
let world: WorldState;
let declared: State;
/** The objects that are looked at; all when undefined. */
let only: readonly string[] | undefined;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await createRoles(admin);
});
afterAll(async () => {
  await admin?.end();
  await postgres?.stop();
});
beforeEach(async () => {
  await resetTables(admin);
  only = undefined;
  operator = await startOperator({ postgres, choose: (names) => names.filter((name) => only === undefined || only.includes(name)) });
  [world, declared] = [emptyWorld, []];
  watch = await startWatchers(postgres, world);
  return async () => {
    await watch.stop();
    await operator.close();
  };
});

const tenant: Rule = { name: 'tenant', roles: ['app', 'other', 'keeper'], commands: ['All'], using: { all: [{ column: 'tenant', op: 'Eq', claim: ['t'] }] } };
const wide: Rule = { name: 'wide', roles: ['PUBLIC'], commands: ['All'], using: { all: [{ column: 'amount', op: 'Gt', value: '0' }] } };
const fence: Rule = { ...tenant, name: 'fence', as: 'Restrictive', roles: ['PUBLIC'] };
const closed: Rule = { ...fence, name: 'closed', roles: tenant.roles, using: { all: [{ column: 'amount', op: 'Lt', value: '-1' }] } };
const object = (name: string, rules: readonly Rule[], extra: Partial<Declared> = {}): Declared => ({ name, tables: ['orders'], rules, rowSecurity: 'Forced', deletionPolicy: 'Retain', ...extra });

/** What they left behind looks up no members, so that it means the same for ever. */
const everybody: State = ['alpha', 'beta', 'gamma'].map((name) => object(name, []));

/** `result` where deleting leaves something that the oracle does not know. */
async function become(state: State, result?: WorldState): Promise<void> {
  announce(state, result);
  await operator.converge();
  watch.isInForce();
  expect(watch.offences).toEqual([]);
  await expectAsDeclared(admin, { world, state: everybody }, roleNames.flatMap((role) => claimSets.slice(0, 2).map((claims) => ({ role, claims }))));
}

function announce(state: State, result?: WorldState): void {
  world = result ?? transition(world, declared, state);
  watch.begins(world);
  operator.declare(state);
  declared = state;
}

describe('nothing opens when', () => {
  it('a permissive rule moves from one object to another, and back', async () => {
    await become([object('alpha', [tenant]), object('beta', [fence])]);
    await become([object('alpha', [{ ...wide, roles: ['keeper'] }]), object('beta', [fence, tenant])]);
    await become([object('alpha', [tenant]), object('beta', [fence])]);
  });

  it('a restrictive rule moves from one object to another, and back', async () => {
    await become([object('alpha', [wide, fence]), object('beta', [tenant])]);
    await become([object('alpha', [wide]), object('beta', [tenant, fence])]);
    await become([object('alpha', [wide, fence]), object('beta', [tenant])]);
  });

  it('the restrictive rule moves to an object that is new, and its old one is restored', async () => {
    await become([object('alpha', [wide]), object('beta', [fence], { deletionPolicy: 'Restore' })]);
    await become([object('alpha', [wide]), object('gamma', [fence], { deletionPolicy: 'Restore' })]);
  });

  it('one object is exchanged for another', async () => {
    for (const name of ['alpha', 'beta', 'gamma']) await become([object(name, [tenant], { deletionPolicy: 'Restore' })]);
    await become([]);
    expect(world.orders.rowSecurity).toBe(false);
  });

  it('an object is deleted with FailClosed beside the permissive rule of another, which comes and goes', async () => {
    await become([object('alpha', [tenant], { deletionPolicy: 'FailClosed' }), object('beta', [wide])]);
    const shut: WorldState = { ...world, orders: { ...world.orders, policies: [{ owner: 'beta', rule: wide }, { owner: 'alpha', rule: closed }] } };
    await become([object('beta', [wide])], shut);
    // It stays while anything permissive is left, and gives way to the same object declared anew.
    await become([object('beta', [{ ...wide, name: 'wider' }])]);
    await become([object('alpha', [tenant]), object('beta', [{ ...wide, name: 'wider' }])]);
  });

  it('one object takes away late what another one already counts on', async () => {
    await become([object('alpha', [wide]), object('beta', [fence])]);
    announce([object('alpha', [tenant]), object('beta', [{ ...fence, name: 'other', roles: ['keeper'] }])]);
    only = ['beta'];
    await operator.converge().catch(() => undefined);
    const ready = findCondition(operator.cluster.get('RowPolicy', { namespace: 'shop', name: 'beta' })?.status.conditions, 'Ready');
    expect(ready).toMatchObject({ status: 'False', reason: 'Settling', message: expect.stringContaining('shop/alpha') });
    expect(watch.offences).toEqual([]);
    only = undefined;
    await become(declared);
  });
});
