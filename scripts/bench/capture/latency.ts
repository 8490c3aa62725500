// From a change's commit to its seal, at a steady rate.
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJournalBody } from '../../../src/log/journal-body.ts';
import { openJournal } from '../../../src/log/journal.ts';
import { parseVerifierKey } from '../../../src/log/keys.ts';
import { percentile } from '../report.ts';
import { createOperator, journalNumbers, type Operator, readJournalObject } from './operator.ts';
import { appRole, pgbench, query, type Server } from './server.ts';

export interface LatencyOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly changesPerSecond: number;
}

export interface LatencyResult {
  readonly changesPerSecond: number;
  readonly changes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly p99SpreadMs: readonly [number, number];
}

const database = 'l_latency';
const rows = 10_000;

export async function measureLatency({ postgres }: Server, { rounds, seconds, changesPerSecond }: LatencyOptions): Promise<LatencyResult> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-bench-'));
  const script = join(folder, 'script.sql');
  writeFileSync(script, `\\set id random(1, ${rows})\nupdate items set amount = amount + 1 where id = :id;\n`);
  await query(postgres, 'postgres', `create database ${database}`);
  await query(postgres, database, `
    create table items (id bigint primary key, tenant integer not null, amount integer not null, note text not null);
    insert into items select n, n % 1000, 0, md5(n::text) from generate_series(1, ${rows}) n;
    grant select, update on items to ${appRole}`);
  const operator = createOperator(postgres, { database, table: 'items' });
  try {
    await operator.start();
    // A first second of warming up is in the log too, but not counted.
    await pgbench(postgres, { database, script, seconds: 2, clients: 4, rate: changesPerSecond, synchronousCommit: true });
    const taken: number[][] = [];
    for (let round = 0; round < rounds; round += 1) {
      const from = Date.now();
      await pgbench(postgres, { database, script, seconds, clients: 4, rate: changesPerSecond, synchronousCommit: true });
      await sleep(1_000);
      taken.push(latencies(operator, from));
    }
    const all = taken.flat();
    const p99 = taken.map((one) => percentile(one, 99));
    return { changesPerSecond, changes: all.length, p50Ms: percentile(all, 50), p99Ms: percentile(all, 99), maxMs: percentile(all, 100), p99SpreadMs: [Math.min(...p99), Math.max(...p99)] };
  } finally {
    await operator.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sealed is when the journal object had its final name: the last change of the file's inode, made by `link` and by removing the temporary name. */
function latencies(operator: Operator, fromMs: number): number[] {
  const key = parseVerifierKey(operator.verifierKey());
  return journalNumbers(operator.log).flatMap((name) => {
    const sealedMs = statSync(join(operator.log, 'journal', name)).ctimeMs;
    if (sealedMs < fromMs) return [];
    const { entries } = decodeJournalBody(openJournal(readJournalObject(operator.log, name), key.name, [key]));
    return entries
      .map((bytes) => JSON.parse(Buffer.from(bytes).toString('utf8')) as { readonly type: string; readonly time: string })
      .filter(({ type, time }) => type.startsWith('row.') && microsecondsOf(time) >= fromMs)
      .map(({ time }) => sealedMs - microsecondsOf(time));
  });
}

/** Milliseconds since 1970, with the microseconds that Date drops. */
function microsecondsOf(time: string): number {
  return Date.parse(time) + Number(/\.\d{3}(\d{3})Z$/.exec(time)?.[1] ?? 0) / 1000;
}
