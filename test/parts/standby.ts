// A physical standby of a test's server, and copies of its disk: the data folder is copied as a base backup.
import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort, type Postgres, startOnData } from './postgres.ts';

export interface StandbyOptions {
  readonly primary: Postgres;
  readonly installation: string;
  /** Lines for postgresql.conf beside those of the primary. */
  readonly settings?: readonly string[];
  /** A physical slot of the primary, which keeps WAL for it and feeds hot_standby_feedback back. */
  readonly slot?: string;
}

export interface Standby extends Postgres {
  /** Makes it a primary of the next timeline, and waits until it is. */
  promote(): Promise<void>;
}

/** Follows its primary from where the copy ends. */
export async function startStandby({ primary, installation, settings = [], slot }: StandbyOptions): Promise<Standby> {
  const root = mkdtempSync(join(tmpdir(), 'rowseal-standby-'));
  const data = join(root, 'data');
  const label = await withClient(primary.uri(), async (client) => {
    await client.query(`select pg_backup_start('standby', true)`);
    copyData(primary.dataFolder, root);
    const { rows } = await client.query<{ label: string }>('select labelfile as label from pg_backup_stop(false)');
    return rows[0]?.label ?? '';
  });
  // Slots are of the primary alone, unless they are synchronised.
  for (const name of readdirSync(join(data, 'pg_replslot'))) rmSync(join(data, 'pg_replslot', name), { recursive: true });
  rmSync(join(data, 'postmaster.pid'), { force: true });
  writeAs(root, 'backup_label', label);
  writeAs(root, 'standby.signal', '');
  const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password} dbname=postgres application_name=standby`;
  const own = [`primary_conninfo = '${conninfo}'`, ...(slot === undefined ? [] : [`primary_slot_name = '${slot}'`]), ...settings];
  appendFileSync(join(data, 'postgresql.auto.conf'), `${own.join('\n')}\n`);
  const server = await startOnData({ installation, root, port: await freePort(), password: primary.password, keep: false });
  return Object.assign(server, { promote: async () => withClient(server.uri(), async (client) => void (await client.query('select pg_promote(true, 60)'))) });
}

/** The data folder under another root, with its owners; of a running server only between pg_backup_start and pg_backup_stop. */
export function copyData(dataFolder: string, root: string): void {
  const { uid, gid } = statSync(dataFolder);
  chownSync(root, uid, gid);
  const { status, stderr } = spawnSync('cp', ['-a', dataFolder, join(root, 'data')], { encoding: 'utf8' });
  // A running server removes files meanwhile; the WAL makes up for those.
  if (status !== 0 && !stderr.includes('No such file')) throw new Error(`the data folder could not be copied: ${stderr}`);
}

function writeAs(root: string, name: string, text: string): void {
  const { uid, gid } = statSync(root);
  const path = join(root, 'data', name);
  writeFileSync(path, text);
  chownSync(path, uid, gid);
}

async function withClient<T>(uri: string, action: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(uri);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await action(client);
  } finally {
    await client.end();
  }
}
