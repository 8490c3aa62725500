// The changes that wait to be drained, written by the application's role while nobody captures.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Postgres } from '../../../test/parts/postgres.ts';
import { pgbench, query } from './server.ts';

export interface Shape {
  readonly name: string;
  readonly changes: number;
  /** Rows of one statement, which is one transaction. */
  readonly rowsPerTransaction: number;
  /** Bytes of the one text column. */
  readonly noteBytes: number;
}

export interface Backlog {
  readonly seconds: number;
  /** Everything is before it. */
  readonly endLsn: string;
}

const writers = 2;

/** Half of the changes are inserts of new rows, half updates of these. */
export async function writeBacklog(postgres: Postgres, { database, shape, round }: { database: string; shape: Shape; round: number }): Promise<Backlog> {
  const started = performance.now();
  const transactions = shape.changes / 2 / shape.rowsPerTransaction / writers;
  if (!Number.isInteger(transactions)) throw new Error(`${shape.changes} changes can't be shared among transactions of ${shape.rowsPerTransaction}`);
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-bench-'));
  const script = join(folder, 'backlog.sql');
  writeFileSync(script, scriptOf(shape, { transactions, first: (round * shape.changes) / 2 + 1 }));
  await pgbench(postgres, { database, script, transactions, clients: writers, variables: { n: -1 } });
  rmSync(folder, { recursive: true });
  await query(postgres, database, 'checkpoint');
  const [row] = await query<{ lsn: string }>(postgres, database, "select pg_logical_emit_message(true, 'bench', 'end')::text as lsn");
  return { seconds: (performance.now() - started) / 1000, endLsn: row?.lsn ?? '' };
}

function scriptOf({ rowsPerTransaction, noteBytes }: Shape, { transactions, first }: { transactions: number; first: number }): string {
  const note = `left(repeat(md5(n::text), ${Math.ceil(noteBytes / 32)}), ${noteBytes})`;
  return [
    '\\set n :n + 1',
    `\\set low ${first} + (:client_id * ${transactions} + :n) * ${rowsPerTransaction}`,
    `\\set high :low + ${rowsPerTransaction - 1}`,
    `insert into items select n, n % 1000, n % 77, ${note} from generate_series(:low::bigint, :high::bigint) n;`,
    'update items set amount = amount + 1 where id between :low::bigint and :high::bigint;',
    '',
  ].join('\n');
}
