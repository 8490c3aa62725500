// How fast a backlog is drained: by Rowseal into a sealed and verified log, by Debezium into a file, by pg_recvlogical into nothing as the limit.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { percentile } from '../report.ts';
import { type Backlog, type Shape, writeBacklog } from './backlog.ts';
import { runDebezium } from './debezium.ts';
import { createOperator, type Operator, untilSealed } from './operator.ts';
import { type Usage, watchUsage } from './process-usage.ts';
import { appRole, ended, query, type Server, startTool, withDatabase } from './server.ts';
import { rotated, say, thousands } from './table.ts';

export type Peer = 'rowseal' | 'debezium' | 'pg_recvlogical';

export interface DrainResult {
  readonly shape: string;
  readonly peer: Peer;
  readonly changes: number;
  readonly perSecond: number;
  readonly perSecondSpread: readonly [number, number];
  /** A million changes. */
  readonly cpuSeconds: number;
  /** Of the server's process that decodes for it, a million changes. */
  readonly walsenderCpuSeconds: number;
  /** Of the candidate's busiest thread, a million changes. */
  readonly threadCpuSeconds: number;
  /** Changes a second that two cores of their own would carry, by the CPU that was used: it also holds where other programs use the machine. */
  readonly perSecondByCpu: number;
  readonly peakMebibytes: number;
  /** Against the same round of the others. */
  readonly timesDebezium?: number;
  readonly shareOfLimit?: number;
}

interface Taken {
  readonly seconds: number;
  readonly own: Usage;
  readonly walsender: Usage;
}

export interface DrainOptions {
  readonly rounds: number;
  readonly shapes: readonly Shape[];
  readonly peers: readonly Peer[];
}

const database = 'd_drain';
const slots: Readonly<Record<Exclude<Peer, 'rowseal'>, string>> = { debezium: 'bench_debezium', pg_recvlogical: 'bench_recvlogical' };
const pollMs = 10;

export async function measureDrain(server: Server, options: DrainOptions): Promise<DrainResult[]> {
  const results: DrainResult[] = [];
  for (const shape of options.shapes) results.push(...(await drainShape(server, shape, options)));
  return results;
}

async function drainShape({ postgres }: Server, shape: Shape, { rounds, peers }: DrainOptions): Promise<DrainResult[]> {
  await query(postgres, 'postgres', `create database ${database}`);
  await query(postgres, database, `
    create table items (id bigint primary key, tenant integer not null, amount integer not null, note text not null);
    grant select, insert, update, delete on items to ${appRole}`);
  await query(postgres, database, 'create publication bench_debezium for table items');
  const operator = createOperator(postgres, { database, table: 'items' });
  const taken = new Map<Peer, Taken[]>(peers.map((peer) => [peer, []]));
  try {
    await operator.start();
    await operator.stop();
    for (let round = 0; round < rounds; round += 1) {
      for (const peer of peers) if (peer !== 'rowseal') await query(postgres, database, 'select pg_create_logical_replication_slot($1, $2)', [slots[peer], 'pgoutput']);
      const backlog = await writeBacklog(postgres, { database, shape, round });
      say(`${shape.name}, round ${round + 1}: ${thousands(shape.changes)} changes wait, written in ${backlog.seconds.toFixed(0)} s`);
      for (const peer of rotated(peers, round)) {
        const one = await withDatabase(postgres, database, (client) => drainers[peer]({ client, postgres, operator, shape, backlog }));
        taken.get(peer)?.push(one);
        say(`${shape.name}, round ${round + 1}: ${peer} ${thousands(shape.changes / one.seconds)} changes/s, ${one.own.cpuSeconds.toFixed(1)} s of CPU`);
        if (peer !== 'rowseal') await query(postgres, database, 'select pg_drop_replication_slot($1)', [slots[peer]]);
      }
    }
    if (peers.includes('rowseal')) await checkLog(operator, shape.changes * rounds);
  } finally {
    await operator.remove();
    await query(postgres, 'postgres', 'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active', [database]);
    await query(postgres, 'postgres', `drop database ${database} with (force)`);
  }
  return peers.map((peer) => resultOf(shape, peer, taken));
}

async function checkLog(operator: Operator, written: number): Promise<void> {
  const started = performance.now();
  const logged = await operator.verified();
  if (logged !== written) throw new Error(`${written} changes were written, ${logged} are in the log`);
  say(`the log is sound and holds each of the ${thousands(logged)} changes (checked and counted in ${((performance.now() - started) / 1000).toFixed(0)} s)`);
}

interface Drain {
  readonly client: pg.Client;
  readonly postgres: Server['postgres'];
  readonly operator: Operator;
  readonly shape: Shape;
  readonly backlog: Backlog;
}

/** Each measures from the moment when its slot is in use, so that nobody's start counts, to the moment when all is durable where it ends. */
const drainers: Readonly<Record<Peer, (drain: Drain) => Promise<Taken>>> = {
  rowseal: async ({ client, operator, shape }) => {
    const before = operator.sealed();
    await operator.start({ ready: false });
    const slot = await slotOf(client);
    const active = await slotInUse(client, slot);
    const watches = [watchUsage(operator.pid()), watchUsage(active.pid)] as const;
    await untilSealed(operator, before + shape.changes, pollMs);
    const seconds = (performance.now() - active.at) / 1000;
    const walsender = watches[1].stop();
    // What it still does for these changes counts for its CPU and memory, though they are sealed.
    await untilPublished(operator);
    const own = watches[0].stop();
    await operator.stop();
    return { seconds, own, walsender };
  },
  debezium: async ({ client, postgres, shape }) => {
    const peer = await runDebezium({ postgres, database, slot: slots.debezium, publication: 'bench_debezium', changes: shape.changes });
    try {
      // When it fails before, the reason is the engine's.
      const active = await Promise.race([slotInUse(client, slots.debezium), peer.written.then(() => Promise.reject(new Error('Debezium ended before it took its slot')))]);
      const watches = [watchUsage(peer.pid), watchUsage(active.pid)] as const;
      await peer.written;
      const seconds = (performance.now() - active.at) / 1000;
      return { seconds, own: watches[0].stop(), walsender: watches[1].stop() };
    } finally {
      await peer.end();
    }
  },
  pg_recvlogical: async ({ client, postgres, backlog }) => {
    const { rows } = await client.query<{ pubname: string }>("select pubname from pg_publication where pubname <> 'bench_debezium'");
    const options = ['proto_version=1', `publication_names=${rows[0]?.pubname}`, 'messages=true'].flatMap((option) => ['-o', option]);
    const child = startTool(postgres, 'pg_recvlogical', ['-d', database, '-S', slots.pg_recvlogical, '--start', '--no-loop', '-F', '0', '-f', '/dev/null', '-E', backlog.endLsn, ...options]);
    const outcome = ended(child);
    const active = await slotInUse(client, slots.pg_recvlogical);
    const watches = [watchUsage(child.pid ?? 0), watchUsage(active.pid)] as const;
    const { status, output } = await outcome;
    const seconds = (performance.now() - active.at) / 1000;
    if (status !== 0) throw new Error(`pg_recvlogical ended with ${status}: ${output}`);
    return { seconds, own: watches[0].stop(), walsender: watches[1].stop() };
  },
};

async function slotOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ slot_name: string }>('select slot_name from pg_replication_slots where database = $1 and slot_name <> all($2)', [database, Object.values(slots)]);
  if (rows.length !== 1 || rows[0] === undefined) throw new Error(`${rows.length} slots of Rowseal`);
  return rows[0].slot_name;
}

async function slotInUse(client: pg.Client, slot: string): Promise<{ readonly pid: number; readonly at: number }> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const { rows } = await client.query<{ active_pid: number | null }>('select active_pid from pg_replication_slots where slot_name = $1', [slot]);
    const pid = rows[0]?.active_pid ?? null;
    if (pid !== null) return { pid, at: performance.now() };
    await sleep(pollMs);
  }
  throw new Error(`nobody came for the slot ${slot}`);
}

async function untilPublished(operator: Operator): Promise<void> {
  const deadline = performance.now() + 120_000;
  const size = operator.sealed();
  while (performance.now() < deadline) {
    const published = Number(readCheckpoint(operator.log).split('\n')[1] ?? 0);
    if (published >= size) return;
    await sleep(100);
  }
  throw new Error('what is sealed was not published within two minutes');
}

function readCheckpoint(log: string): string {
  try {
    return readFileSync(join(log, 'checkpoint'), 'utf8');
  } catch {
    return '';
  }
}

function resultOf(shape: Shape, peer: Peer, taken: ReadonlyMap<Peer, readonly Taken[]>): DrainResult {
  const own = taken.get(peer) ?? [];
  const rates = own.map(({ seconds }) => shape.changes / seconds);
  const perMillion = (seconds: (one: Taken) => number): number => (percentile(own.map(seconds), 50) * 1e6) / shape.changes;
  const cpuSeconds = perMillion((one) => one.own.cpuSeconds);
  const walsenderCpuSeconds = perMillion((one) => one.walsender.cpuSeconds);
  const threadCpuSeconds = perMillion((one) => one.own.threadCpuSeconds);
  const against = (other: Peer): number | undefined => {
    const theirs = taken.get(other);
    return theirs === undefined || other === peer ? undefined : percentile(own.map(({ seconds }, round) => (theirs[round]?.seconds ?? NaN) / seconds), 50);
  };
  const [timesDebezium, shareOfLimit] = [against('debezium'), against('pg_recvlogical')];
  return {
    shape: shape.name,
    peer,
    changes: shape.changes,
    perSecond: percentile(rates, 50),
    perSecondSpread: [Math.min(...rates), Math.max(...rates)],
    cpuSeconds,
    walsenderCpuSeconds,
    threadCpuSeconds,
    perSecondByCpu: 1e6 / Math.max((cpuSeconds + walsenderCpuSeconds) / 2, threadCpuSeconds, walsenderCpuSeconds),
    peakMebibytes: Math.max(...own.map((one) => one.own.peakMebibytes)),
    ...(timesDebezium === undefined ? {} : { timesDebezium }),
    ...(shareOfLimit === undefined ? {} : { shareOfLimit }),
  };
}
