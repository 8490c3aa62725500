// Standalone mode on a real folder: what the files declare, what is remembered over restarts, and what bad files do not break.
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { openManifests, type ManifestCluster } from '../../src/adapters/manifests/manifest-cluster.ts';
import { readManifests } from '../../src/adapters/manifests/read-manifests.ts';
import { findCondition } from '../../src/model/condition.ts';
import { RowsealError } from '../../src/model/errors.ts';
import { apiVersion, type KindName, type Resource } from '../../src/model/kinds.ts';
import type { ClusterEvent } from '../../src/ports/cluster.ts';
import { goodSpecs } from '../model/objects.ts';
import { quietLogger, type SaidLine } from '../parts/quiet-logger.ts';
import { until } from '../parts/until.ts';

let folder: string;
let stop: AbortController;
let events: ClusterEvent[];
let said: SaidLine[];
const orders = { namespace: 'shop', name: 'orders' };
const { signal } = new AbortController();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-manifests-'));
});

afterEach(() => {
  stop?.abort();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<ManifestCluster> {
  stop?.abort();
  stop = new AbortController();
  events = [];
  said = [];
  const cluster = await openManifests({ path: folder, logger: quietLogger(said), pollMs: 50, settleMs: 60 });
  await cluster.start((event) => events.push(event), stop.signal);
  return cluster;
}

function policy(change: object = {}, metadata: object = {}): object {
  return { apiVersion, kind: 'RowPolicy', metadata: { ...orders, ...metadata }, spec: { ...goodSpecs.RowPolicy, ...change } };
}

function write(name: string, ...documents: object[]): void {
  writeFileSync(join(folder, name), documents.map((document) => stringify(document)).join('---\n'));
}

function writeWhole(name: string, ...documents: object[]): void {
  write(`.${name}.new`, ...documents);
  renameSync(join(folder, `.${name}.new`), join(folder, name));
}

function ready(cluster: ManifestCluster): Resource<'RowPolicy'> {
  const resource = cluster.get('RowPolicy', orders);
  if (resource === undefined) throw new Error('RowPolicy shop/orders is not there');
  return resource;
}

async function setReady(cluster: ManifestCluster, status: 'True' | 'False' = 'True'): Promise<void> {
  const condition = { type: 'Ready', status, reason: 'Applied', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
  await cluster.updateStatus(ready(cluster), { observedGeneration: 1, conditions: [condition] }, signal);
}

const statusFile = (kind: KindName, key: { namespace: string; name: string }) => join(folder, '.rowseal', 'status', `${kind}.${key.namespace}.${key.name}.yaml`);

test('several documents, lists, JSON, Secrets and other kinds are read, with default as the namespace', async () => {
  write('a.yaml', policy(), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop-admin' }, data: { password: Buffer.from('käse').toString('base64') }, stringData: { user: 'app' } });
  write('b.yml', { apiVersion: 'v1', kind: 'List', items: [{ ...policy({}, { name: 'second' }) }] });
  writeFileSync(join(folder, 'c.json'), JSON.stringify({ apiVersion, kind: 'AuditLog', metadata: { name: 'log' }, spec: goodSpecs.AuditLog }));
  write('d.yaml', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'other' } }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'a' } } });
  writeFileSync(join(folder, 'e.txt'), 'not: [a manifest');
  const cluster = await start();
  expect(cluster.list('RowPolicy').map(({ metadata }) => metadata.name).sort()).toEqual(['orders', 'second']);
  expect(cluster.get('AuditLog', { namespace: 'default', name: 'log' })?.spec.origin).toBe(goodSpecs.AuditLog['origin']);
  expect((await cluster.secret({ namespace: 'default', name: 'shop-admin' }, signal))?.data).toEqual({ password: 'käse', user: 'app' });
  expect(await cluster.namespaceLabels('shop', signal)).toEqual({ team: 'a', 'kubernetes.io/metadata.name': 'shop' });
  expect(said.some(({ fields }) => JSON.stringify(fields).includes('ConfigMap'))).toBe(true);
  expect(cluster.problems()).toEqual([]);
});

test('identity and status survive a restart; generation grows only with the spec', async () => {
  write('a.yaml', policy());
  let cluster = await start();
  const { uid } = ready(cluster).metadata;
  expect(ready(cluster).metadata.generation).toBe(1);
  await setReady(cluster);
  expect(parse(readFileSync(statusFile('RowPolicy', orders), 'utf8')).status.conditions[0].reason).toBe('Applied');
  const clusterUid = cluster.uid;

  cluster = await start();
  expect(cluster.uid).toBe(clusterUid);
  expect(ready(cluster).metadata.uid).toBe(uid);
  expect(findCondition(ready(cluster).status.conditions, 'Ready')?.status).toBe('True');

  write('a.yaml', policy({}, { annotations: { note: 'x' } }));
  await until(() => ready(cluster).metadata.annotations['note'] === 'x', 'the annotation');
  expect(ready(cluster).metadata.generation).toBe(1);
  write('a.yaml', policy({ mode: 'Plan' }));
  await until(() => ready(cluster).metadata.generation === 2, 'the new generation');
  expect(ready(cluster).metadata.uid).toBe(uid);
  expect(events).toContainEqual({ kind: 'RowPolicy', key: orders });
});

test('an equal status is not written again', async () => {
  write('a.yaml', policy());
  const cluster = await start();
  await setReady(cluster);
  const { ino } = statSync(statusFile('RowPolicy', orders));
  const version = ready(cluster).metadata.resourceVersion;
  await setReady(cluster);
  expect(statSync(statusFile('RowPolicy', orders)).ino).toBe(ino);
  expect(ready(cluster).metadata.resourceVersion).toBe(version);
});

test('a refused manifest keeps the last good spec, says so in the status, and lets the others go on', async () => {
  write('a.yaml', policy());
  write('b.yaml', policy({}, { name: 'other' }));
  const cluster = await start();
  await setReady(cluster);
  write('a.yaml', policy({ mode: 'Enforced' }));
  write('b.yaml', policy({ mode: 'Plan' }, { name: 'other' }));
  await until(() => findCondition(ready(cluster).status.conditions, 'Ready')?.reason === 'BadManifest', 'the condition');
  expect(ready(cluster).metadata.generation).toBe(1);
  expect(ready(cluster).spec.mode).toBeUndefined();
  expect(cluster.problems().map(({ error }) => error.code)).toEqual(['BadManifest']);
  await until(() => cluster.get('RowPolicy', { namespace: 'shop', name: 'other' })?.spec.mode === 'Plan', 'the other object');

  await setReady(cluster);
  expect(findCondition(ready(cluster).status.conditions, 'Ready')?.reason).toBe('BadManifest');
  expect(findCondition(ready(cluster).status.conditions, 'Stalled')?.status).toBe('True');

  events.length = 0;
  write('a.yaml', policy());
  await until(() => cluster.problems().length === 0 && events.some(({ key }) => key.name === 'orders'), 'the mended manifest');
  expect(findCondition(ready(cluster).status.conditions, 'Stalled')).toBeUndefined();
});

test('an object that never was good has a status file that says why', async () => {
  write('a.yaml', policy({ rules: [{}] }));
  const cluster = await start();
  expect(cluster.list('RowPolicy')).toEqual([]);
  expect(parse(readFileSync(statusFile('RowPolicy', orders), 'utf8')).status.conditions[0].reason).toBe('BadManifest');
});

test('a file that is no YAML keeps what it last declared, over a restart too', async () => {
  write('a.yaml', policy());
  let cluster = await start();
  const { uid } = ready(cluster).metadata;
  appendFileSync(join(folder, 'a.yaml'), 'spec: {unclosed: [password: hunter2\n');
  await until(() => cluster.problems().length === 1, 'the problem');
  expect(ready(cluster).metadata.uid).toBe(uid);
  expect(cluster.problems()[0]?.error.describe()).not.toContain('hunter2');
  cluster = await start();
  expect(ready(cluster).metadata.uid).toBe(uid);
  expect(findCondition(ready(cluster).status.conditions, 'Ready')?.reason).toBe('BadManifest');
});

test('a file that is emptied and written again, or removed and put back, loses nothing', async () => {
  write('a.yaml', policy());
  const cluster = await start();
  const { uid } = ready(cluster).metadata;
  for (let round = 0; round < 20; round += 1) {
    if (round % 2 === 0) writeFileSync(join(folder, 'a.yaml'), '');
    else unlinkSync(join(folder, 'a.yaml'));
    await new Promise((resolve) => setTimeout(resolve, 15));
    write('a.yaml', policy());
  }
  await until(() => cluster.problems().length === 0, 'the file to settle');
  expect(ready(cluster).metadata.uid).toBe(uid);
});

test('what may not change is refused, and one object in two files is refused', async () => {
  write('a.yaml', policy());
  const cluster = await start();
  write('a.yaml', policy({ databaseRef: { name: 'other' } }));
  await until(() => cluster.problems().length === 1, 'the refusal');
  expect(ready(cluster).spec.databaseRef.name).toBe('shop');
  write('a.yaml', policy());
  await until(() => cluster.problems().length === 0, 'the mended manifest');
  write('z.yaml', policy({ mode: 'Plan' }));
  await until(() => cluster.problems().length === 1, 'the duplicate');
  expect(ready(cluster).spec.mode).toBeUndefined();
});

test('an object moves between files without being deleted', async () => {
  write('a.yaml', policy());
  const cluster = await start();
  const { uid } = ready(cluster).metadata;
  writeWhole('b.yaml', policy());
  unlinkSync(join(folder, 'a.yaml'));
  await until(() => readFileSync(join(folder, '.rowseal', 'objects', 'RowPolicy.shop.orders.json'), 'utf8').includes('b.yaml'), 'the new file');
  expect(ready(cluster).metadata.uid).toBe(uid);
});

test('a removed manifest is a deletion that waits for its finalizer, over a restart too', async () => {
  write('a.yaml', policy());
  let cluster = await start();
  const { uid } = ready(cluster).metadata;
  await cluster.setFinalizer(ready(cluster), true, signal);
  unlinkSync(join(folder, 'a.yaml'));
  await until(() => ready(cluster).metadata.deletionTimestamp !== undefined, 'the deletion');
  cluster = await start();
  expect(ready(cluster).metadata.deletionTimestamp).toBeDefined();
  write('a.yaml', policy());
  await until(() => cluster.problems().length === 1, 'the refusal of a manifest that came back');
  await cluster.setFinalizer(ready(cluster), false, signal);
  await until(() => cluster.get('RowPolicy', orders)?.metadata.uid !== uid && cluster.get('RowPolicy', orders), 'the new object');
  expect(ready(cluster).metadata.generation).toBe(1);
  unlinkSync(join(folder, 'a.yaml'));
  await until(() => cluster.get('RowPolicy', orders) === undefined, 'the end of an object without finalizer');
  expect(existsSync(statusFile('RowPolicy', orders))).toBe(false);
});

test('a generated Secret is never overwritten and only its owner may read it', async () => {
  const cluster = await start();
  const key = { namespace: 'shop', name: 'shop-log-key' };
  expect(await cluster.createSecret(key, { 'signer.key': 'one' }, signal)).toBe('created');
  expect(await cluster.createSecret(key, { 'signer.key': 'two' }, signal)).toBe('exists');
  expect((await cluster.secret(key, signal))?.data).toEqual({ 'signer.key': 'one' });
  const secrets = join(folder, '.rowseal', 'secrets');
  expect(statSync(secrets).mode & 0o777).toBe(0o700);
  expect(statSync(join(secrets, readdirSync(secrets)[0] ?? '')).mode & 0o777).toBe(0o600);
  await expect(cluster.createSecret({ namespace: '..', name: '../escape' }, {}, signal)).rejects.toMatchObject({ code: 'BadReference' });
});

test('a changed Secret is an event', async () => {
  const secret = (password: string) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'shop' }, stringData: { password } });
  write('s.yaml', secret('a'));
  const cluster = await start();
  events.length = 0;
  write('s.yaml', secret('b'));
  await until(() => events.length > 0, 'the event');
  expect(events).toEqual([{ kind: 'Secret', key: { namespace: 'shop', name: 's' } }]);
  expect((await cluster.secret({ namespace: 'shop', name: 's' }, signal))?.data['password']).toBe('b');
});

test('events are written once while they repeat', async () => {
  write('a.yaml', policy());
  const cluster = await start();
  for (let round = 0; round < 3; round += 1) cluster.notify(ready(cluster), { type: 'Warning', reason: 'Drift', action: 'Observe', message: 'a policy is gone' });
  const lines = readFileSync(join(folder, '.rowseal', 'events.jsonl'), 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).reason)).toEqual(['Drift']);
});

test('a wrong path is BadUsage, and a one-shot reading reports all problems', async () => {
  await expect(openManifests({ path: join(folder, 'nowhere'), logger: quietLogger() })).rejects.toBeInstanceOf(RowsealError);
  mkdirSync(join(folder, 'deep'));
  write('deep/a.yaml', policy());
  write('b.yaml', policy({ mode: 'x' }, { name: 'bad' }));
  writeFileSync(join(folder, 'c.yaml'), 'a: [');
  const read = await readManifests(folder);
  expect(read.resources.map(({ metadata }) => metadata.name)).toEqual(['orders']);
  expect(read.problems.map(({ error }) => error.code)).toEqual(['BadManifest', 'BadManifest']);
});
