// The small database that the properties run in: three tables of one shape, roles that overlap, rows and claims of every kind.
import type pg from 'pg';

export const tableNames = ['orders', 'invoices', 'members'] as const;
export type TableId = (typeof tableNames)[number];

export interface Row {
  readonly id: number;
  readonly tenant: string | null;
  readonly team: number | null;
  readonly amount: number | null;
  readonly user_id: string | null;
}

/** The same rows in every table, so that each rule fits each of them; `ann` is in team 1, `bob` in 2 and 3. */
export const rows: readonly Row[] = [
  { id: 1, tenant: 'a', team: 1, amount: 10, user_id: 'ann' },
  { id: 2, tenant: 'b', team: 2, amount: 20, user_id: 'bob' },
  { id: 3, tenant: 'a', team: 3, amount: 30, user_id: 'bob' },
  { id: 4, tenant: '', team: null, amount: 40, user_id: null },
  { id: 5, tenant: null, team: 9, amount: 50, user_id: 'eve' },
];

/** Role to the roles whose rights it has: `third` inherits `other`; `keeper` owns the tables. */
export const roles = { app: ['app'], other: ['other'], third: ['third', 'other'], keeper: ['keeper'] } as const;
export type RoleId = keyof typeof roles;
export const roleNames: readonly RoleId[] = ['app', 'other', 'third', 'keeper'];
export const password = 'world';

export type Claims = Readonly<Record<string, string>> | undefined;
export const claimSets: readonly Claims[] = [{ t: 'a', sub: 'ann' }, { t: 'b', sub: 'bob' }, { t: '', sub: 'nobody' }, undefined];

export async function createRoles(admin: pg.Client): Promise<void> {
  for (const role of roleNames) await admin.query(`create role ${role} login password '${password}'`);
  await admin.query('grant other to third; grant create on schema public to keeper');
}

/** Let through by the trigger: no row (so that no WITH CHECK ends the statement), every row, or the row of this id alone. */
export const letThroughSetting = 'world.let_through';

/** Drops what is there; a trigger names every row that an UPDATE or DELETE reaches, so that writes are seen without reading. */
export async function resetTables(admin: pg.Client): Promise<void> {
  await admin.query(`create or replace function public.tell() returns trigger language plpgsql as $$ begin
    raise notice 'touched %', old.id;
    return case when current_setting('${letThroughSetting}', true) in ('all', old.id::text) then coalesce(new, old) end; end $$`);
  // What an earlier run governed would close the tables of this one as they are made.
  await admin.query('drop schema if exists rowseal cascade');
  for (const table of tableNames) await admin.query(createTableSql(table));
}

export function createTableSql(table: string): string {
  const values = rows.map((row) => `(${row.id}, ${literal(row.tenant)}, ${row.team ?? 'null'}, ${row.amount}, ${literal(row.user_id)})`).join(', ');
  return `drop table if exists public.${table} cascade;
    create table public.${table} (id int not null, tenant text, team int, amount int, user_id text);
    insert into public.${table} values ${values};
    create trigger tell before update or delete on public.${table} for each row execute function public.tell();
    alter table public.${table} owner to keeper; grant select, insert, update, delete on public.${table} to app, other, third`;
}

function literal(text: string | null): string {
  return text === null ? 'null' : `'${text}'`;
}
