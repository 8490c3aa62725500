// What auditing adds to the application's statements: the same pgbench on the same table in databases that are audited in different ways.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../report.ts';
import { createOperator, type Operator } from './operator.ts';
import { appRole, pgbench, type PgbenchResult, query, type Server, withDatabase } from './server.ts';
import { rotated, say } from './table.ts';

type Variant = 'bare' | 'rowseal' | 'rowseal, capturing' | 'pgaudit' | 'row trigger';

export interface WritePathOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly clients: number;
}

export interface WritePathResult {
  readonly workload: string;
  readonly variant: Variant;
  readonly tps: number;
  readonly tpsSpread: readonly [number, number];
  /** A client's time for one transaction. */
  readonly transactionUs: number;
  /** Against bare in the same round: median, least and most. */
  readonly addedUs: number;
  readonly addedPercent: number;
  readonly addedPercentSpread: readonly [number, number];
  /** CPU of the server. */
  readonly serverCpuUs: number;
  readonly addedCpuUs: number;
}

const rows = 100_000;

const workloads = [
  { name: '1 row', script: `\\set aid random(1, ${rows})\n\\set delta random(-5000, 5000)\nupdate accounts set abalance = abalance + :delta where aid = :aid;\n` },
  { name: '1,000 rows', script: `\\set aid random(1, ${rows - 999})\n\\set delta random(-5000, 5000)\nupdate accounts set abalance = abalance + :delta where aid between :aid and :aid + 999;\n` },
] as const;

const databases: Readonly<Record<Variant, string>> = { bare: 'w_bare', rowseal: 'w_rowseal', 'rowseal, capturing': 'w_rowseal', pgaudit: 'w_pgaudit', 'row trigger': 'w_trigger' };

/** As supa_audit does it: old and new row as JSON into a table, for every row, with an identity made of the key's columns, which it looks up. */
const rowTrigger = `
  create schema audit;
  create table audit.record (id bigint generated always as identity primary key, record_id uuid, old_record_id uuid, operation text not null,
    at timestamptz not null default now(), table_oid oid not null, table_schema name not null, table_name name not null, record jsonb, old_record jsonb);
  create index on audit.record using brin (at);
  create index on audit.record (table_oid);
  create index on audit.record (record_id) where record_id is not null;
  create index on audit.record (old_record_id) where old_record_id is not null;
  create function audit.key_columns(relation oid) returns text[] stable language sql security definer set search_path = '' as $$
    select array_agg(a.attname::text order by a.attnum) from pg_catalog.pg_index i
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) where i.indrelid = relation and i.indisprimary $$;
  create function audit.record_id(relation oid, key text[], record jsonb) returns uuid stable language sql as $$
    select case when record is not null then pg_catalog.md5((select jsonb_build_array(relation::bigint) || jsonb_agg(record -> name) from unnest(key) name)::text)::uuid end $$;
  create function audit.record_change() returns trigger language plpgsql security definer as $$
  declare
    key text[] := audit.key_columns(tg_relid);
    record jsonb := to_jsonb(new);
    old_record jsonb := to_jsonb(old);
  begin
    insert into audit.record (record_id, old_record_id, operation, table_oid, table_schema, table_name, record, old_record)
      values (audit.record_id(tg_relid, key, record), audit.record_id(tg_relid, key, old_record), tg_op, tg_relid, tg_table_schema, tg_table_name, record, old_record);
    return coalesce(new, old);
  end $$;
  create trigger audit after insert or update or delete on accounts for each row execute function audit.record_change();`;

export async function measureWritePath(server: Server, options: WritePathOptions): Promise<WritePathResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-bench-'));
  const operator = await prepare(server);
  const variants: readonly Variant[] = ['bare', 'rowseal', 'rowseal, capturing', ...(server.hasPgaudit ? (['pgaudit'] as const) : []), 'row trigger'];
  try {
    const results: WritePathResult[] = [];
    for (const workload of workloads) {
      const script = join(folder, 'script.sql');
      writeFileSync(script, workload.script);
      const taken = await inRounds(workload.name, variants, (variant, warmUp) => run({ server, operator, script, variant }, warmUp ? { ...options, seconds: 1 } : options), options.rounds);
      results.push(...variants.map((variant) => resultOf({ workload: workload.name, variant, taken, clients: options.clients })));
    }
    return results;
  } finally {
    await operator.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inRounds(name: string, variants: readonly Variant[], act: (variant: Variant, warmUp: boolean) => Promise<PgbenchResult>, rounds: number): Promise<Map<Variant, PgbenchResult[]>> {
  const taken = new Map<Variant, PgbenchResult[]>(variants.map((variant) => [variant, []]));
  // The first round warms caches, and isn't counted.
  for (const variant of variants) await act(variant, true);
  for (let round = 0; round < rounds; round += 1) {
    for (const variant of rotated(variants, round)) {
      const one = await act(variant, false);
      taken.get(variant)?.push(one);
      say(`${name}, round ${round + 1}: ${variant} ${one.tps.toFixed(0)} transactions/s, ${one.serverCpuUs.toFixed(0)} µs of the server's CPU each`);
    }
  }
  return taken;
}

async function prepare({ postgres, hasPgaudit }: Server): Promise<Operator> {
  for (const database of new Set(Object.values(databases))) {
    await query(postgres, 'postgres', `create database ${database}`);
    await query(postgres, database, `
      create table accounts (aid integer primary key, bid integer not null, abalance integer not null, filler char(84) not null) with (fillfactor = 70);
      insert into accounts select n, 1 + n / 1000, 0, '' from generate_series(1, ${rows}) n;
      grant select, insert, update, delete on accounts to ${appRole}`);
  }
  if (hasPgaudit) {
    await query(postgres, databases.pgaudit, `create extension pgaudit`);
    for (const setting of ["pgaudit.log = 'write'", 'pgaudit.log_parameter = on']) await query(postgres, 'postgres', `alter database ${databases.pgaudit} set ${setting}`);
  }
  await query(postgres, databases['row trigger'], rowTrigger);
  const operator = createOperator(postgres, { database: databases.rowseal, table: 'accounts' });
  // From here on the triggers are there; the operator itself runs only where it is part of what is measured.
  await operator.start();
  say(`messages are proven by ${await settledProof(postgres)}`);
  await operator.stop();
  return operator;
}

/** Privilege needs some looks of the operator before it can be relied on; HMAC stays where it can't be. */
async function settledProof(postgres: Server['postgres']): Promise<string> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const [row] = await query<{ proof: string }>(postgres, databases.rowseal, 'select proof from rowseal.audit_key');
    if (row?.proof === 'Privilege' || performance.now() > deadline) return row?.proof ?? 'nothing';
    await sleep(100);
  }
}

interface Running {
  readonly server: Server;
  readonly operator: Operator;
  readonly script: string;
  readonly variant: Variant;
}

async function run({ server, operator, script, variant }: Running, { seconds, clients }: WritePathOptions): Promise<PgbenchResult> {
  const database = databases[variant];
  await withDatabase(server.postgres, database, async (client) => {
    if (variant === 'row trigger') await client.query('truncate audit.record');
    await client.query('vacuum accounts');
    await client.query('checkpoint');
  });
  const capturing = variant === 'rowseal, capturing';
  if (capturing) {
    await operator.start();
    await caughtUp(server, operator);
  }
  const result = await pgbench(server.postgres, { database, script, seconds, clients });
  if (capturing) {
    await caughtUp(server, operator);
    await operator.stop();
  }
  return result;
}

/** Until the slot's server has nothing more to send, and nothing was sealed for half a second. */
async function caughtUp({ postgres }: Server, operator: Operator): Promise<void> {
  await withDatabase(postgres, databases.rowseal, async (client) => {
    const { rows: found } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    for (let [quiet, seen] = [0, -1]; quiet < 5; ) {
      const { rows: sent } = await client.query<{ done: boolean }>('select coalesce(bool_and(r.sent_lsn >= $1::pg_lsn), false) as done from pg_stat_replication r', [found[0]?.lsn]);
      const sealed = operator.sealed();
      quiet = sent[0]?.done === true && sealed === seen ? quiet + 1 : 0;
      seen = sealed;
      await client.query('select pg_sleep(0.1)');
    }
  });
}

function resultOf({ workload, variant, taken, clients }: { workload: string; variant: Variant; taken: ReadonlyMap<Variant, readonly PgbenchResult[]>; clients: number }): WritePathResult {
  const own = taken.get(variant) ?? [];
  const bare = taken.get('bare') ?? [];
  const rates = own.map(({ tps }) => tps);
  const timeUs = (rate: number): number => (clients * 1e6) / rate;
  const against = (difference: (one: PgbenchResult, other: PgbenchResult) => number): number[] => own.flatMap((one, round) => bare.slice(round, round + 1).map((other) => difference(one, other)));
  const addedPercent = against((one, other) => 100 * (other.tps / one.tps - 1));
  return {
    workload,
    variant,
    tps: percentile(rates, 50),
    tpsSpread: [Math.min(...rates), Math.max(...rates)],
    transactionUs: timeUs(percentile(rates, 50)),
    addedUs: percentile(against((one, other) => timeUs(one.tps) - timeUs(other.tps)), 50),
    addedPercent: percentile(addedPercent, 50),
    addedPercentSpread: [Math.min(...addedPercent), Math.max(...addedPercent)],
    serverCpuUs: percentile(own.map(({ serverCpuUs }) => serverCpuUs), 50),
    addedCpuUs: percentile(against((one, other) => one.serverCpuUs - other.serverCpuUs), 50),
  };
}
