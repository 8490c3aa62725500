// One authenticated connection of the `pg` library: deadlines, TLS, and no password that a stranger could read.
import pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { isLocal } from './connection-target.ts';
import { connectError, describeTarget } from './database-error.ts';

export interface ConnectOptions {
  /** Makes a walsender connection instead of an ordinary one. */
  readonly replication?: 'database';
  /** Ends the server's name of this connection, so that people find it in pg_stat_activity. */
  readonly purpose?: string;
}

/** The part of pg's wire connection that we listen to; its typings leave it out. */
export interface WireConnection extends NodeJS.EventEmitter {
  readonly stream: { destroy(error?: Error): void; ref(): void; unref(): void };
}

const defaultConnectTimeoutMs = 10_000;
const keepAliveDelayMs = 10_000;

/** A connected client; the caller ends it. Throws DatabaseUnreachable, DatabaseAuthentication, DatabaseObjectMissing, DatabasePrivilege. */
export async function connectClient(target: ConnectionTarget, options: ConnectOptions, signal: AbortSignal): Promise<pg.Client> {
  signal.throwIfAborted();
  const client = new pg.Client(clientConfig(target, options));
  const guard = guardPassword(client, target);
  // An error between two statements reaches the owner as `end`; without a listener it would end the process.
  client.on('error', () => undefined);
  const abort = () => wireOf(client).stream.destroy(new Error('the connection attempt was given up'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
    guard.assertProven();
    return client;
  } catch (error) {
    wireOf(client).stream.destroy();
    signal.throwIfAborted();
    throw connectError(guard.refusal() ?? error, target);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

export function wireOf(client: pg.Client): WireConnection {
  return (client as unknown as { readonly connection: WireConnection }).connection;
}

/** Ends a client within a deadline, however dead the network is. */
export async function endClient(client: pg.Client, deadlineMs = 2_000): Promise<void> {
  const timer = setTimeout(() => wireOf(client).stream.destroy(), deadlineMs);
  try {
    await client.end();
  } catch {
    // It is gone already, which is what was wanted.
  } finally {
    clearTimeout(timer);
  }
}

/** Place, user and TLS are all given, so that no PG* variable of the operator's environment decides them. */
function clientConfig(target: ConnectionTarget, options: ConnectOptions): pg.ClientConfig {
  const name = target.applicationName ?? 'rowseal';
  return {
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    ssl: tlsOptions(target),
    sslnegotiation: 'postgres',
    application_name: options.purpose === undefined ? name : `${name} ${options.purpose}`.slice(0, 63),
    connectionTimeoutMillis: target.connectTimeoutMs ?? defaultConnectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    client_encoding: 'UTF8',
    // Without a verified certificate only channel binding tells the server from one in the middle.
    ...(target.tls.mode === 'require' ? { enableChannelBinding: true } : {}),
    ...(options.replication === undefined ? {} : { replication: options.replication }),
  };
}

function tlsOptions(target: ConnectionTarget): pg.ClientConfig['ssl'] {
  const ca = target.tls.ca === undefined ? {} : { ca: target.tls.ca };
  switch (target.tls.mode) {
    case 'disable':
      return false;
    case 'require':
      // As libpq does: whoever gives an authority wants it checked.
      return target.tls.ca === undefined ? { rejectUnauthorized: false } : { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-ca':
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...ca, rejectUnauthorized: true };
  }
}

/**
 * Gives the password only to an exchange that does not reveal it: SCRAM, unless the place is local or its certificate verified.
 * `pg` asks for the password after it has seen the method, so refusing there means that nothing was sent.
 */
function guardPassword(client: pg.Client, target: ConnectionTarget) {
  const open = !isLocal(target.host) && (target.tls.mode === 'disable' || (target.tls.mode === 'require' && target.tls.ca === undefined));
  let method = 'no password at all';
  let refused: RowsealError | undefined;
  const refuse = (): RowsealError => {
    refused ??= new RowsealError('DatabaseAuthentication', `the server asks for ${method} over a connection whose certificate is not verified`, {
      object: describeTarget(target),
      next: 'let the server use scram-sha-256, or set spec.connection.tls.mode to verify-full',
    });
    return refused;
  };
  const wire = wireOf(client);
  wire.once('authenticationCleartextPassword', () => (method = 'a cleartext password'));
  wire.once('authenticationMD5Password', () => (method = 'an md5 password'));
  wire.once('authenticationSASLFinal', () => (method = 'SCRAM'));
  wire.once('authenticationSASL', () => (method = 'an unfinished SCRAM exchange'));
  const password = async (): Promise<string> => {
    if (open && (method === 'a cleartext password' || method === 'an md5 password')) throw refuse();
    if (target.password === undefined) throw missingPassword(target);
    return target.password;
  };
  Object.assign(client, { password });
  return {
    refusal: () => refused,
    /** A server that let us in without proving that it knows the password may be anybody's. */
    assertProven: () => {
      if (open && method !== 'SCRAM') throw refuse();
    },
  };
}

function missingPassword(target: ConnectionTarget): RowsealError {
  return new RowsealError('DatabaseAuthentication', 'the server asks for a password that the Secret does not have', {
    object: describeTarget(target),
    next: 'add the key password to the Secret',
  });
}
