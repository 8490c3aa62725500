// From files to reconcilers: events, fan-out to dependants, retries, resync, and a clean end, over a real folder of manifests.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { openManifests } from '../../src/adapters/manifests/manifest-cluster.ts';
import { apiVersion, type KindName } from '../../src/model/kinds.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { type Controller, type ControllerOptions, createController } from '../../src/reconcile/controller.ts';
import { goodSpecs } from '../model/objects.ts';
import { quietLogger, type SaidLine } from '../parts/quiet-logger.ts';
import { until } from '../parts/until.ts';

const clock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

let folder: string;
let stop: AbortController;
let ended: Promise<void>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-controller-'));
  stop = new AbortController();
  ended = Promise.resolve();
});

afterEach(async () => {
  stop.abort();
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

function write(kind: KindName | 'Secret', name: string, body: object): void {
  const object = { apiVersion: kind === 'Secret' ? 'v1' : apiVersion, kind, metadata: { name, namespace: 'shop' }, ...body };
  writeFileSync(join(folder, `${kind}-${name}.yaml`), stringify(object));
}

async function start(options: Partial<ControllerOptions> = {}): Promise<{ controller: Controller; ran: string[]; said: SaidLine[]; failNext: Set<string> }> {
  const ran: string[] = [];
  const said: SaidLine[] = [];
  const failNext = new Set<string>();
  const cluster = await openManifests({ path: folder, logger: quietLogger(), pollMs: 50, settleMs: 40 });
  const reconciler = (kind: KindName) => ({
    kind,
    reconcile: async ({ name }: { name: string }) => {
      ran.push(`${kind}/${name}`);
      if (failNext.delete(name)) throw new Error('once');
      return {};
    },
  });
  const controller = createController({
    cluster,
    reconcilers: [reconciler('DatabaseConnection'), reconciler('RowPolicy')],
    dependants: (event) => [
      ...(event.kind === 'Secret' ? [{ kind: 'DatabaseConnection' as const, key: { namespace: 'shop', name: 'shop' } }] : []),
      ...(event.kind === 'DatabaseConnection' ? cluster.list('RowPolicy').map(({ metadata }) => ({ kind: 'RowPolicy' as const, key: metadata })) : []),
    ],
    clock,
    random: { bytes: (length) => randomBytes(length) },
    logger: quietLogger(said),
    ...options,
  });
  ended = controller.run(stop.signal);
  return { controller, ran, said, failNext };
}

test('what exists is reconciled at start, and a change reaches its dependants', async () => {
  write('DatabaseConnection', 'shop', { spec: goodSpecs.DatabaseConnection });
  write('RowPolicy', 'orders', { spec: goodSpecs.RowPolicy });
  const { ran } = await start();
  await until(() => ran.includes('DatabaseConnection/shop') && ran.includes('RowPolicy/orders'), 'the first runs');
  await sleep(200);
  ran.length = 0;
  write('Secret', 'shop-admin', { stringData: { uri: 'x' } });
  await until(() => ran.includes('DatabaseConnection/shop'), 'the run for the Secret');
  ran.length = 0;
  write('DatabaseConnection', 'shop', { spec: { ...goodSpecs.DatabaseConnection, claims: { type: 'Setting' } } });
  await until(() => ran.includes('RowPolicy/orders'), 'the run of the dependant');
  expect(ran).toContain('DatabaseConnection/shop');
});

test('a failure is logged and retried, and an enqueue from outside runs', async () => {
  write('RowPolicy', 'orders', { spec: goodSpecs.RowPolicy });
  const { controller, ran, said, failNext } = await start();
  await until(() => ran.length > 0, 'the first run');
  await sleep(200);
  ran.length = 0;
  failNext.add('orders');
  controller.enqueue({ kind: 'RowPolicy', key: { namespace: 'shop', name: 'orders' } });
  await until(() => ran.length >= 2, 'the retry');
  expect(said.filter(({ level }) => level === 'warn').length).toBe(1);
});

test('everything is looked at again after the resync time', async () => {
  write('RowPolicy', 'orders', { spec: goodSpecs.RowPolicy });
  const { ran } = await start({ resyncMs: 100 });
  await until(() => ran.length >= 5, 'five runs');
});
