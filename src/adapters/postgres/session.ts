// The one direct session that applies: it holds Rowseal's advisory lock, runs one caller at a time, and says when it is lost.
import type pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { describeTarget, statementError } from './database-error.ts';
import { createMutex, type Mutex, untilAborted } from './mutex.ts';
import { inTransaction } from './in-transaction.ts';
import type { RunQuery } from './run-query.ts';
import { holdAdvisoryLock, type OnHeld, prepareSession, refusePooler } from './session-start.ts';

export type { RunQuery } from './run-query.ts';

export interface Session {
  readonly target: ConnectionTarget;
  /** Backend process id. */
  readonly pid: number;
  /** Rejects, once, when the connection and with it the lock is gone. Never an unhandled rejection by itself. */
  readonly lost: Promise<never>;
  /** One statement by itself, waiting for whoever holds the session. Throws PostgreSQL's own error; see statementError. */
  query<Row extends object = Record<string, unknown>>(text: string, values: readonly unknown[], signal: AbortSignal): Promise<readonly Row[]>;
  /** BEGIN, the action alone on the session, COMMIT; ROLLBACK if it throws. A lost COMMIT answer leaves the outcome unknown: observe again. */
  transaction<T>(action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The action alone on the session, without a transaction around it; it must leave none open. */
  exclusively<T>(action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** LISTEN; returns what ends it. The payload is whatever any role wrote there: only a hint, never a fact. */
  listen(channel: string, heard: (payload: string) => void, signal: AbortSignal): Promise<() => void>;
  close(): Promise<void>;
}

const pingEveryMs = 15_000;
const pingDeadlineMs = 10_000;
/** Beyond the server's own statement_timeout, so that it speaks only when the server or the network does not. */
const statementDeadlineMs = 90_000;

/** Connects, refuses a pooler, takes the lock. Throws as connectClient does, and DatabaseConflict when another session holds the lock. */
export async function openSession(target: ConnectionTarget, signal: AbortSignal, onHeld?: OnHeld): Promise<Session> {
  const client = await connectClient(target, {}, signal);
  try {
    const query = runner(client, target, signal);
    await refusePooler(client, query, target);
    await prepareSession(query);
    await holdAdvisoryLock(query, target, onHeld);
  } catch (error) {
    await endClient(client);
    signal.throwIfAborted();
    throw statementError(error, 'opening the session', describeTarget(target));
  }
  return sessionOf(client, target);
}

function sessionOf(client: pg.Client, target: ConnectionTarget): Session {
  const mutex = createMutex();
  const lost = lossOf(client, target);
  const exclusively: Session['exclusively'] = (action, signal) => mutex.run(() => action(runner(client, target, signal)), signal);
  const ping = pinging(client, mutex);
  client.once('end', () => clearInterval(ping));
  return {
    target,
    pid: processId(client),
    lost,
    exclusively,
    query: (text, values, signal) => exclusively((query) => query(text, values), signal),
    transaction: (action, signal) => exclusively((query) => inTransaction(query, action), signal),
    listen: (channel, heard, signal) => listen({ client, exclusively, channel, heard, signal }),
    close: async () => {
      clearInterval(ping);
      await endClient(client);
    },
  };
}

/** Statements of one holder; when the signal is aborted the running one is cancelled in the server, or the connection ended. */
function runner(client: pg.Client, target: ConnectionTarget, signal: AbortSignal): RunQuery {
  return async <Row extends object>(text: string, values: readonly unknown[] = []) => {
    // After an abort only the rollback may still run, so that the session stays usable for the next holder.
    if (text !== 'rollback') signal.throwIfAborted();
    const end = (why: string) => wireOf(client).stream.destroy(new Error(why));
    const deadline = setTimeout(() => end('the server did not answer in time'), statementDeadlineMs);
    let cancelled: Promise<void> | undefined;
    const cancel = () => {
      cancelled = cancelStatement(client, target).catch(() => end('the statement could not be cancelled'));
    };
    if (text !== 'rollback') signal.addEventListener('abort', cancel, { once: true });
    try {
      const result = await client.query<Row>(text, [...values]);
      if (text === 'commit' && result.command !== 'COMMIT') throw new Error('the transaction had failed and was rolled back');
      return result.rows;
    } catch (error) {
      if (cancelled !== undefined) throw signal.reason;
      throw error;
    } finally {
      clearTimeout(deadline);
      signal.removeEventListener('abort', cancel);
      // A cancel that came too late must not hit the next holder's statement.
      await cancelled;
    }
  };
}

async function cancelStatement(client: pg.Client, target: ConnectionTarget): Promise<void> {
  const second = await connectClient(target, { purpose: 'cancel' }, AbortSignal.timeout(5_000));
  try {
    await second.query('select pg_catalog.pg_cancel_backend($1)', [processId(client)]);
  } finally {
    await endClient(second);
  }
}

/** Finds a half-open connection: an idle session would otherwise believe in its lock for hours. */
function pinging(client: pg.Client, mutex: Mutex): NodeJS.Timeout {
  let waiting = false;
  const ping = async () => {
    // A busy session needs no ping, since its own statement has a deadline; so one waiting ping is enough.
    if (waiting) return;
    waiting = true;
    try {
      await mutex.run(() => untilAborted(client.query('select 1'), AbortSignal.timeout(pingDeadlineMs)));
    } catch {
      wireOf(client).stream.destroy(new Error('the server no longer answers'));
    } finally {
      waiting = false;
    }
  };
  return setInterval(() => void ping(), pingEveryMs).unref();
}

function lossOf(client: pg.Client, target: ConnectionTarget): Promise<never> {
  const lost = new Promise<never>((_resolve, reject) => {
    client.once('end', () => {
      reject(new RowsealError('DatabaseUnreachable', 'the session was lost', { object: describeTarget(target), next: 'it reconnects by itself', retryable: true }));
    });
  });
  lost.catch(() => undefined);
  return lost;
}

interface Listening {
  readonly client: pg.Client;
  readonly exclusively: Session['exclusively'];
  readonly channel: string;
  readonly heard: (payload: string) => void;
  readonly signal: AbortSignal;
}

async function listen({ client, exclusively, channel, heard, signal }: Listening): Promise<() => void> {
  const onNotification = (message: pg.Notification) => {
    if (message.channel === channel) heard(message.payload ?? '');
  };
  client.on('notification', onNotification);
  await exclusively((query) => query(`listen ${client.escapeIdentifier(channel)}`), signal);
  return () => void client.removeListener('notification', onNotification);
}

function processId(client: pg.Client): number {
  return (client as unknown as { readonly processID: number }).processID;
}
