// The SQL that a predicate compiles to and the evaluator of its tree agree on random rows and sessions, on the oldest and the newest server.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RowsealError } from '../../src/model/errors.ts';
import type { Predicate } from '../../src/policy/predicate.ts';
import { parsePredicate } from '../../src/policy/parse-predicate.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { claims, predicateSpec, rowsOf, schema, settings, type TextRow, typedRow } from './arbitraries.ts';
import { admits, type Table, type World } from './evaluator.ts';
import { type Bench, startBench } from './bench.ts';
import { types, Unsure } from './values.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env['RUNS'] ?? 100);
const sessionsPerPredicate = 6;

const rows = fc.record({ docs: rowsOf('docs', 10), members: rowsOf('members', 5), teams: rowsOf('teams', 3) });
const session = fc.record({ claims, settings });

describe.each([['18', 18], ['15', 15]] as const)('on PostgreSQL %s', (_, major) => {
  let postgres: Postgres;
  let bench: Bench;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    bench = await startBench(postgres);
  });
  afterAll(async () => {
    await bench?.close();
    await postgres?.stop();
  });

  it(`admits the rows that the tree means (seed ${seed})`, async () => {
    let compared = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(rows, fc.array(predicateSpec, { minLength: 4, maxLength: 4 }), fc.array(session, { minLength: sessionsPerPredicate, maxLength: sessionsPerPredicate }), async (data, specs, sessions) => {
        await bench.fill(data);
        for (const spec of specs) {
          const predicate = parsePredicate(spec, 'public');
          try {
            await bench.declare(spec);
          } catch (error) {
            if (!(error instanceof RowsealError) || error.code !== 'BadPredicate') throw error;
            refused += 1;
            continue;
          }
          for (const one of sessions) {
            const seen = await bench.look(one);
            const world = worldOf(data, one, seen.nowMs);
            const meant = admitted(predicate, world);
            if (meant === undefined) continue;
            expect(seen.ids, `${JSON.stringify(spec)}\n${JSON.stringify(one)}\n${JSON.stringify(data)}`).toEqual(meant);
            compared += 1;
          }
        }
      }),
      { seed, numRuns: runs, endOnFailure: process.env['SHRINK'] === undefined },
    );
    expect(compared).toBeGreaterThan(runs * 12);
    expect(refused).toBeLessThan(runs);
  }, 300_000);
});

function admitted(predicate: Predicate, world: World): readonly number[] | undefined {
  try {
    return (world.tables['docs']?.rows ?? []).flatMap((row) => (admits(predicate, 'docs', row, world) ? [Number(row['id'])] : []));
  } catch (error) {
    if (error instanceof Unsure) return undefined;
    throw error;
  }
}

function worldOf(data: Readonly<Record<keyof typeof schema, readonly TextRow[]>>, one: { claims: string | undefined; settings: Partial<Record<string, string>> }, nowMs: number): World {
  const tableOf = (name: keyof typeof schema): Table => ({
    columns: Object.fromEntries(Object.entries(schema[name]).map(([column, type]) => [column, types[type]])),
    rows: data[name].map((row) => typedRow(name, row)),
  });
  const set = Object.fromEntries(Object.entries(one.settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return { claims: one.claims, settings: set, role: 'app', nowMs, tables: { docs: tableOf('docs'), members: tableOf('members'), teams: tableOf('teams') } };
}
