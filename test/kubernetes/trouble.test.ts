// The Kubernetes adapter in trouble: refusals, cut and silent watches, lost history, outages, missing rights and kinds.
import { expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { readyStatus, useApiServer } from './harness.ts';

const k8s = useApiServer();

test('Retry-After is honoured by lists, watches and writes', async () => {
  k8s.proxy.refuseNext(1, { matching: /GET .*\/auditlogs\?limit/, statusCode: 429, retryAfterSeconds: 1 });
  const { cluster, signal } = await k8s.start();
  const [first, second] = k8s.lists();
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  const resource = await k8s.created(cluster, 'log');
  k8s.proxy.refuseNext(1, { matching: /PATCH/, statusCode: 503, retryAfterSeconds: 1 });
  await cluster.updateStatus(resource, readyStatus(), signal);
  const patches = k8s.proxy.seen.filter(({ method }) => method === 'PATCH');
  expect((patches[1]?.atMs ?? 0) - (patches[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  k8s.proxy.refuseNext(1, { matching: /GET .*\/auditlogs\?watch/, statusCode: 429, retryAfterSeconds: 1 });
  expect(k8s.proxy.cutWatches()).toBeGreaterThan(0);
  await k8s.created(cluster, 'later');
});

test('a watch that is cut inside an event resumes without a new list', async () => {
  const { cluster } = await k8s.start();
  await k8s.created(cluster, 'before');
  const before = k8s.lists().length;
  expect(k8s.proxy.cutWatches()).toBe(4);
  await k8s.created(cluster, 'after');
  expect(k8s.lists().length).toBe(before);
});

test('a watch that falls silent is given up and resumed', async () => {
  const { cluster } = await k8s.start({ watchIdleMs: 1000 });
  k8s.proxy.stallWatches(true);
  await k8s.must(['create', '-f', '-'], k8s.manifest('unseen'));
  k8s.proxy.stallWatches(false);
  await until(() => k8s.names(cluster).includes('unseen'), 'the object', 20_000);
});

test('history that is gone leads to a new list, in which deletions show', async () => {
  const { cluster, events } = await k8s.start();
  await k8s.created(cluster, 'goes');
  await k8s.created(cluster, 'stays');
  k8s.proxy.block(true);
  await k8s.must(['delete', '-n', k8s.namespace, 'auditlog', 'goes']);
  await k8s.must(['create', '-f', '-'], k8s.manifest('comes'));
  await k8s.server.restart({ compact: true });
  events.length = 0;
  const before = k8s.lists().length;
  k8s.proxy.block(false);
  await until(() => k8s.names(cluster).join() === 'comes,stays', 'the new list', 40_000);
  expect(k8s.lists().length).toBeGreaterThan(before);
  expect(events.map(({ key }) => key.name).sort()).toEqual(['comes', 'goes']);
});

test('an outage of the API server is survived', async () => {
  const { cluster, said } = await k8s.start();
  await k8s.server.stopApiServer();
  await until(() => said.some(({ level }) => level === 'warn'), 'the warning');
  await k8s.server.restart();
  await k8s.must(['create', '-f', '-'], k8s.manifest('after'));
  await until(() => k8s.names(cluster).includes('after'), 'the object', 40_000);
});

test('missing rights are told with verb and resource', async () => {
  await expect(k8s.start({ kubeconfig: k8s.server.plainKubeconfig, startDeadlineMs: 1500 })).rejects.toMatchObject({ code: 'ClusterRefused' });
  await k8s.must(['create', 'clusterrole', 'only-namespaces', '--verb=get', '--resource=namespaces']);
  await k8s.must(['create', 'clusterrolebinding', 'only-namespaces', '--clusterrole=only-namespaces', '--user=plain']);
  const refused = await k8s.start({ kubeconfig: k8s.server.plainKubeconfig, startDeadlineMs: 1500 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'ClusterRefused' });
  expect(String((refused as { next?: string }).next)).toMatch(/`list` on `[a-z]+\.rowseal\.dev`/);
});

test('kinds that are not installed are told at start', async () => {
  k8s.proxy.refuseNext(1000, { matching: /\/auditlogs/, statusCode: 404 });
  const refused = await k8s.start({ startDeadlineMs: 1000 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'ClusterRefused' });
  expect(String((refused as { next?: string }).next)).toContain('crds/');
});

test('a server that is not there is ClusterUnreachable', async () => {
  k8s.proxy.block(true);
  await expect(k8s.start()).rejects.toMatchObject({ code: 'ClusterUnreachable', retryable: true });
});
