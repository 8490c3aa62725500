// Readers and writers in every role who never stop; whatever one of them reaches is held against the states that could be in force meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Postgres } from '../parts/postgres.ts';
import { setting } from '../postgres-policy/harness.ts';
import { reachable, type TableState, type Who, type WorldState, writable } from './oracle.ts';
import { claimSets, letThroughSetting, password, type RoleId, roleNames, type Row, rows, type TableId, tableNames } from './world.ts';

export interface Watch {
  /** From now on the state may come into force; call it before anything is declared. */
  begins(world: WorldState): void;
  /** The newest state is in force for sure, so that no earlier one may be seen any more. */
  isInForce(): void;
  /** What was reached and no state allowed, and errors that nobody should meet. */
  readonly offences: readonly string[];
  readonly observed: () => number;
  stop(): Promise<void>;
}

interface Epoch {
  readonly world: WorldState;
  overAtMs?: number;
}

interface Seen {
  readonly table: TableId;
  readonly who: Who;
  readonly sinceMs: number;
}

/** One connection a role, and a second one for the applications' role that only runs a prepared statement. */
export async function startWatchers(postgres: Postgres, world: WorldState): Promise<Watch> {
  const epochs: Epoch[] = [{ world }];
  const offences: string[] = [];
  const end = new AbortController();
  let observed = 0;

  const judge: Judge = ({ table, who, sinceMs }, what, allowed) => {
    observed += 1;
    const possible = epochs.filter(({ overAtMs }) => overAtMs === undefined || overAtMs >= sinceMs);
    if (!possible.some((epoch) => allowed(epoch.world[table]))) offences.push(JSON.stringify({ what, table, ...who, atMs: performance.now(), epochs: possible.length }));
  };
  const loops = [...roleNames, 'app' as const].map(async (role, index) => {
    const client = new pg.Client({ connectionString: postgres.uri('postgres', role, password) });
    await client.connect();
    const watcher = { client, role, judge, complain: (text: string) => void offences.push(text) };
    while (!end.signal.aborted) {
      await (index === roleNames.length ? readPrepared(watcher) : act(watcher));
      await sleep(Math.random() * 4);
    }
    await client.end();
  });
  return {
    begins: (next) => void epochs.push({ world: next }),
    isInForce: () => {
      for (const epoch of epochs.slice(0, -1)) epoch.overAtMs ??= performance.now();
    },
    offences,
    observed: () => observed,
    stop: async () => {
      end.abort();
      await Promise.all(loops);
    },
  };
}

type Judge = (seen: Seen, what: string, allowed: (state: TableState) => boolean) => void;

interface Watcher {
  readonly client: pg.Client;
  readonly role: RoleId;
  readonly judge: Judge;
  readonly complain: (text: string) => void;
}

/** A plan that was made under one policy must not go on reading under another. */
async function readPrepared({ client, role, judge }: Watcher): Promise<void> {
  const who = { role, claims: claimSets[0] };
  await client.query('select set_config($1, $2, false)', [setting, JSON.stringify(who.claims)]);
  const seen = { table: 'orders' as const, who, sinceMs: performance.now() };
  const result = await client.query<{ id: number }>({ name: 'all_orders', text: 'select id from public.orders' });
  judgeIds(judge, seen, 'Select', result.rows.map(({ id }) => id));
}

/** One command in a transaction of its own, rolled back. */
async function act({ client, role, judge, complain }: Watcher): Promise<void> {
  const who = { role, claims: anyOf(claimSets) };
  const table = anyOf(tableNames);
  const touched: number[] = [];
  const hear = (notice: { readonly message?: string | undefined }) => touched.push(Number(/\d+/.exec(notice.message ?? '')?.[0]));
  client.on('notice', hear);
  try {
    await client.query('begin');
    const only = anyOf(rows);
    await client.query(`select set_config($1, $2, true), set_config($3, $4, true)`, [setting, who.claims === undefined ? '' : JSON.stringify(who.claims), letThroughSetting, String(only.id)]);
    const seen = { table, who, sinceMs: performance.now() };
    await anyOf([read, update, remove, insert])({ client, judge, seen, touched, only });
  } catch (error) {
    if (!isExpected(error)) complain(`${role} on ${table}: ${String(error)}`);
  } finally {
    client.off('notice', hear);
    await client.query('rollback');
  }
}

interface Action {
  readonly client: pg.Client;
  readonly judge: Judge;
  readonly seen: Seen;
  /** Ids that the trigger has named. */
  readonly touched: readonly number[];
  /** The one row that the trigger lets through. */
  readonly only: Row;
}

async function read({ client, judge, seen }: Action): Promise<void> {
  const result = await client.query<{ id: number }>(`select id from public.${seen.table}`);
  judgeIds(judge, seen, 'Select', result.rows.map(({ id }) => id));
}

async function update({ client, judge, seen, touched, only }: Action): Promise<void> {
  const amount = anyOf([0, 25, 99]);
  try {
    // Reads no column, so that no policy for SELECT has a say.
    await client.query(`update public.${seen.table} set amount = ${amount}`);
    if (touched.includes(only.id)) judge(seen, `Update to ${amount} of ${only.id}`, (state) => reachable(state, 'Update', seen.who).has(only.id) && writable(state, 'Update', { ...only, amount }, seen.who));
  } finally {
    judgeIds(judge, seen, 'Update', touched);
  }
}

async function remove({ client, judge, seen, touched }: Action): Promise<void> {
  await client.query(`delete from public.${seen.table}`);
  judgeIds(judge, seen, 'Delete', touched);
}

async function insert({ client, judge, seen, only }: Action): Promise<void> {
  const row = { ...only, tenant: anyOf(['a', 'b', '', null]), amount: anyOf([0, 25, 99]) };
  await client.query(`insert into public.${seen.table} (id, tenant, team, amount, user_id) values ($1, $2, $3, $4, $5)`, [row.id, row.tenant, row.team, row.amount, row.user_id]);
  judge(seen, `Insert of ${JSON.stringify(row)}`, (state) => writable(state, 'Insert', row, seen.who));
}

function judgeIds(judge: Judge, seen: Seen, command: 'Select' | 'Update' | 'Delete', ids: readonly number[]): void {
  for (const id of ids) judge(seen, `${command} of ${id}`, (state) => reachable(state, command, seen.who).has(id));
}

/** A refused row, and what happens to writers that meet each other. */
function isExpected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? error.code : undefined;
  return ('routine' in error && error.routine === 'ExecWithCheckOptions') || code === '40P01' || code === '40001';
}

function anyOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
