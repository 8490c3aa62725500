// Claims of type Role, and changing the type: the session's own role is all there is, and the same tables go from one way to another.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, type Rules, startFlow } from './harness.ts';

const byClaim = (claim: string): Rules => [{ name: 'tenant', roles: ['PUBLIC'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: [claim] }] } }];

describe.each([15, 18] as const)('claims of type Role on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let flow: Flow;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await reopen({ type: 'Role' });
    await flow.admin.query(`create role acme; create role globex; create table orders (id int, tenant_id text);
      insert into orders values (1, 'acme'), (2, 'globex'), (3, 'postgres'); grant select on orders to acme, globex`);
  });
  afterAll(async () => {
    await flow?.close();
    await postgres?.stop();
  });
  const reopen = async (way: ClaimsConfiguration) => {
    await flow?.close();
    flow = await startFlow(postgres, way);
  };
  const ids = async (role: string) => (await flow.see(role, '{"role":"globex","session_user":"globex"}', 'select id from orders')).map((row) => row['id']);
  const reason = async () => (await flow.see('acme', undefined, 'select reason, accepted from rowseal.explain_claims()'))[0];

  it('knows the current role and the session user, whatever a setting says', async () => {
    await flow.converge('orders', { rules: byClaim('role') });
    expect([await ids('acme'), await ids('globex')]).toEqual([[1], [2]]);
    await flow.converge('orders', { rules: byClaim('session_user') });
    expect([await ids('acme'), await ids('globex')]).toEqual([[3], [3]]);
    expect(await reason()).toEqual({ reason: 'Accepted', accepted: true });
  });

  it('refuses every other claim, and says what to write instead', async () => {
    const refusal = await flow.planOf('orders', { rules: byClaim('tenant_id') }).then(() => undefined, (error: Error & { code: string; next: string }) => error);
    expect(refusal?.code).toBe('BadPredicate');
    expect(refusal?.next).toContain('session_user');
  });

  it('becomes Signed and back: each change of the way is a change of the policies, and never opens', async () => {
    const signed = { type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' } as const;
    await flow.converge('orders', { rules: byClaim('role') });
    await reopen(signed);
    const plan = await flow.converge('orders', { rules: byClaim('role') });
    expect(plan.steps.length).toBeGreaterThan(0);
    await createClaimsDatabase({ session: flow.session, claims: signed }).install([{ id: 'k', secret: randomBytes(32) }], never);
    expect([await ids('acme'), await reason()]).toEqual([[], { reason: 'NoToken', accepted: false }]);
    await reopen({ ...signed, bind: 'Expiry' });
    expect((await flow.converge('orders', { rules: byClaim('role') })).steps.some((step) => step.widening)).toBe(true);
    await reopen({ type: 'Role' });
    await flow.converge('orders', { rules: byClaim('role') });
    expect([await ids('acme'), await reason()]).toEqual([[1], { reason: 'Accepted', accepted: true }]);
    expect((await flow.planOf('orders', { rules: byClaim('role') })).steps).toEqual([]);
  });
});
