// What AuditPolicies declare together: the stricter treatment of a column, keys that are never overwritten, reads where they can be had.
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../src/model/kinds.ts';
import type { Cluster } from '../../src/ports/cluster.ts';
import { auditSettings } from '../../src/reconcile/audit-settings.ts';
import { hashKeysOf } from '../../src/reconcile/hash-keys.ts';
import { readsCondition } from '../../src/reconcile/reads-condition.ts';
import { RowsealError } from '../../src/model/errors.ts';
import { createMemoryCluster } from './memory-cluster.ts';

type Columns = NonNullable<Resource<'AuditPolicy'>['spec']['tables'][number]['columns']>;
const policy = (name: string, columns: Columns | undefined, more: object = {}): Resource<'AuditPolicy'> => ({
  kind: 'AuditPolicy',
  metadata: { namespace: 'shop', name, uid: name, resourceVersion: '1', generation: 1, finalizers: [], annotations: {} },
  spec: { databaseRef: { name: 'db' }, logRef: { name: 'log' }, tables: [{ name: 't', schema: 'public', tables: ['t'], ...(columns === undefined ? {} : { columns }) }], ...more },
  status: {},
});
const key = (id: string) => ({ id, key: Buffer.alloc(32, id) });

describe('columns of several policies', () => {
  it('get the stricter treatment, and one key, in whatever order the policies come', () => {
    const policies = [policy('a', { hash: ['email', 'card'], redact: ['note'] }), policy('b', { hash: ['email', 'note'], omit: ['card'] }), policy('c', undefined)];
    const hashKeys = new Map([['shop/a', key('a')], ['shop/b', key('b')]]);
    const settings = auditSettings(policies, { hashKeys });
    expect(settings.tables[0]?.columns).toEqual([{ column: 'card', mode: 'omit' }, { column: 'email', mode: 'hash', keyId: 'a' }, { column: 'note', mode: 'redact' }]);
    expect(auditSettings(policies.toReversed(), { hashKeys }).tables).toEqual(settings.tables);
    expect(JSON.stringify(settings)).not.toContain(Buffer.alloc(32, 'a').toString('base64'));
  });

  it('are redacted rather than let out where a key is missing', () => {
    expect(auditSettings([policy('a', { hash: ['email'] })]).tables[0]?.columns).toEqual([{ column: 'email', mode: 'redact' }]);
  });
});

describe('hash keys', () => {
  const secrets = (present: Map<string, Record<string, string>>, before: () => void = () => undefined): Cluster => ({
    ...createMemoryCluster(),
    secret: ({ namespace, name }) => {
      const data = present.get(`${namespace}/${name}`);
      return Promise.resolve(data === undefined ? undefined : { data, annotations: {}, resourceVersion: '1' });
    },
    createSecret: ({ namespace, name }, data) => {
      before();
      if (present.has(`${namespace}/${name}`)) return Promise.resolve('exists' as const);
      present.set(`${namespace}/${name}`, data);
      return Promise.resolve('created' as const);
    },
  });
  let byte = 0;
  const randomness = { bytes: (length: number) => Buffer.alloc(length, ++byte) };
  const { signal } = new AbortController();

  it('are made when absent, read afterwards, and differ by policy', async () => {
    const present = new Map<string, Record<string, string>>();
    const policies = [policy('a', { hash: ['x'] }), policy('b', { hash: ['x'] }), policy('c', { omit: ['x'] })];
    const first = await hashKeysOf(policies, { cluster: secrets(present), randomness, signal });
    const second = await hashKeysOf(policies, { cluster: secrets(present), randomness, signal });
    expect([...present.keys()]).toEqual(['shop/a-hash-key', 'shop/b-hash-key']);
    expect(second).toEqual(first);
    expect(first.get('shop/a')?.id).not.toBe(first.get('shop/b')?.id);
  });

  it('are those of whoever stored one first, and never replaced by another when unreadable', async () => {
    const theirs = Buffer.alloc(32, 9).toString('base64');
    const present = new Map<string, Record<string, string>>();
    const raced = await hashKeysOf([policy('a', { hash: ['x'] })], { cluster: secrets(present, () => present.set('shop/a-hash-key', { 'hash.key': theirs })), randomness, signal });
    expect(Buffer.from(raced.get('shop/a')?.key ?? []).toString('base64')).toBe(theirs);
    present.set('shop/a-hash-key', { 'hash.key': 'c2hvcnQ=' });
    const refused = await hashKeysOf([policy('a', { hash: ['x'] })], { cluster: secrets(present), randomness, signal }).catch((error: unknown) => error);
    expect(refused instanceof RowsealError && refused.code).toBe('BadSecret');
    expect(present.get('shop/a-hash-key')).toEqual({ 'hash.key': 'c2hvcnQ=' });
  });
});

describe('reads', () => {
  const serverLog = { folder: '/var/log/postgresql', format: 'jsonlog' as const };
  it('are taken where one policy asks and the connection says where; otherwise the status says that they are not', () => {
    const asking = policy('a', undefined, { reads: {} });
    expect(auditSettings([asking, policy('b', undefined)], { serverLog }).reads).toEqual({ ...serverLog, statements: 'Omit' });
    expect(auditSettings([policy('b', undefined)], { serverLog }).reads).toBeUndefined();
    expect(auditSettings([asking, policy('b', undefined, { reads: { statements: 'Record' } })], { serverLog }).reads?.statements).toBe('Record');
    const reasons = [readsCondition(policy('b', undefined).spec, undefined), readsCondition(asking.spec, undefined), readsCondition(asking.spec, { problem: new RowsealError('ServerLogUnreachable', 'x') }), readsCondition(asking.spec, {})];
    expect(reasons.map(({ status, reason }) => `${status} ${reason}`)).toEqual(['False NotAskedFor', 'False NoServerLog', 'False ServerLogUnreachable', 'True Following']);
  });
});
