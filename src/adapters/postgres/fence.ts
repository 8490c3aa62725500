// The fence: one row that says who applies here. Its epoch is raised before anything is observed, and held while anything is applied (DESIGN §5, Fence).
import { takeOverAnnotation } from '../../model/annotations.ts';
import { RowsealError } from '../../model/errors.ts';
import type { Holder } from '../../ports/database.ts';
import type { RunQuery } from './run-query.ts';
import type { Session } from './session.ts';

export const fenceSchemaSql: readonly string[] = [
  `create table if not exists rowseal.fence (
     only_row boolean primary key default true check (only_row), cluster_uid text not null, lease_uid text not null, epoch int8 not null)`,
  'revoke all on rowseal.fence from public',
];

export interface Fence {
  /** Raises the epoch if we have not yet, and finds out whether somebody else did since. Nothing where our schema is not installed. Throws Fenced, OwnedByAnother. */
  ensure(signal: AbortSignal): Promise<void>;
  /** Inside an applying transaction: keeps everybody from raising the epoch until it ends. Throws Fenced when somebody did already. */
  require(query: RunQuery): Promise<void>;
  /** Ends the session, which may apply nothing any more. */
  giveUp(): Promise<void>;
}

interface Row {
  readonly cluster_uid: string;
  readonly lease_uid: string;
  readonly epoch: string;
}

export function createFence(session: Pick<Session, 'transaction' | 'exclusively' | 'close'>, holder: Holder, object: string): Fence {
  let epoch: string | undefined;
  const ours = 'cluster_uid = $1 and lease_uid = $2 and epoch = $3::int8';
  const standing = async (query: RunQuery, lock: '' | 'for share'): Promise<void> => {
    const rows = await query(`select from rowseal.fence where ${ours} ${lock}`, [holder.clusterUid, holder.leaseUid, epoch ?? '0']);
    if (rows.length === 0) throw fenced(object);
  };
  return {
    ensure: async (signal) => {
      const state = await session.exclusively(stateOf, signal);
      if (state === 'NotInstalled') return;
      // Somebody who dropped our schema took the row along: then nobody has claimed anything.
      if (epoch !== undefined && state === 'Claimed') return session.exclusively((query) => standing(query, ''), signal);
      // If we die here, the epoch was raised for nobody: the next one raises it further.
      epoch = await session.transaction((query) => raiseEpoch(query, holder, object), signal);
    },
    require: (query) => standing(query, 'for share'),
    giveUp: () => session.close(),
  };
}

/** The new epoch. Waits for whoever is applying right now; from here on nobody of before can commit anything. */
async function raiseEpoch(query: RunQuery, { clusterUid, leaseUid, takeOverFrom }: Holder, object: string): Promise<string> {
  const [first] = await query<Row>('insert into rowseal.fence (cluster_uid, lease_uid, epoch) values ($1, $2, 1) on conflict do nothing returning epoch', [clusterUid, leaseUid]);
  if (first !== undefined) return first.epoch;
  const [row] = await query<Row>('select cluster_uid, lease_uid, epoch from rowseal.fence for update');
  if (row !== undefined && row.cluster_uid !== clusterUid && row.cluster_uid !== takeOverFrom) throw ownedByAnother(row.cluster_uid, object);
  const [raised] = await query<Row>('update rowseal.fence set cluster_uid = $1, lease_uid = $2, epoch = epoch + 1 returning epoch', [clusterUid, leaseUid]);
  return raised?.epoch ?? '';
}

async function stateOf(query: RunQuery): Promise<'NotInstalled' | 'Unclaimed' | 'Claimed'> {
  const [table] = await query<{ present: boolean }>(`select to_regclass('rowseal.fence') is not null as present`);
  if (table?.present !== true) return 'NotInstalled';
  const rows = await query('select from rowseal.fence');
  return rows.length === 0 ? 'Unclaimed' : 'Claimed';
}

function fenced(object: string): RowsealError {
  return new RowsealError('Fenced', 'somebody else took over applying here, so nothing was written', { object, next: 'this session is given up; whoever took over goes on', retryable: true });
}

function ownedByAnother(uid: string, object: string): RowsealError {
  return new RowsealError('OwnedByAnother', `another cluster (${uid}) applies policies here`, {
    object,
    next: `delete the DatabaseConnection there, then take the database over: annotate this one with ${takeOverAnnotation}=${uid}`,
  });
}

/** Ends a session of our own role that hangs with the lock, after the epoch has made it harmless. */
export async function replaceHolder(query: RunQuery, { holder, pid, object }: { readonly holder: Holder; readonly pid: number; readonly object: string }): Promise<void> {
  if ((await stateOf(query)) !== 'NotInstalled') {
    await query('begin');
    try {
      await raiseEpoch(query, holder, object);
      await query('commit');
    } catch (error) {
      await query('rollback');
      throw error;
    }
  }
  await query('select pg_catalog.pg_terminate_backend($1, 5000)', [pid]);
}
