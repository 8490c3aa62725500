// Tables of the predicate tests on a real server: fill them, declare one predicate as a policy, look as an application role.
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import type { Postgres } from '../parts/postgres.ts';
import { type Flow, setting, startFlow } from '../postgres-policy/harness.ts';
import type { PredicateSpec, TableName, TextRow } from './arbitraries.ts';

interface Session {
  readonly claims: string | undefined;
  readonly settings: Partial<Record<string, string>>;
}

export interface Bench {
  readonly flow: Flow;
  fill(rows: Readonly<Record<TableName, readonly TextRow[]>>): Promise<void>;
  declare(using: PredicateSpec): Promise<void>;
  look(session: Session): Promise<{ readonly ids: readonly number[]; readonly nowMs: number }>;
  close(): Promise<void>;
}

const ddl = `create role app; create type mood as enum ('sad', 'ok', 'glad');
  create domain title as text;
  create table docs (id int4, n int4, big int8, amount numeric(6, 2), title title, code varchar(4), fixed char(3), owner name, tenant uuid, flag bool, mood mood,
    at timestamptz, day date, tags text[], nums int4[], doc jsonb, span int4range);
  create table members (person text, team int4, tenant uuid, role text);
  create table teams (team int4, label text);
  grant select on docs, members, teams to app`;

export async function startBench(postgres: Postgres): Promise<Bench> {
  const flow = await startFlow(postgres);
  await flow.admin.query(`set timezone = 'UTC'`);
  await flow.admin.query(ddl);
  return {
    flow,
    fill: async (rows) => {
      for (const [table, all] of Object.entries(rows)) {
        const values = all.map((row) => `(${Object.values(row).map(literal).join(', ')})`);
        await flow.admin.query(`delete from ${table}; insert into ${table} (${Object.keys(all[0] ?? {}).join(', ')}) values ${values.join(', ')}`);
      }
    },
    declare: async (using) => {
      const rules: RowPolicySpec['rules'] = [{ name: 'r', roles: ['app'], commands: ['Select'], using }];
      await flow.converge('docs', { target: { schema: 'public', tables: ['docs'] }, rules });
    },
    look: async ({ claims, settings }) => {
      const set = Object.entries({ role: 'app', ...(claims === undefined ? {} : { [setting]: claims }), ...settings }).map(([name, value]) => `set_config('${name}', ${literal(value ?? '')}, true)`);
      await flow.admin.query(`begin; select ${set.join(', ')}`);
      try {
        const { rows } = await flow.admin.query<{ ids: readonly number[]; now: string }>(`select coalesce(array_agg(id order by id), '{}') as ids, extract(epoch from now()) * 1000 as now from docs`);
        return { ids: rows[0]?.ids ?? [], nowMs: Math.floor(Number(rows[0]?.now)) };
      } finally {
        await flow.admin.query('rollback');
      }
    },
    close: () => flow.close(),
  };
}

function literal(value: string | null | readonly (string | null)[]): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return literal(`{${value.map((item) => (item === null ? 'null' : `"${item.replaceAll(/["\\]/g, (special) => `\\${special}`)}"`)).join(',')}}`);
}
