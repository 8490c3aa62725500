// From a DatabaseConnection and its Secret to a ConnectionTarget: what is allowed in, and how much TLS is required.
import { claimsConfiguration } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import type { DatabaseConnectionSpec } from '../../model/kinds.ts';
import type { ConnectionTarget, TargetSource } from '../../ports/database.ts';

type TlsMode = ConnectionTarget['tls']['mode'];
type Place = Omit<ConnectionTarget, 'tls' | 'claims'> & { readonly sslmode?: string };

const overridesAnnotation = 'rowseal.dev/allow-overrides';
const longestConnectTimeoutSeconds = 300;
const tlsModes: readonly string[] = ['verify-full', 'verify-ca', 'require', 'disable'] satisfies readonly TlsMode[];

/** Where and how to connect. Throws BadSecret, naming the Secret's key or parameter that is wrong, never a value of it. */
export function connectionTarget({ spec, secret, secretName, ca }: TargetSource): ConnectionTarget {
  const fromSecret = secret.data['uri'] === undefined ? placeFromKeys(secret.data, secretName) : placeFromUri(secret.data['uri'], secretName);
  const overrides = spec.connection.overrides;
  if (overrides !== undefined && secret.annotations[overridesAnnotation] !== 'true') {
    throw badSecret(secretName, 'the connection overrides parts of a Secret that does not allow it', `annotate the Secret with ${overridesAnnotation}: "true", or remove spec.connection.overrides`);
  }
  const { sslmode, ...place } = fromSecret;
  const host = overrides?.host ?? place.host;
  const database = overrides?.database ?? place.database;
  if (database === '' || database === '*') {
    throw badSecret(secretName, 'the Secret names no single database', `add the key dbname, or set spec.connection.overrides.database and annotate the Secret with ${overridesAnnotation}: "true"`);
  }
  return {
    ...place,
    host,
    port: overrides?.port ?? place.port,
    database,
    tls: { mode: tlsMode(spec, sslmode, host), ...(ca === undefined ? {} : { ca }) },
    claims: claimsConfiguration(spec.claims),
  };
}

/** Loopback addresses and Unix sockets: nobody else can listen in, so TLS and SCRAM are not required there. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function tlsMode(spec: DatabaseConnectionSpec, sslmode: string | undefined, host: string): TlsMode {
  const asked = spec.connection.tls?.mode ?? sslmode;
  const fallback = isLocal(host) ? 'disable' : 'verify-full';
  // libpq's `prefer` and `allow` promise nothing, so they ask for nothing of ours either.
  return asked !== undefined && tlsModes.includes(asked) ? (asked as TlsMode) : fallback;
}

function placeFromKeys(data: Readonly<Record<string, string>>, secretName: string): Place {
  const needed = (...keys: readonly string[]): string => {
    const value = keys.map((key) => data[key]).find((candidate) => candidate !== undefined && candidate !== '');
    if (value === undefined) {
      throw badSecret(secretName, `the Secret has no key ${keys.join(' or ')}`, 'add the key uri, or host, port, dbname, user and password');
    }
    return value;
  };
  const password = data['password'];
  return {
    host: needed('host'),
    port: parsePort(data['port'] ?? '5432', secretName),
    database: data['dbname'] ?? data['database'] ?? '',
    user: needed('user', 'username'),
    ...(password === undefined ? {} : { password }),
  };
}

function placeFromUri(text: string, secretName: string): Place {
  const uri = parseUri(text.trim(), secretName);
  const host = decoded(uri.hostname, secretName).replace(/^\[(.*)\]$/, '$1');
  const user = decoded(uri.username, secretName);
  if (host === '') throw badUri(secretName, 'names no host');
  if (user === '') throw badUri(secretName, 'names no user');
  return {
    host,
    port: parsePort(uri.port === '' ? '5432' : uri.port, secretName),
    database: decoded(uri.pathname.replace(/^\//, ''), secretName),
    user,
    ...(uri.password === '' ? {} : { password: decoded(uri.password, secretName) }),
    ...parameters(uri.searchParams, secretName),
  };
}

/** The parser's own error carries the whole URI, password included, so it is dropped rather than kept as a cause. */
function parseUri(text: string, secretName: string): URL {
  let uri: URL;
  try {
    uri = new URL(text);
  } catch {
    throw badUri(secretName, /@[^/]*,/.test(text) ? 'names several hosts; Rowseal applies on one' : 'is not a URI');
  }
  if (uri.protocol !== 'postgresql:' && uri.protocol !== 'postgres:') throw badUri(secretName, 'does not begin with postgresql://');
  if (uri.hash !== '') throw badUri(secretName, 'holds a #; write it as %23');
  return uri;
}

function parameters(search: URLSearchParams, secretName: string): Pick<Place, 'sslmode' | 'connectTimeoutMs' | 'applicationName'> {
  let found: Pick<Place, 'sslmode' | 'connectTimeoutMs' | 'applicationName'> = {};
  for (const [name, value] of search) {
    switch (name) {
      case 'sslmode':
        if (![...tlsModes, 'prefer', 'allow'].includes(value)) throw badUri(secretName, 'holds an unknown value of the parameter sslmode');
        found = { ...found, sslmode: value };
        break;
      case 'connect_timeout':
        found = { ...found, connectTimeoutMs: connectTimeoutMs(value, secretName) };
        break;
      case 'application_name':
        found = { ...found, applicationName: value.slice(0, 63) };
        break;
      case 'sslrootcert':
        throw badUri(secretName, 'holds the parameter sslrootcert, a file that the operator does not have', 'put the certificate into a Secret and name it in spec.connection.tls.caSecretRef');
      default:
        throw badUri(secretName, `holds the parameter ${JSON.stringify(name)}, which is not allowed`, 'keep to sslmode, connect_timeout and application_name');
    }
  }
  return found;
}

function connectTimeoutMs(value: string, secretName: string): number {
  const seconds = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  if (seconds < 1 || seconds > longestConnectTimeoutSeconds) {
    throw badUri(secretName, `holds a connect_timeout that is not between 1 and ${longestConnectTimeoutSeconds} seconds`);
  }
  return seconds * 1000;
}

function parsePort(text: string, secretName: string): number {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw badSecret(secretName, 'the port in the Secret is not a number from 1 to 65535', 'correct the port');
  return port;
}

function decoded(text: string, secretName: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUri(secretName, 'holds a broken percent escape');
  }
}

function badUri(secretName: string, what: string, next = 'write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters percent-encoded'): RowsealError {
  return badSecret(secretName, `the key uri of the Secret ${what}`, next);
}

function badSecret(secretName: string, message: string, next: string): RowsealError {
  return new RowsealError('BadSecret', message, { object: secretName, next });
}
