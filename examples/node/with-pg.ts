// node-postgres: a transaction that acts for somebody. Works behind a pooler in transaction mode.
import type pg from 'pg';
import { type SigningKey, signClaims } from './sign-claims.ts';

export async function actingFor<T>(pool: pg.Pool, key: SigningKey, claims: object, action: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const { rows } = await client.query<{ challenge: string }>('select rowseal.challenge() as challenge');
    // `true`: for this transaction only, so that the next one on this connection starts with nothing.
    await client.query(`select set_config('rowseal.token', $1, true)`, [signClaims(rows[0]?.challenge ?? '', claims, key)]);
    const result = await action(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => (broken = failure));
    throw error;
  } finally {
    client.release(broken);
  }
}
