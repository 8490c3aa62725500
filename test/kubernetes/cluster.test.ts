// The Kubernetes adapter on a real API server: what it reads, writes and says.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { finalizerName } from '../../src/model/finalizer.ts';
import { kindDefinitions } from '../../src/model/kinds.ts';
import { parseResource } from '../../src/model/validate.ts';
import { goodSpecs } from '../model/objects.ts';
import { until } from '../parts/until.ts';
import { readyStatus, useApiServer } from './harness.ts';

const k8s = useApiServer();

test('long lists come in pages, and later changes by watch', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) await k8s.must(['create', '-f', '-'], k8s.manifest(name));
  k8s.proxy.pageSize = 2;
  const { cluster, events } = await k8s.start();
  expect(k8s.names(cluster)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(k8s.lists().length).toBeGreaterThanOrEqual(3);
  await k8s.must(['delete', '-n', k8s.namespace, 'auditlog', 'a']);
  await until(() => !k8s.names(cluster).includes('a'), 'the deletion');
  expect(events).toContainEqual({ kind: 'AuditLog', key: { namespace: k8s.namespace, name: 'a' } });
});

test('a status we write shows in kubectl get and ends kubectl wait', async () => {
  const { cluster, signal } = await k8s.start();
  await cluster.updateStatus(await k8s.created(cluster, 'log'), readyStatus(), signal);
  expect(await k8s.must(['wait', '-n', k8s.namespace, '--for=condition=Ready', 'alog/log', '--timeout=10s'])).toContain('condition met');
  const [head, row] = (await k8s.must(['get', '-n', k8s.namespace, 'rowseal', '--no-headers=false'])).split('\n');
  expect(head?.split(/\s+/).slice(0, 5)).toEqual(['NAME', 'READY', 'REASON', 'SIZE', 'PUBLISHED']);
  expect(row).toMatch(/log\s+True\s+Sealing\s+3/);
});

test('an equal status is not written, and the status of another object never', async () => {
  const { cluster, signal, events } = await k8s.start();
  const resource = await k8s.created(cluster, 'log');
  await cluster.updateStatus(resource, readyStatus(), signal);
  const patches = () => k8s.proxy.seen.filter(({ method }) => method === 'PATCH').length;
  expect(patches()).toBe(1);
  await cluster.updateStatus(resource, readyStatus(), signal);
  expect(patches()).toBe(1);
  const eventsBefore = events.length;
  await cluster.updateStatus(resource, readyStatus(4), signal);
  await until(() => cluster.get('AuditLog', resource.metadata)?.status.treeSize === 4, 'the size');
  expect(events.length).toBe(eventsBefore);

  await k8s.must(['annotate', '-n', k8s.namespace, 'alog', 'log', 'a=b']);
  await cluster.updateStatus(resource, readyStatus(5), signal);
  expect(await k8s.must(['get', '-n', k8s.namespace, 'alog', 'log', '-o', 'jsonpath={.status.treeSize}'])).toBe('5');

  // The watches lag behind, so that only the API server can tell the successor from the object we mean.
  k8s.proxy.stallWatches(true);
  await k8s.must(['delete', '-n', k8s.namespace, 'auditlog', 'log']);
  await k8s.must(['create', '-f', '-'], k8s.manifest('log'));
  await cluster.updateStatus(resource, readyStatus(9), signal);
  expect(await k8s.must(['get', '-n', k8s.namespace, 'alog', 'log', '-o', 'jsonpath={.status}'])).toBe('');
});

test('fields that a later status leaves out are removed', async () => {
  const { cluster, signal } = await k8s.start();
  const resource = await k8s.created(cluster, 'log');
  await cluster.updateStatus(resource, readyStatus(), signal);
  const { treeSize: _, ...less } = readyStatus();
  await cluster.updateStatus(resource, less, signal);
  expect(await k8s.must(['get', '-n', k8s.namespace, 'alog', 'log', '-o', 'jsonpath={.status.treeSize}'])).toBe('');
});

test('our finalizer comes and goes beside those of others, and lets the object end', async () => {
  const { cluster, signal } = await k8s.start();
  const resource = await k8s.created(cluster, 'log', { finalizers: ['example.com/other'] });
  const finalizers = async () => JSON.parse(await k8s.must(['get', '-n', k8s.namespace, 'alog', 'log', '-o', 'json'])).metadata.finalizers;
  await Promise.all([cluster.setFinalizer(resource, true, signal), k8s.must(['annotate', '-n', k8s.namespace, 'alog', 'log', 'a=b'])]);
  expect(await finalizers()).toEqual(['example.com/other', finalizerName]);
  await k8s.must(['delete', '-n', k8s.namespace, 'alog', 'log', '--wait=false']);
  const deleting = await until(() => {
    const seen = cluster.get('AuditLog', resource.metadata);
    return seen?.metadata.deletionTimestamp !== undefined && seen;
  }, 'the deletion');
  await cluster.setFinalizer(deleting, false, signal);
  expect(await finalizers()).toEqual(['example.com/other']);
  await k8s.must(['patch', '-n', k8s.namespace, 'alog', 'log', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  await until(() => cluster.get('AuditLog', resource.metadata) === undefined, 'the end');
  await cluster.setFinalizer(deleting, true, signal);
  expect(cluster.get('AuditLog', resource.metadata)).toBeUndefined();
});

test('a Secret is created once, watched by its name only, and its changes are events', async () => {
  const { cluster, signal, events } = await k8s.start();
  const key = { namespace: k8s.namespace, name: 'shop-admin' };
  expect(await cluster.secret(key, signal)).toBeUndefined();
  expect(await cluster.createSecret(key, { password: 'ä' }, signal)).toBe('created');
  expect(await cluster.createSecret(key, { password: 'b' }, signal)).toBe('exists');
  expect((await cluster.secret(key, signal))?.data).toEqual({ password: 'ä' });
  events.length = 0;
  await k8s.must(['patch', '-n', k8s.namespace, 'secret', 'shop-admin', '-p', '{"stringData":{"password":"c"}}']);
  await until(() => events.some(({ kind }) => kind === 'Secret'), 'the event');
  expect((await cluster.secret(key, signal))?.data).toEqual({ password: 'c' });
  await k8s.must(['delete', '-n', k8s.namespace, 'secret', 'shop-admin']);
  await until(async () => (await cluster.secret(key, signal)) === undefined, 'the deletion');
  const reads = k8s.proxy.seen.filter(({ method, path }) => method === 'GET' && path.endsWith('/secrets'));
  expect(reads.every(({ query }) => query.get('fieldSelector') === 'metadata.name=shop-admin')).toBe(true);
});

test('an Event is written once while it repeats, and labels of namespaces are read once', async () => {
  const { cluster, signal } = await k8s.start();
  const resource = await k8s.created(cluster, 'log');
  for (let round = 0; round < 5; round += 1) cluster.notify(resource, { type: 'Warning', reason: 'Drift', action: 'Observe', message: 'a policy is gone' });
  const written = await until(async () => {
    const found = await k8s.must(['get', '-n', k8s.namespace, 'events.events.k8s.io', '-o', 'jsonpath={range .items[*]}{.reason} {.regarding.name} {.note}{"\\n"}{end}']);
    return found !== '' && found;
  }, 'the Event');
  expect(written.trim()).toBe('Drift log a policy is gone');
  await k8s.must(['label', 'namespace', k8s.namespace, 'team=orders']);
  expect((await cluster.namespaceLabels(k8s.namespace, signal))['team']).toBe('orders');
  await cluster.namespaceLabels(k8s.namespace, signal);
  expect(k8s.proxy.seen.filter(({ path }) => path === `/api/v1/namespaces/${k8s.namespace}`).length).toBe(1);
  expect(await cluster.namespaceLabels('nowhere', signal)).toEqual({});
});

test('the shipped roles are enough for everything we do', async () => {
  await k8s.must(['apply', '-f', fileURLToPath(new URL('../../deploy/rbac.yaml', import.meta.url))]);
  await k8s.must(['create', 'clusterrolebinding', 'plain-rowseal', '--clusterrole=rowseal', '--user=plain']);
  await k8s.must(['create', 'rolebinding', '-n', k8s.namespace, 'plain-rowseal-secrets', '--clusterrole=rowseal-secrets', '--user=plain']);
  const { cluster, signal, said } = await k8s.start({ kubeconfig: k8s.server.plainKubeconfig });
  const resource = await k8s.created(cluster, 'log');
  await cluster.setFinalizer(resource, true, signal);
  await cluster.updateStatus(resource, readyStatus(), signal);
  expect(await cluster.createSecret({ namespace: k8s.namespace, name: 's' }, { a: 'b' }, signal)).toBe('created');
  expect((await cluster.secret({ namespace: k8s.namespace, name: 's' }, signal))?.data).toEqual({ a: 'b' });
  cluster.notify(resource, { type: 'Normal', reason: 'Sealed', action: 'Seal', message: 'done' });
  await until(async () => (await k8s.must(['get', '-n', k8s.namespace, 'events.events.k8s.io', '-o', 'name'])) !== '', 'the Event');
  await cluster.setFinalizer(await until(() => cluster.get('AuditLog', resource.metadata), 'the object'), false, signal);
  await expect(cluster.secret({ namespace: 'kube-system', name: 's' }, signal)).rejects.toMatchObject({ code: 'ClusterRefused' });
  expect(said.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual(['a Secret cannot be followed']);
});

test('an object that only laxer CRDs let in says so in its status', async () => {
  const lax = JSON.parse(await k8s.must(['get', 'crd', 'auditlogs.rowseal.dev', '-o', 'json']));
  delete lax.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.origin.pattern;
  await k8s.must(['replace', '-f', '-'], JSON.stringify(lax));
  try {
    const { cluster } = await k8s.start();
    const bad = JSON.stringify({ ...JSON.parse(k8s.manifest('bad')), spec: { ...goodSpecs.AuditLog, origin: 'not an origin' } });
    await until(async () => (await k8s.server.kubectl(['create', '-f', '-'], bad)).status === 0, 'the laxer schema to be served');
    await k8s.must(['wait', '-n', k8s.namespace, '--for=condition=Stalled', 'alog/bad', '--timeout=10s']);
    expect(await k8s.must(['get', '-n', k8s.namespace, 'alog', 'bad', '-o', 'jsonpath={.status.conditions[0].reason}'])).toBe('BadManifest');
    expect(cluster.get('AuditLog', { namespace: k8s.namespace, name: 'bad' })).toBeUndefined();
  } finally {
    await k8s.must(['delete', '-n', k8s.namespace, 'alog', 'bad', '--ignore-not-found']);
    await k8s.server.installCrds();
  }
});

test('the samples are accepted, by the API server and in standalone mode, and there is one for each kind', async () => {
  const folder = fileURLToPath(new URL('../../deploy/samples', import.meta.url));
  const kinds: string[] = [];
  await k8s.must(['create', 'namespace', 'shop']);
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    await k8s.must(['apply', '--dry-run=server', '-f', '-'], text);
    kinds.push(parseResource(parse(text)).kind);
  }
  expect(kinds.sort()).toEqual(Object.keys(kindDefinitions).sort());
});
