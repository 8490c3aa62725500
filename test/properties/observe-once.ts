// What one role reaches in one table right now, by every command; nothing is kept.
import type pg from 'pg';
import { setting } from '../postgres-policy/harness.ts';
import type { Who } from './oracle.ts';
import { letThroughSetting, rows, type TableId } from './world.ts';

interface Reached {
  readonly selected: readonly number[];
  readonly updated: readonly number[];
  readonly deleted: readonly number[];
  /** Ids of the rows whose amount could be set to NULL. */
  readonly updatable: readonly number[];
  /** Ids of the world's rows that could be inserted once more. */
  readonly insertable: readonly number[];
}

/** As a superuser that becomes the role; rolled back. */
export async function observeOnce(admin: pg.Client, table: TableId, { role, claims }: Who): Promise<Reached> {
  const touched: number[] = [];
  const hear = (notice: { readonly message?: string | undefined }) => {
    const id = /^touched (\d+)$/.exec(notice.message ?? '')?.[1];
    if (id !== undefined) touched.push(Number(id));
  };
  admin.on('notice', hear);
  try {
    await admin.query('begin');
    await admin.query(`select set_config('role', $1, true), set_config($2, $3, true)`, [role, setting, claims === undefined ? '' : JSON.stringify(claims)]);
    const { rows: selected } = await admin.query<{ id: number }>(`select id from public.${table} order by id`);
    const take = () => touched.splice(0).sort((a, b) => a - b);
    await attempt(admin, `update public.${table} set amount = null`);
    const updated = take();
    await attempt(admin, `delete from public.${table}`);
    const deleted = take();
    const updatable: number[] = [];
    for (const id of updated) {
      await admin.query('select set_config($1, $2, true)', [letThroughSetting, String(id)]);
      if (await attempt(admin, `update public.${table} set amount = null`)) updatable.push(id);
    }
    const insertable: number[] = [];
    for (const { id, tenant, team, amount, user_id } of rows) {
      if (await attempt(admin, `insert into public.${table} values ($1, $2, $3, $4, $5)`, [id, tenant, team, amount, user_id])) insertable.push(id);
    }
    return { selected: selected.map(({ id }) => id), updated, deleted, updatable, insertable };
  } finally {
    admin.off('notice', hear);
    await admin.query('rollback');
  }
}

/** Whether it went through; only a refusal by a policy may stop it. */
async function attempt(client: pg.Client, text: string, values: readonly unknown[] = []): Promise<boolean> {
  await client.query('savepoint attempt');
  try {
    await client.query(text, [...values]);
    return true;
  } catch (error) {
    const refused = error instanceof Error && 'routine' in error && error.routine === 'ExecWithCheckOptions';
    if (!refused) throw error;
    return false;
  } finally {
    await client.query('rollback to attempt');
  }
}
