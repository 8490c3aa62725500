// What PostgreSQL and the network answer, as RowsealErrors that never repeat a value of somebody's row or a password.
import { type ErrorCode, RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';

/** `database shop on db.example.com:5432`: how messages name the place; it holds no secret. */
export function describeTarget(target: ConnectionTarget): string {
  return `database ${target.database} on ${target.host}:${target.port}`;
}

/** SQLSTATE of a server's error, or the system's code of a network error. */
export function errorCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The error of a failed login, told by its cause: unreachable, TLS, password, missing database. */
export function connectError(error: unknown, target: ConnectionTarget): RowsealError {
  if (error instanceof RowsealError) return error;
  const object = describeTarget(target);
  const code = errorCodeOf(error);
  const text = error instanceof Error ? error.message : 'unknown failure';
  const make = (kind: ErrorCode, message: string, next: string, retryable: boolean): RowsealError =>
    new RowsealError(kind, message, { object, next, retryable, cause: error });
  if (code === '28P01') return make('DatabaseAuthentication', `the server refused the password of user ${target.user}`, 'correct user and password in the Secret', false);
  if (code === '28000') return make('DatabaseAuthentication', `the server refused user ${target.user}: ${text}`, 'create the role, or admit it in pg_hba.conf', false);
  if (code === '42501') return make('DatabasePrivilege', `user ${target.user} may not connect to ${target.database}`, 'grant CONNECT on the database to the user', false);
  if (code === '3D000') return make('DatabaseObjectMissing', `database ${target.database} does not exist`, 'create the database, or correct its name in the Secret', false);
  if (text.includes('password must be a') || text.includes('SASL: SCRAM-SERVER')) {
    return make('DatabaseAuthentication', 'the server asks for a password that the Secret does not have', 'add the key password to the Secret', false);
  }
  if (text.startsWith('SASL')) return make('DatabaseAuthentication', 'the SCRAM exchange failed', 'check that the host is the server you mean, and the password', false);
  if (isTlsFailure(code, text)) {
    return make('DatabaseUnreachable', `the TLS handshake failed: ${text}`, 'give the authority in spec.connection.tls.caSecretRef, or set spec.connection.tls.mode', true);
  }
  return make('DatabaseUnreachable', `no connection: ${reason(code, text)}`, 'check host and port in the Secret, and that the server accepts connections from here', true);
}

/** The error of a failed statement. `doing` says what was tried; a message that could quote a value is replaced by its SQLSTATE. */
export function statementError(error: unknown, doing: string, object: string): RowsealError {
  if (error instanceof RowsealError) return error;
  const code = errorCodeOf(error) ?? '';
  const text = sayable(error);
  const details = { object, cause: error };
  if (isLoss(error)) {
    return new RowsealError('DatabaseUnreachable', `the session was lost while ${doing}`, { ...details, next: 'it reconnects by itself', retryable: true });
  }
  if (code === '42501') return new RowsealError('DatabasePrivilege', `not allowed while ${doing}: ${text}`, { ...details, next: 'grant the right; `rowseal bootstrap sql` prints what the operator needs' });
  if (code === '55P03' || code === '40P01') return new RowsealError('WaitingForLock', `a lock was not to be had while ${doing}`, { ...details, next: 'it is tried again', retryable: true });
  if (code === '57014') return new RowsealError('Deadline', `took too long or was cancelled while ${doing}`, { ...details, retryable: true });
  if (['3F000', '42P01', '42703', '42704', '42883', '3D000'].includes(code)) {
    return new RowsealError('DatabaseObjectMissing', `${text} (while ${doing})`, { ...details, next: 'create the object, or correct its name' });
  }
  const retryable = ['40', '53', '55', '57'].includes(code.slice(0, 2));
  return new RowsealError('DatabaseStatement', `${text} (while ${doing})`, { ...details, retryable });
}

function isLoss(error: unknown): boolean {
  const code = errorCodeOf(error);
  // `pg` has no code for a connection that ends under a query; system codes such as ECONNRESET are no SQLSTATEs.
  if (code === undefined) return error instanceof Error && /connection|queryable/i.test(error.message);
  return !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08') || code.startsWith('57P') || code === 'EPIPE';
}

/** Classes whose messages name objects, never data; 22 (data), 23 (constraints) and P0 (raised by users) may quote a row. */
export function sayable(error: unknown): string {
  const code = errorCodeOf(error) ?? 'unknown';
  const safe = ['0A', '25', '28', '2B', '2F', '3D', '3F', '40', '42', '53', '54', '55', '57'].includes(code.slice(0, 2));
  return safe && error instanceof Error ? error.message : `the server answered SQLSTATE ${code}`;
}

function isTlsFailure(code: string | undefined, text: string): boolean {
  return (
    (code !== undefined && /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)) || text.includes('does not support SSL') || text.includes('certificate')
  );
}

function reason(code: string | undefined, text: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name does not resolve';
    case 'ENOENT':
      return 'there is no such socket';
    default:
      return text === '' ? (code ?? 'unknown failure') : text;
  }
}
