// The shipped admission policy on a real API server: who may approve a plan, under which name, and what the operator makes of it.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiVersion } from '../../src/model/kinds.ts';
import { goodSpecs } from '../model/objects.ts';
import { repository } from '../parts/standalone.ts';
import { until } from '../parts/until.ts';
import { useApiServer } from './harness.ts';

const k8s = useApiServer();
const approvals = (digest: string, by: string) => ['--overwrite', `rowseal.dev/approve=${digest}`, `rowseal.dev/approved-by=${by}`];
const annotate = (user: string, ...annotations: readonly string[]) => k8s.server.kubectl(['annotate', '-n', k8s.namespace, 'rowpolicy', 'orders', `--as=${user}`, ...annotations]);
const manifest = (annotations: object = {}) => JSON.stringify({ apiVersion, kind: 'RowPolicy', metadata: { name: 'orders', namespace: k8s.namespace, annotations }, spec: goodSpecs.RowPolicy });

async function declare(): Promise<void> {
  await k8s.must(['create', '-f', '-'], manifest());
  await k8s.must(['create', 'role', 'editor', '-n', k8s.namespace, '--verb=get,patch,create', '--resource=rowpolicies.rowseal.dev']);
  await k8s.must(['create', 'rolebinding', 'eve', '-n', k8s.namespace, '--role=editor', '--user=eve']);
  await k8s.must(['create', 'rolebinding', 'ann', '-n', k8s.namespace, '--clusterrole=rowseal-approver', '--user=ann']);
}

test('without the policy nobody can approve, and the operator says what is missing', async () => {
  await k8s.must(['create', '-f', '-'], manifest());
  const { cluster, signal } = await k8s.start();
  const policy = await until(() => cluster.get('RowPolicy', { namespace: k8s.namespace, name: 'orders' }), 'the policy');
  expect(await cluster.approval(policy, signal)).toEqual({ kind: 'Unavailable', why: 'there is no validatingadmissionpolicies rowseal-approval' });
});

test('with it, only who has the verb approves, and only under the own name', async () => {
  await k8s.must(['apply', '-f', join(repository, 'deploy', 'admission', 'approval.yaml')]);
  await declare();
  // The API server takes a moment to put a new policy in force. Each try asks for another plan: what already stands may be repeated by anyone.
  let tries = 0;
  await expect.poll(async () => (await annotate('eve', ...approvals(`sha256:try-${++tries}`, 'eve'))).status, { timeout: 30_000, interval: 500 }).not.toBe(0);
  await k8s.must(['annotate', '-n', k8s.namespace, 'rowpolicy', 'orders', 'rowseal.dev/approve-', 'rowseal.dev/approved-by-']);

  const refused = await annotate('eve', ...approvals('sha256:1', 'eve'));
  expect(refused.stderr).toContain('eve may not approve plans');
  const falseName = await annotate('ann', ...approvals('sha256:1', 'bob'));
  expect(falseName.stderr).toContain('must name the user who approves: ann');
  expect((await annotate('eve', 'note=x')).status).toBe(0);
  expect((await annotate('ann', ...approvals('sha256:1', 'ann'))).status).toBe(0);
  // What stands is left alone by who may not approve; moving it to another plan is approving.
  expect((await annotate('eve', '--overwrite', 'note=y')).status).toBe(0);
  expect((await annotate('eve', '--overwrite', 'rowseal.dev/approve=sha256:2')).status).not.toBe(0);
  const created = await k8s.server.kubectl(['create', '--as=eve', '-f', '-'], manifest({ 'rowseal.dev/approve': 'sha256:1', 'rowseal.dev/approved-by': 'eve' }).replace('"orders"', '"born-approved"'));
  expect(created.stderr).toContain('eve may not approve plans');

  const { cluster, signal } = await k8s.start();
  const policy = await until(() => cluster.get('RowPolicy', { namespace: k8s.namespace, name: 'orders' }), 'the policy');
  expect(await cluster.approval(policy, signal)).toEqual({ kind: 'Approved', digest: 'sha256:1', by: 'ann' });

  expect((await annotate('eve', 'rowseal.dev/approve-', 'rowseal.dev/approved-by-')).status).toBe(0);
  await until(() => cluster.get('RowPolicy', policy.metadata)?.metadata.annotations['rowseal.dev/approve'] === undefined, 'the withdrawal');
  expect(await cluster.approval(cluster.get('RowPolicy', policy.metadata) ?? policy, signal)).toEqual({ kind: 'None' });
});
