// The Kubernetes adapter on a real API server, directly and through a proxy that misbehaves.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { connectKubernetes, type KubernetesCluster, type KubernetesOptions } from '../../src/adapters/kubernetes/kubernetes-cluster.ts';
import { finalizerName } from '../../src/model/finalizer.ts';
import { apiVersion, kindDefinitions, type KindName, type Resource } from '../../src/model/kinds.ts';
import { parseResource } from '../../src/model/validate.ts';
import type { ClusterEvent } from '../../src/ports/cluster.ts';
import { goodSpecs } from '../model/objects.ts';
import { type ApiProxy, startApiProxy } from '../parts/api-proxy.ts';
import { type ControlPlane, startControlPlane } from '../parts/control-plane.ts';
import { quietLogger, type SaidLine } from '../parts/quiet-logger.ts';
import { until } from '../parts/until.ts';

let server: ControlPlane;
let proxy: ApiProxy;
let open: { readonly stop: AbortController; readonly cluster: KubernetesCluster }[] = [];
let namespace: string;
let count = 0;

beforeAll(async () => {
  server = await startControlPlane();
  await server.installCrds();
});

afterAll(() => server?.stop());

beforeEach(async () => {
  proxy = await startApiProxy(server);
  namespace = `test-${(count += 1)}`;
  await must(['create', 'namespace', namespace]);
});

afterEach(async () => {
  for (const { stop, cluster } of open) {
    stop.abort();
    await cluster.close();
  }
  open = [];
  await proxy.stop();
});

async function must(args: readonly string[], input?: string): Promise<string> {
  const { status, stdout, stderr } = await server.kubectl(args, input);
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

interface Started {
  readonly cluster: KubernetesCluster;
  readonly events: ClusterEvent[];
  readonly said: SaidLine[];
  readonly signal: AbortSignal;
}

async function start(options: Partial<KubernetesOptions> = {}): Promise<Started> {
  const stop = new AbortController();
  const events: ClusterEvent[] = [];
  const said: SaidLine[] = [];
  const cluster = await connectKubernetes({ kubeconfig: proxy.kubeconfig, logger: quietLogger(said), startDeadlineMs: 10_000, ...options }, stop.signal);
  open.push({ stop, cluster });
  await cluster.start((event) => events.push(event), stop.signal);
  return { cluster, events, said, signal: stop.signal };
}

const log = (name: string, metadata: object = {}, kind: KindName = 'AuditLog') =>
  JSON.stringify({ apiVersion, kind, metadata: { name, namespace, ...metadata }, spec: goodSpecs[kind] });

async function created(cluster: KubernetesCluster, name: string, metadata: object = {}): Promise<Resource<'AuditLog'>> {
  await must(['create', '-f', '-'], log(name, metadata));
  return until(() => cluster.get('AuditLog', { namespace, name }), name);
}

const readyStatus = (treeSize = 3) => ({
  observedGeneration: 1,
  treeSize,
  publishedAt: '2026-01-01T00:00:00Z',
  conditions: [{ type: 'Ready', status: 'True' as const, reason: 'Sealing', message: 'all is sealed', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 }],
});

const names = (cluster: KubernetesCluster) => cluster.list('AuditLog').filter(({ metadata }) => metadata.namespace === namespace).map(({ metadata }) => metadata.name).sort();
const lists = () => proxy.seen.filter(({ path, query }) => path.endsWith('/auditlogs') && !query.has('watch'));

test('long lists come in pages, and later changes by watch', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) await must(['create', '-f', '-'], log(name));
  proxy.pageSize = 2;
  const { cluster, events } = await start();
  expect(names(cluster)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(lists().length).toBeGreaterThanOrEqual(3);
  await must(['delete', '-n', namespace, 'auditlog', 'a']);
  await until(() => !names(cluster).includes('a'), 'the deletion');
  expect(events).toContainEqual({ kind: 'AuditLog', key: { namespace, name: 'a' } });
});

test('a status we write shows in kubectl get and ends kubectl wait', async () => {
  const { cluster, signal } = await start();
  await cluster.updateStatus(await created(cluster, 'log'), readyStatus(), signal);
  expect(await must(['wait', '-n', namespace, '--for=condition=Ready', 'alog/log', '--timeout=10s'])).toContain('condition met');
  const [head, row] = (await must(['get', '-n', namespace, 'rowseal', '--no-headers=false'])).split('\n');
  expect(head?.split(/\s+/).slice(0, 5)).toEqual(['NAME', 'READY', 'REASON', 'SIZE', 'PUBLISHED']);
  expect(row).toMatch(/log\s+True\s+Sealing\s+3/);
});

test('an equal status is not written, and the status of another object never', async () => {
  const { cluster, signal, events } = await start();
  const resource = await created(cluster, 'log');
  await cluster.updateStatus(resource, readyStatus(), signal);
  const patches = () => proxy.seen.filter(({ method }) => method === 'PATCH').length;
  expect(patches()).toBe(1);
  await cluster.updateStatus(resource, readyStatus(), signal);
  expect(patches()).toBe(1);
  const eventsBefore = events.length;
  await cluster.updateStatus(resource, readyStatus(4), signal);
  await until(() => cluster.get('AuditLog', resource.metadata)?.status.treeSize === 4, 'the size');
  expect(events.length).toBe(eventsBefore);

  await must(['annotate', '-n', namespace, 'alog', 'log', 'a=b']);
  await cluster.updateStatus(resource, readyStatus(5), signal);
  expect(await must(['get', '-n', namespace, 'alog', 'log', '-o', 'jsonpath={.status.treeSize}'])).toBe('5');

  // The watches lag behind, so that only the API server can tell the successor from the object we mean.
  proxy.stallWatches(true);
  await must(['delete', '-n', namespace, 'auditlog', 'log']);
  await must(['create', '-f', '-'], log('log'));
  await cluster.updateStatus(resource, readyStatus(9), signal);
  expect(await must(['get', '-n', namespace, 'alog', 'log', '-o', 'jsonpath={.status}'])).toBe('');
});

test('fields that a later status leaves out are removed', async () => {
  const { cluster, signal } = await start();
  const resource = await created(cluster, 'log');
  await cluster.updateStatus(resource, readyStatus(), signal);
  const { treeSize: _, ...less } = readyStatus();
  await cluster.updateStatus(resource, less, signal);
  expect(await must(['get', '-n', namespace, 'alog', 'log', '-o', 'jsonpath={.status.treeSize}'])).toBe('');
});

test('our finalizer comes and goes beside those of others, and lets the object end', async () => {
  const { cluster, signal } = await start();
  const resource = await created(cluster, 'log', { finalizers: ['example.com/other'] });
  const finalizers = async () => JSON.parse(await must(['get', '-n', namespace, 'alog', 'log', '-o', 'json'])).metadata.finalizers;
  await Promise.all([cluster.setFinalizer(resource, true, signal), must(['annotate', '-n', namespace, 'alog', 'log', 'a=b'])]);
  expect(await finalizers()).toEqual(['example.com/other', finalizerName]);
  await must(['delete', '-n', namespace, 'alog', 'log', '--wait=false']);
  const deleting = await until(() => {
    const seen = cluster.get('AuditLog', resource.metadata);
    return seen?.metadata.deletionTimestamp !== undefined && seen;
  }, 'the deletion');
  await cluster.setFinalizer(deleting, false, signal);
  expect(await finalizers()).toEqual(['example.com/other']);
  await must(['patch', '-n', namespace, 'alog', 'log', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  await until(() => cluster.get('AuditLog', resource.metadata) === undefined, 'the end');
  await cluster.setFinalizer(deleting, true, signal);
  expect(cluster.get('AuditLog', resource.metadata)).toBeUndefined();
});

test('a Secret is created once, watched by its name only, and its changes are events', async () => {
  const { cluster, signal, events } = await start();
  const key = { namespace, name: 'shop-admin' };
  expect(await cluster.secret(key, signal)).toBeUndefined();
  expect(await cluster.createSecret(key, { password: 'ä' }, signal)).toBe('created');
  expect(await cluster.createSecret(key, { password: 'b' }, signal)).toBe('exists');
  expect((await cluster.secret(key, signal))?.data).toEqual({ password: 'ä' });
  events.length = 0;
  await must(['patch', '-n', namespace, 'secret', 'shop-admin', '-p', '{"stringData":{"password":"c"}}']);
  await until(() => events.some(({ kind }) => kind === 'Secret'), 'the event');
  expect((await cluster.secret(key, signal))?.data).toEqual({ password: 'c' });
  await must(['delete', '-n', namespace, 'secret', 'shop-admin']);
  await until(async () => (await cluster.secret(key, signal)) === undefined, 'the deletion');
  const reads = proxy.seen.filter(({ method, path }) => method === 'GET' && path.endsWith('/secrets'));
  expect(reads.every(({ query }) => query.get('fieldSelector') === 'metadata.name=shop-admin')).toBe(true);
});

test('an Event is written once while it repeats, and labels of namespaces are read once', async () => {
  const { cluster, signal } = await start();
  const resource = await created(cluster, 'log');
  for (let round = 0; round < 5; round += 1) cluster.notify(resource, { type: 'Warning', reason: 'Drift', action: 'Observe', message: 'a policy is gone' });
  const written = await until(async () => {
    const found = await must(['get', '-n', namespace, 'events.events.k8s.io', '-o', 'jsonpath={range .items[*]}{.reason} {.regarding.name} {.note}{"\\n"}{end}']);
    return found !== '' && found;
  }, 'the Event');
  expect(written.trim()).toBe('Drift log a policy is gone');
  await must(['label', 'namespace', namespace, 'team=orders']);
  expect((await cluster.namespaceLabels(namespace, signal))['team']).toBe('orders');
  await cluster.namespaceLabels(namespace, signal);
  expect(proxy.seen.filter(({ path }) => path === `/api/v1/namespaces/${namespace}`).length).toBe(1);
  expect(await cluster.namespaceLabels('nowhere', signal)).toEqual({});
});

test('Retry-After is honoured by lists, watches and writes', async () => {
  proxy.refuseNext(1, { matching: /GET .*\/auditlogs\?limit/, statusCode: 429, retryAfterSeconds: 1 });
  const { cluster, signal } = await start();
  const [first, second] = lists();
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  const resource = await created(cluster, 'log');
  proxy.refuseNext(1, { matching: /PATCH/, statusCode: 503, retryAfterSeconds: 1 });
  await cluster.updateStatus(resource, readyStatus(), signal);
  const patches = proxy.seen.filter(({ method }) => method === 'PATCH');
  expect((patches[1]?.atMs ?? 0) - (patches[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  proxy.refuseNext(1, { matching: /GET .*\/auditlogs\?watch/, statusCode: 429, retryAfterSeconds: 1 });
  expect(proxy.cutWatches()).toBeGreaterThan(0);
  await created(cluster, 'later');
});

test('a watch that is cut inside an event resumes without a new list', async () => {
  const { cluster } = await start();
  await created(cluster, 'before');
  const before = lists().length;
  expect(proxy.cutWatches()).toBe(4);
  await created(cluster, 'after');
  expect(lists().length).toBe(before);
});

test('a watch that falls silent is given up and resumed', async () => {
  const { cluster } = await start({ watchIdleMs: 1000 });
  proxy.stallWatches(true);
  await must(['create', '-f', '-'], log('unseen'));
  proxy.stallWatches(false);
  await until(() => names(cluster).includes('unseen'), 'the object', 20_000);
});

test('history that is gone leads to a new list, in which deletions show', async () => {
  const { cluster, events } = await start();
  await created(cluster, 'goes');
  await created(cluster, 'stays');
  proxy.block(true);
  await must(['delete', '-n', namespace, 'auditlog', 'goes']);
  await must(['create', '-f', '-'], log('comes'));
  await server.restart({ compact: true });
  events.length = 0;
  const before = lists().length;
  proxy.block(false);
  await until(() => names(cluster).join() === 'comes,stays', 'the new list', 40_000);
  expect(lists().length).toBeGreaterThan(before);
  expect(events.map(({ key }) => key.name).sort()).toEqual(['comes', 'goes']);
});

test('an outage of the API server is survived', async () => {
  const { cluster, said } = await start();
  await server.stopApiServer();
  await until(() => said.some(({ level }) => level === 'warn'), 'the warning');
  await server.restart();
  await must(['create', '-f', '-'], log('after'));
  await until(() => names(cluster).includes('after'), 'the object', 40_000);
});

test('missing rights are told with verb and resource; the shipped role is enough', async () => {
  await expect(start({ kubeconfig: server.plainKubeconfig, startDeadlineMs: 1500 })).rejects.toMatchObject({ code: 'ClusterRefused' });
  await must(['create', 'clusterrole', 'only-namespaces', '--verb=get', '--resource=namespaces']);
  await must(['create', 'clusterrolebinding', 'only-namespaces', '--clusterrole=only-namespaces', '--user=plain']);
  const refused = await start({ kubeconfig: server.plainKubeconfig, startDeadlineMs: 1500 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'ClusterRefused' });
  expect(String((refused as { next?: string }).next)).toMatch(/`list` on `[a-z]+\.rowseal\.dev`/);
});

test('kinds that are not installed are told at start', async () => {
  proxy.refuseNext(1000, { matching: /\/auditlogs/, statusCode: 404 });
  const refused = await start({ startDeadlineMs: 1000 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'ClusterRefused' });
  expect(String((refused as { next?: string }).next)).toContain('crds/');
});

test('a server that is not there is ClusterUnreachable', async () => {
  proxy.block(true);
  await expect(start()).rejects.toMatchObject({ code: 'ClusterUnreachable', retryable: true });
});

test('the samples are accepted, by the API server and in standalone mode, and there is one for each kind', async () => {
  const folder = fileURLToPath(new URL('../../deploy/samples', import.meta.url));
  const kinds: string[] = [];
  await must(['create', 'namespace', 'shop']);
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    await must(['apply', '--dry-run=server', '-f', '-'], text);
    kinds.push(parseResource(parse(text)).kind);
  }
  expect(kinds.sort()).toEqual(Object.keys(kindDefinitions).sort());
});
