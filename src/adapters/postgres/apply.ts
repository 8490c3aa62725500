// Applies a plan in one transaction: lock briefly, look again, change, mark, record, say so in the WAL, commit.
import { RowsealError } from '../../model/errors.ts';
import type { Plan, Step } from '../../policy/step.ts';
import { describeTable } from '../../policy/table-name.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ApplyOutcome } from '../../ports/policy-database.ts';
import { errorCodeOf, statementError } from './database-error.ts';
import type { Fence } from './fence.ts';
import { writeGuard } from './guard-sql.ts';
import { tidyHelpers } from './helper-rights.ts';
import { quoteTable } from './quote.ts';
import { recordPolicies, rememberFlags } from './record.ts';
import { operationSql } from './render.ts';
import type { RunQuery, Session } from './session.ts';

export interface ApplyOptions {
  readonly session: Pick<Session, 'transaction' | 'exclusively'>;
  readonly clock: Clock;
  readonly fence?: Pick<Fence, 'require'>;
  /** How long one attempt may queue for a lock: every reader that comes after us waits as long. */
  readonly lockTimeoutMs?: number;
  readonly attempts?: number;
}

const lockNotAvailable = '55P03';
const deadlock = '40P01';
const queryCanceled = '57014';

/** All steps or none; Stale when a table is no longer as it was observed. Throws WaitingForLock naming who holds the lock. */
export async function applyPlan(plan: Plan, options: ApplyOptions, signal: AbortSignal): Promise<ApplyOutcome> {
  const { session, clock, fence, lockTimeoutMs = 500, attempts = 4 } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await session.transaction((query) => applyOnce(query, plan, { lockTimeoutMs, fence }), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StaleObservation) return 'Stale';
      if (!(error instanceof LockQueue) && ![lockNotAvailable, deadlock].includes(errorCodeOf(error) ?? '')) throw statementError(error, 'applying policies', `RowPolicy ${plan.owner}`);
      if (attempt >= attempts) throw await waitingForLock(plan, session, signal);
    }
    // Between two attempts whoever queued behind us gets through.
    await clock.sleep(lockTimeoutMs * 2 ** (attempt - 1), signal);
  }
}

/** Only so that the session rolls back and tries again. */
class LockQueue extends Error {}

/** Only so that the session rolls back. */
class StaleObservation extends Error {}

async function applyOnce(query: RunQuery, plan: Plan, { lockTimeoutMs, fence }: { readonly lockTimeoutMs: number; readonly fence: ApplyOptions['fence'] }): Promise<ApplyOutcome> {
  await query(`select set_config('lock_timeout', $1, true)`, [`${lockTimeoutMs}ms`]);
  await fence?.require(query);
  if (plan.guard !== undefined) await writeGuard(query, plan.owner, plan.guard);
  await lockTables(query, plan, lockTimeoutMs);
  await requireUnchanged(query, plan);
  await rememberFlags(query, plan);
  for (const step of plan.steps) await runStep(query, step, plan.owner);
  await recordPolicies(query, plan);
  await tidyHelpers(query);
  await emitDigests(query, plan);
  // If we die before the commit, nothing happened and the restart plans the same again; if the answer to the commit is
  // lost, the restart observes the new state and plans nothing.
  return 'Applied';
}

/** One lock after the other: whoever waits for the first must not wait until we have queued for each of the others, so that all of them share one limit. */
async function lockTables(query: RunQuery, plan: Plan, lockTimeoutMs: number): Promise<void> {
  if (plan.tables.length === 0) return;
  const [before] = await query<{ value: string }>(`select current_setting('statement_timeout') as value`);
  await query(`select set_config('statement_timeout', $1, true)`, [`${2 * lockTimeoutMs}ms`]);
  try {
    await query(`lock table ${plan.tables.map(({ table }) => `only ${quoteTable(table)}`).join(', ')} in ${lockMode(plan)} mode`);
  } catch (error) {
    throw errorCodeOf(error) === queryCanceled ? new LockQueue('the locks took too long together') : error;
  }
  await query(`select set_config('statement_timeout', $1, true)`, [before?.value ?? '60s']);
}

/** Where only records are written, readers need not wait: the weakest lock keeps policies and flags as they are. */
function lockMode(plan: Plan): string {
  return plan.steps.length === 0 ? 'access share' : 'access exclusive';
}

/** Under the lock nobody can change policies, flags or owner any more, so equal digests mean that the plan still fits. */
async function requireUnchanged(query: RunQuery, plan: Plan): Promise<void> {
  const rows = await query<{ oid: string; digest: string | null }>(
    `select w.oid, rowseal.policy_digest(c.oid) as digest
       from unnest($1::int8[], $2::text[]) as w(oid, name) left join pg_class c on c.oid = w.oid::oid and c.oid = to_regclass(w.name)`,
    [plan.tables.map((table) => table.oid), plan.tables.map((table) => quoteTable(table.table))],
  );
  const digests = new Map(rows.map((row) => [Number(row.oid), row.digest]));
  if (plan.tables.some((table) => digests.get(table.oid) !== table.observed)) throw new StaleObservation('observe again');
}

async function runStep(query: RunQuery, step: Step, owner: string): Promise<void> {
  try {
    await query(operationSql(step.operation));
  } catch (error) {
    if (errorCodeOf(error) === lockNotAvailable) throw error;
    if ('policy' in step.operation && isExpressionError(error)) {
      const { policy, table } = step.operation;
      throw new RowsealError('BadPredicate', `rule ${policy.rule} does not fit table ${describeTable(table)}: ${statementError(error, 'creating its policy', owner).message}`, {
        object: `RowPolicy ${owner}`,
        next: 'compare columns, literals and their types with the table',
        cause: error,
      });
    }
    throw statementError(error, step.operation.kind, `RowPolicy ${owner}`);
  }
}

/** Classes of errors that the rule's own expression causes: bad literals (22), and syntax or types that don't match (42). */
function isExpressionError(error: unknown): boolean {
  const code = errorCodeOf(error) ?? '';
  return code.startsWith('22') || (code.startsWith('42') && code !== '42501') || code.startsWith('0A');
}

/** Where capture is installed, the new digest stands in the WAL at exactly this commit. */
async function emitDigests(query: RunQuery, plan: Plan): Promise<void> {
  const [row] = await query<{ present: boolean }>(`select to_regprocedure('rowseal.emit_policy_digest(oid)') is not null as present`);
  if (row?.present !== true) return;
  for (const { oid } of plan.tables) await query('select rowseal.emit_policy_digest($1::oid)', [oid]);
}

async function waitingForLock(plan: Plan, session: ApplyOptions['session'], signal: AbortSignal): Promise<RowsealError> {
  const oids = plan.tables.map((table) => table.oid);
  const holders = await session.exclusively(
    (query) =>
      query<{ pid: number | null; name: string; application: string | null }>(
        `select distinct l.pid, l.relation::regclass::text as name, a.application_name as application
           from pg_locks l left join pg_stat_activity a on a.pid = l.pid
          where l.granted and l.relation = any ($1::int8[]::oid[]) and l.pid is distinct from pg_backend_pid() order by l.pid limit 8`,
        [oids],
      ),
    signal,
  );
  const who = holders.map(({ pid, name, application }) => `${pid === null ? 'a prepared transaction' : `process ${pid}`}${application ? ` (${JSON.stringify(application)})` : ''} on ${name}`);
  return new RowsealError('WaitingForLock', who.length === 0 ? 'the tables were locked' : `waiting for locks held by ${who.join(', ')}`, {
    object: `RowPolicy ${plan.owner}`,
    next: 'it is tried again; end the transactions that hold the locks if they hang',
    retryable: true,
  });
}
