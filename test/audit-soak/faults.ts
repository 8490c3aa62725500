// What may go wrong around a running operator, one fault a strike: processes die, servers crash, connections break, stores go away.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../audit-oracle/random.ts';
import type { Postgres } from '../parts/postgres.ts';
import type { S3Server } from '../parts/s3.ts';
import type { RunningRowseal } from '../parts/standalone.ts';
import type { TcpProxy } from '../parts/tcp-proxy.ts';

export interface Victims {
  readonly postgres: Postgres;
  readonly store: S3Server;
  /** Between operator and database, and between operator and store. */
  readonly toDatabase: TcpProxy;
  readonly toStore: TcpProxy;
  readonly operator: () => RunningRowseal;
  /** Starts it on the same manifests. */
  readonly startOperator: () => void;
}

type Strike = (victims: Victims, random: Random) => Promise<void>;

const longestStallMs = 2_500;
const restartDeadlineMs = 30_000;

const killOperator: Strike = async ({ operator, startOperator }, random) => {
  await operator().kill();
  await sleep(random.int(0, 300));
  startOperator();
};

const stopOperator: Strike = async ({ operator, startOperator }) => {
  await operator().stop();
  startOperator();
};

/** A process that was not scheduled for a while, and knows nothing of it. */
const freezeOperator: Strike = async ({ operator }, random) => {
  const { child } = operator();
  child.kill('SIGSTOP');
  await sleep(random.int(100, longestStallMs));
  child.kill('SIGCONT');
};

/** SIGKILL of one process of the server makes all of it recover from a crash. */
const killProcess = (which: string): Strike => async ({ postgres }, random) => {
  const pids = await ask<{ pid: number }>(postgres, `select pid from pg_stat_activity where ${which} and pid <> pg_backend_pid()`);
  try {
    if (pids.length > 0) process.kill(random.pick(pids).pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself since we asked.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
};

const terminate = (which: string): Strike => async ({ postgres }) => {
  await ask(postgres, `select pg_terminate_backend(pid) from pg_stat_activity where ${which} and pid <> pg_backend_pid()`);
};

/** Its orphans may hold its memory for a moment, and a new one refuses to start meanwhile. */
const crashServer: Strike = async ({ postgres }) => {
  for (const deadline = Date.now() + restartDeadlineMs; ; await sleep(50)) {
    try {
      await postgres.crashAndRestart();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
};

const stall = (which: 'toDatabase' | 'toStore'): Strike => async (victims, random) => {
  const release = victims[which].stall();
  await sleep(random.int(50, longestStallMs));
  release();
};

const cut = (which: 'toDatabase' | 'toStore', mostBytes: number): Strike => (victims, random) => {
  victims[which].cutAfter(random.int(1, mostBytes));
  return Promise.resolve();
};

const reset = (which: 'toDatabase' | 'toStore'): Strike => (victims) => {
  victims[which].reset();
  return Promise.resolve();
};

const weighted: readonly (readonly [number, string, Strike])[] = [
  [6, 'operator killed', killOperator],
  [1, 'operator stopped', stopOperator],
  [1, 'operator frozen', freezeOperator],
  [1, 'backend killed', killProcess(`backend_type = 'client backend'`)],
  [1, 'walsender killed', killProcess(`backend_type = 'walsender'`)],
  [2, 'walsender terminated', terminate(`backend_type = 'walsender'`)],
  [1, 'sessions of the operator terminated', terminate(`application_name like 'rowseal%'`)],
  [1, 'sessions of the application terminated', terminate(`usename in ('app', 'batch')`)],
  [2, 'server killed', crashServer],
  [3, 'store killed', ({ store }) => store.crashAndRestart()],
  [2, 'database connections reset', reset('toDatabase')],
  [3, 'database connections cut', cut('toDatabase', 60_000)],
  [1, 'database stalled', stall('toDatabase')],
  [2, 'store connections reset', reset('toStore')],
  [4, 'store connections cut', cut('toStore', 20_000)],
  [1, 'store stalled', stall('toStore')],
];
const drawn = weighted.flatMap(([weight, name, strike]) => Array.from({ length: weight }, () => ({ name, strike })));

/** One fault; its name. */
export async function strikeOnce(victims: Victims, random: Random): Promise<string> {
  const { name, strike } = random.pick(drawn);
  await strike(victims, random);
  return name;
}

/** On a session of its own, as soon as the server takes one. */
export async function ask<T extends pg.QueryResultRow>(postgres: Postgres, sql: string): Promise<readonly T[]> {
  for (const deadline = Date.now() + restartDeadlineMs; ; await sleep(50)) {
    const client = new pg.Client(postgres.uri());
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<T>(sql)).rows;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
