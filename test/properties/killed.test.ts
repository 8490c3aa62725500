// Never open, as a process: `rowseal run` is killed again and again while states follow each other.
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { shop } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, startRowseal, type Workspace } from '../parts/standalone.ts';
import { expectAsDeclared } from './as-declared.ts';
import { emptyWorld, transition } from './oracle.ts';
import { anyState, type Declared, freshlyNamed, specOf, type State } from './states.ts';
import { startWatchers } from './watchers.ts';
import { claimSets, createRoles, resetTables, roleNames } from './world.ts';

const transitions = Number(process.env['ROWSEAL_KILLED_TRANSITIONS'] ?? 2);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
let postgres: Postgres;
let admin: pg.Client;
let workspace: Workspace;
let running: RunningRowseal;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await createRoles(admin);
  await resetTables(admin);
  workspace = createWorkspace();
  workspace.declare('database.yaml', [shop.secret(postgres), { ...shop.connection(), metadata: { name: 'db' } }]);
  start();
});
afterAll(async () => {
  await running?.stop();
  await admin?.end();
  await postgres?.stop();
  workspace?.remove();
});

function start(): void {
  running = startRowseal(['run', '--manifests', workspace.manifests]);
}

function manifestOf(declared: Declared): object {
  return { apiVersion: 'rowseal.dev/v1alpha1', kind: 'RowPolicy', metadata: { name: declared.name }, spec: specOf(declared) };
}

/** What the operator has accepted last, from its state folder. */
function accepted(): readonly { readonly name: string; readonly generation: number; readonly spec: unknown }[] {
  const folder = join(workspace.manifests, '.rowseal', 'objects');
  const records = readdirSync(folder).filter((file) => file.startsWith('RowPolicy.')).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as { kind: string; name: string; generation: number; spec: unknown });
  return records;
}

function requireInForce(state: State): void {
  const records = accepted();
  const wanted = new Map(state.map((declared) => [declared.name, specOf(declared)]));
  if (records.length !== wanted.size) throw new Error(`${records.length} objects are there`);
  for (const { name, generation, spec } of records) {
    const status = workspace.status('RowPolicy', name)?.status;
    const ready = status?.conditions.find(({ type }) => type === 'Ready');
    const current = isDeepStrictEqual(spec, JSON.parse(JSON.stringify(wanted.get(name)))) && status?.['observedGeneration'] === generation;
    if (!current || ready?.status !== 'True') throw new Error(`${name}: ${JSON.stringify(ready)}`);
  }
}

it(`over ${transitions} transitions and as many kills (seed ${seed})`, { timeout: 60_000 + transitions * 60_000 }, async () => {
  const states = fc.sample(anyState(['Retain', 'Restore']), { seed, numRuns: transitions }).map(freshlyNamed);
  let world = emptyWorld;
  let before: State = [];
  const watch = await startWatchers(postgres, world);
  try {
    for (const state of states) {
      world = transition(world, before, state);
      watch.begins(world);
      workspace.declare('policies.yaml', state.map(manifestOf));
      // Anywhere between reading the manifest, narrowing, settling and widening.
      await sleep(300 + Math.random() * 5_500);
      await running.kill();
      start();
      await eventually('the state is in force', () => requireInForce(state), 50_000);
      watch.isInForce();
      expect(watch.offences, JSON.stringify({ from: before, to: state })).toEqual([]);
      await expectAsDeclared(admin, { world, state }, roleNames.map((role, index) => ({ role, claims: claimSets[index % claimSets.length] })));
      before = state;
    }
  } finally {
    await watch.stop();
  }
  expect(watch.observed()).toBeGreaterThan(transitions);
});
