// The parser and what follows it, on frames of a real server that were damaged: an event or BadLogData, never another error, never a hang.
// ROWSEAL_FUZZ_RUNS makes it longer, ROWSEAL_FUZZ_SEED repeats a run.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/adapters/postgres/pgoutput.ts';
import { createCapture } from '../../src/audit/capture.ts';
import { lsn, zeroLsn } from '../../src/model/branded.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import type { MessageKey, StreamFrame } from '../../src/ports/audit-database.ts';
import { auditSettings, connected, openAuditedDatabase } from '../parts/audited-database.ts';
import { createMemoryWriter } from '../parts/memory-writer.ts';
import { startPostgres } from '../parts/postgres.ts';

const runs = Number(process.env['ROWSEAL_FUZZ_RUNS'] ?? 2_500);
const seed = Number(process.env['ROWSEAL_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const origin = 'test.example/fuzz';
let recorded: readonly StreamFrame[];
let key: MessageKey;
let captureName: string;

const workload = `
  insert into t values (1, 'a', null, '{1,2}'), (2, 'é😀', 'x', null); update t set note = 'b' where id = 1; update t set id = 3 where id = 2; delete from t where id = 3;
  insert into keyed select n, repeat('x', 3000) from generate_series(1, 3) n; update keyed set id = id + 10; delete from keyed where id = 11;
  alter table t add mood mood default 'sad'; insert into t values (9, 'n', 'm', '{}', 'happy'); truncate t, keyed restart identity cascade`;

beforeAll(async () => {
  const server = await startPostgres();
  const admin = await connected(server.uri());
  await admin.query(`create type mood as enum ('sad', 'happy'); create table t (id int primary key, note text, "a""b" text, list int[]); create table keyed (id int primary key, big text); alter table keyed alter big set storage external`);
  const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  const run = await database.start(createMemoryWriter(origin), auditSettings(['t', 'keyed'], 'Keep'));
  const { rows } = await admin.query<{ oid: number; table: string }>(`select oid::int, relname::text as "table" from pg_class where relname in ('t', 'keyed')`);
  const operations = ['Insert', 'Update', 'Delete', 'Truncate'];
  startState = { ...startState, configuration: { claimsSetting: 'x', tables: rows.map(({ oid, table }) => ({ oid, schema: 'public', table, ancestors: [], key: ['id'], operations })) } };
  await admin.query(workload);
  key = await database.audit.messageKey(AbortSignal.timeout(5_000));
  captureName = database.audit.captureName(origin);
  const from = await database.audit.slot(origin, AbortSignal.timeout(5_000));
  await run.stop();
  const stream = await database.audit.stream(origin, from?.confirmedFlushLsn ?? zeroLsn, AbortSignal.timeout(20_000));
  const frames: StreamFrame[] = [];
  // TRUNCATE comes last; the marker of the earlier run may follow or not.
  for await (const some of stream.frames) {
    frames.push(...some);
    if (frames.some(({ data }) => data[0] === 0x54) && frames.at(-1)?.data[0] === 0x43) break;
  }
  await stream.close();
  recorded = frames;
  await database.close();
  await admin.end();
  await server.stop();
});
afterAll(() => console.log(`seed ${seed}, ${recorded?.length ?? 0} frames`));

let startState: SourceState = {
  source: 'postgresql/1/fuzz',
  position: { incarnation: 1, lsn: lsn(1n), seq: 0, complete: false },
  relations: {},
  policies: {},
  configuration: null,
  counters: { changes: 0, attributed: 0, gaps: 0 },
};

/** What happens to the frames one after the other: entries or BadLogData; anything else is thrown. */
function follow(frames: readonly StreamFrame[]): { readonly entries: number; readonly refused: boolean } {
  const capture = createCapture({ name: { system: '1', database: 'fuzz', timeline: 1 }, captureName, key, state: startState, maxBatchBytes: 1_000 });
  const decoder = createDecoder(capture.tableOf);
  let entries = 0;
  try {
    for (const frame of frames) {
      const event = decoder.decode(frame);
      if (event.type === 'relation' && !capture.knows(event.relation.oid)) capture.learn(event.relation.oid, event.relation, undefined);
      capture.accept(event);
      entries += capture.take()?.entries.count ?? 0;
    }
  } catch (error) {
    if (!(error instanceof RowsealError) || error.code !== 'BadLogData') throw error;
    return { entries, refused: true };
  }
  return { entries, refused: false };
}

type Damage =
  | { readonly kind: 'byte' | 'cut' | 'drop' | 'repeat' | 'swap'; readonly frame: number; readonly at: number; readonly value: number }
  | { readonly kind: 'insert'; readonly frame: number; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'number'; readonly frame: number; readonly at: number; readonly value: number };

const place = { frame: fc.nat(), at: fc.nat() };
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constantFrom('byte' as const, 'byte' as const, 'cut' as const, 'drop' as const, 'repeat' as const, 'swap' as const), ...place, value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('insert' as const), ...place, bytes: fc.uint8Array({ maxLength: 12 }) }),
  // Lengths and counts are where a parser is led astray.
  fc.record({ kind: fc.constant('number' as const), ...place, value: fc.constantFrom(-1, -2, 0, 1, 0x7fff_ffff, -0x8000_0000, 0xffff, 0x10000) }),
);

function damaged(frames: readonly StreamFrame[], damages: readonly Damage[]): readonly StreamFrame[] {
  const copy = frames.map(({ walStart, data }) => ({ walStart, data: Buffer.from(data) }));
  for (const one of damages) {
    if (copy.length === 0) break;
    const index = one.frame % copy.length;
    const frame = copy[index];
    if (frame === undefined) continue;
    const at = one.at % Math.max(1, frame.data.length);
    if (one.kind === 'insert') frame.data = Buffer.concat([frame.data.subarray(0, at), one.bytes, frame.data.subarray(at)]);
    else if (one.kind === 'number') {
      if (at + 4 <= frame.data.length) frame.data.writeInt32BE(one.value, at);
    } else if (one.kind === 'byte') {
      if (frame.data.length > 0) frame.data[at] = one.value;
    } else if (one.kind === 'cut') frame.data = frame.data.subarray(0, at);
    else if (one.kind === 'drop') copy.splice(index, 1);
    else if (one.kind === 'repeat') copy.splice(index, 0, { ...frame, data: Buffer.from(frame.data) });
    else copy.splice(one.at % copy.length, 0, ...copy.splice(index, 1));
  }
  return copy;
}

describe('damaged streams', () => {
  it('are read to the end when nothing is damaged', () => {
    const kinds = new Set(recorded.map(({ data }) => String.fromCharCode(data[0] ?? 0)));
    expect([...kinds].toSorted().join('')).toBe('BCDIMRTUY');
    const { entries, refused } = follow(recorded);
    expect(refused).toBe(false);
    expect(entries).toBeGreaterThan(15);
  });

  it('end in BadLogData or go on, whatever was damaged', () => {
    const outcomes = { refused: 0, through: 0 };
    const run = fc.check(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        if (follow(damaged(recorded, damages)).refused) outcomes.refused++;
        else outcomes.through++;
      }),
      { numRuns: runs, seed },
    );
    expect(run.failed, `seed ${seed}: ${fc.defaultReportMessage(run) ?? ''}`).toBe(false);
    // Both happen, or the fuzzer would not reach what it is for.
    expect(outcomes.refused).toBeGreaterThan(runs / 10);
    expect(outcomes.through).toBeGreaterThan(runs / 100);
  });
});
