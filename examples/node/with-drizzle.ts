// Drizzle: the same as with-pg.ts, inside Drizzle's own transaction.
import { sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { type SigningKey, signClaims } from './sign-claims.ts';

type Transaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

export function actingFor<T>(db: NodePgDatabase, key: SigningKey, claims: object, action: (tx: Transaction) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    const { rows } = await tx.execute<{ challenge: string }>(sql`select rowseal.challenge() as challenge`);
    await tx.execute(sql`select set_config('rowseal.token', ${signClaims(rows[0]?.challenge ?? '', claims, key)}, true)`);
    return action(tx);
  });
}
