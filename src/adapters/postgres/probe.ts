// The probe: a login role that may become the tested roles and nothing else, so that what a user wrote is never evaluated as us.
import type pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { describeTarget, errorCodeOf, statementError } from './database-error.ts';
import { createMutex } from './mutex.ts';
import { dropProbeRole, expiredProbeRoles, type ProbeFacts, type ProbeRole, retireProbeRole, settleProbeRole } from './probe-role.ts';
import { quoteName } from './quote.ts';
import { scramVerifier } from './scram-verifier.ts';
import type { RunQuery, Session } from './session.ts';

export interface Probe {
  /**
   * Runs the action on a fresh connection of the probe role, which may SET ROLE to these roles. One at a time.
   * Throws DatabasePrivilege when our role may not make the probe role, saying which SQL helps.
   */
  use<T>(roles: readonly string[], action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Takes memberships and login away again; a temporary role goes, too. Also what an earlier process left when it was killed. */
  close(signal: AbortSignal): Promise<void>;
}

export interface ProbeOptions {
  readonly session: Pick<Session, 'target' | 'transaction'>;
  readonly facts: ProbeFacts;
  readonly randomness: Randomness;
  /** A role of its own for this process, dropped on close: what a command line uses beside an operator. */
  readonly temporary?: boolean;
  /** How long one use may take. */
  readonly deadlineMs?: number;
}

const defaultDeadlineMs = 60_000;

export function createProbe(options: ProbeOptions): Probe {
  const { session, facts, randomness } = options;
  const password = Buffer.from(randomness.bytes(32)).toString('base64url');
  const verifier = scramVerifier(password, randomness.bytes(16));
  const suffix = options.temporary === true ? `_${Buffer.from(randomness.bytes(8)).toString('hex')}` : '';
  const mutex = createMutex();
  let wanted: ReadonlySet<string> = new Set();
  let known = false;

  /** Looked over before every use: a DBA may have granted it something, or dropped it. */
  const prepare = async (roles: readonly string[], signal: AbortSignal): Promise<string> => {
    wanted = new Set([...wanted, ...roles]);
    const name = await session.transaction(async (query) => {
      const role: ProbeRole = { name: `${await baseName(query)}${suffix}`, facts, verifier, known, wanted };
      await settleProbeRole(query, role);
      return role.name;
    }, signal);
    // If we die here, the role keeps a password that nobody knows and that expires; the next process sets its own and revokes what it does not need.
    known = true;
    return name;
  };

  const useOnce = async <T>(roles: readonly string[], action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T> => {
    const name = await prepare(roles, signal).catch((error: unknown) => {
      throw unavailable(error, options, roles);
    });
    const end = AbortSignal.any([signal, AbortSignal.timeout(options.deadlineMs ?? defaultDeadlineMs)]);
    return connected({ ...session.target, user: name, password }, action, end);
  };

  return {
    use: (roles, action, signal) =>
      mutex.run(async () => {
        const before = known;
        try {
          return await useOnce(roles, action, signal);
        } catch (error) {
          if (!before || !(error instanceof RowsealError) || error.code !== 'DatabaseAuthentication') throw error;
          // Somebody changed the password since we set it.
          known = false;
          return useOnce(roles, action, signal);
        }
      }, signal),
    close: (signal) =>
      mutex.run(async () => {
        await leave(options, suffix, signal);
        known = false;
        wanted = new Set();
      }, signal),
  };
}

async function connected<T>(target: ConnectionTarget, action: (query: RunQuery) => Promise<T>, end: AbortSignal): Promise<T> {
  const client = await connectClient(target, { purpose: 'probe' }, end);
  // The server's own limits come first; this one is for a statement that evades them, and for a server or network that is silent.
  let ended: Promise<void> | undefined;
  const cut = () => {
    ended = terminate(client, target);
  };
  end.addEventListener('abort', cut, { once: true });
  try {
    return await action(probeQuery(client, end));
  } finally {
    end.removeEventListener('abort', cut);
    await ended;
    await endClient(client);
  }
}

/** A function may catch the cancel of a timeout and go on; only the end of its backend ends it. */
async function terminate(client: pg.Client, target: ConnectionTarget): Promise<void> {
  const pid = (client as unknown as { readonly processID: number }).processID;
  try {
    const second = await connectClient(target, { purpose: 'probe end' }, AbortSignal.timeout(5_000));
    await second.query('select pg_catalog.pg_terminate_backend($1)', [pid]);
    await endClient(second);
  } catch {
    // The server does not answer, or has ended it already.
  } finally {
    wireOf(client).stream.destroy(new Error('the connection was given up'));
  }
}

/** Roles belong to the whole cluster, so each database has its own probe: two operators would otherwise take it from each other. */
async function baseName(query: RunQuery): Promise<string> {
  const [row] = await query<{ name: string }>(`select 'rowseal_probe_' || oid as name from pg_catalog.pg_database where datname = current_database()`);
  return row?.name ?? '';
}

async function leave({ session, facts, temporary }: ProbeOptions, suffix: string, signal: AbortSignal): Promise<void> {
  const name = await session.transaction(baseName, signal);
  const expired = await session.transaction((query) => expiredProbeRoles(query, `${name}_`), signal);
  const mine = temporary === true ? [`${name}${suffix}`] : [];
  for (const gone of [...mine, ...expired]) await session.transaction((query) => dropProbeRole(query, gone, facts), signal);
  if (temporary !== true) await session.transaction((query) => retireProbeRole(query, name, facts), signal);
}

function probeQuery(client: pg.Client, signal: AbortSignal): RunQuery {
  return async <Row extends object>(text: string, values?: readonly unknown[]) => {
    signal.throwIfAborted();
    const result = await (values === undefined ? client.query<Row>(text) : client.query<Row>(text, [...values]));
    return result.rows;
  };
}

function unavailable(error: unknown, { session, facts }: ProbeOptions, roles: readonly string[]): RowsealError {
  const object = describeTarget(session.target);
  if (errorCodeOf(error) !== '42501') return statementError(error, 'preparing the probe role', object);
  const us = quoteName(facts.user);
  const admin = roles.map((role) => `GRANT ${quoteName(role)} TO ${us} WITH ADMIN OPTION`);
  const sql = [`ALTER ROLE ${us} CREATEROLE`, `GRANT CONNECT, TEMPORARY ON DATABASE ${quoteName(facts.database)} TO ${us} WITH GRANT OPTION`, ...admin].join('; ');
  return new RowsealError('DatabasePrivilege', 'nothing can be evaluated on the probe connection: our role may not prepare the probe role', { object, next: `let a superuser run: ${sql}`, cause: error });
}
