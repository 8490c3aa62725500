// What Rowseal itself makes of RowPolicies stands up to its own lints.
import { expect, test } from 'vitest';
import { lintDatabase } from '../../src/cli/lint-database.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import { startPostgres } from '../parts/postgres.ts';
import { never, type Rules, startFlow } from '../postgres-policy/harness.ts';

const tables = `create role owner; create role app login; grant create on schema public to owner; set role owner;
  create table orders (id int primary key, tenant_id uuid not null, code varchar(4) not null, team text not null);
  create table members (user_id text not null, team text not null, primary key (user_id, team));
  create index on orders (tenant_id); create index on orders (code); create index on orders (team);
  grant select, insert, update, delete on orders to app; grant select on members to app; reset role`;
const ownMemberships: Rules = [{ name: 'own', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } }];
const member = { table: 'members', column: 'team', where: { all: [{ column: 'user_id', op: 'Eq' as const, claim: ['sub'] }] } };
const orders: Rules = [
  { name: 'tenant', as: 'Restrictive', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } },
  { name: 'team', roles: ['app'], commands: ['All'], using: { any: [{ all: [{ column: 'team', member }] }, { all: [{ column: 'code', op: 'Eq', claim: ['code'] }] }] } },
];

/** Lints, below a note that every database with claims gets. */
async function found(claims: ClaimsConfiguration): Promise<readonly string[]> {
  const postgres = await startPostgres();
  try {
    const flow = await startFlow(postgres, claims);
    try {
      await flow.admin.query(tables);
      await flow.converge('members', { target: { schema: 'public', tables: ['members'] }, rules: ownMemberships });
      await flow.converge('orders', { rules: orders }, [{ schema: 'public', table: 'members' }]);
    } finally {
      await flow.close();
    }
    const target = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' }, claims } as const;
    const { findings } = await lintDatabase(target, { select: (all) => ({ findings: all, allowed: [] }), witnesses: false }, never);
    return findings.map(({ severity, lint, object }) => `${severity} ${lint}: ${object.replace(/member_[0-9a-f]{24}/, 'member_…')}`);
  } finally {
    await postgres.stop();
  }
}

const always = ['info definer-function: function rowseal.member_…(text, jsonb)', 'info planner-estimates: database', 'info unique-oracle: index orders_pkey on public.orders'];

test('claims in a setting', async () => {
  expect(await found({ type: 'Setting', setting: 'request.jwt.claims' })).toEqual([...always, 'info unsigned-claims: setting request.jwt.claims']);
});

test('signed claims', async () => {
  expect(await found({ type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' })).toEqual(always);
});
