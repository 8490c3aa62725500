// Getting in on real PostgreSQL: every way it fails has its code, and no message holds the password.
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, endClient } from '../../src/adapters/postgres/connection.ts';
import { connectionTarget } from '../../src/adapters/postgres/connection-target.ts';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { DatabaseConnectionSpec } from '../../src/model/kinds.ts';
import type { ConnectionTarget } from '../../src/ports/database.ts';
import { freePort, installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

const spec: DatabaseConnectionSpec = { engine: 'PostgreSQL', connection: { secretRef: { name: 'admin' } } };
const secretPassword = 'pa55-s3cret';

function target(data: Record<string, string>, extra: { spec?: DatabaseConnectionSpec; annotations?: Record<string, string> } = {}): ConnectionTarget {
  return connectionTarget({ spec: extra.spec ?? spec, secret: { data, annotations: extra.annotations ?? {}, resourceVersion: '1' }, secretName: 'Secret shop/admin' });
}

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

async function failureOf(action: () => unknown): Promise<RowsealError> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof RowsealError)) throw error;
    expect(error.describe()).not.toContain(secretPassword);
    expect(error.next).toBeDefined();
    return error;
  }
  throw new Error('nothing failed');
}

describe('what the Secret says', () => {
  const withParameter = (text: string) => ({ uri: `postgresql://u:${secretPassword}@db.example.com/shop?${text}` });

  test.each([
    ['no uri and no host', { user: 'u' }, /host/],
    ['no user', { host: 'h', dbname: 'd' }, /user/],
    ['a port that is no number', { host: 'h', user: 'u', dbname: 'd', port: 'x' }, /port/],
    ['no database', { host: 'h', user: 'u' }, /database/],
    ['the database of a superuser Secret', { host: 'h', user: 'u', dbname: '*' }, /database/],
    ['an unknown parameter', withParameter('options=-c%20a%3Db'), /"options"/],
    ['a file of its own', withParameter('sslrootcert=/tmp/x'), /sslrootcert/],
    ['an unknown sslmode', withParameter('sslmode=maybe'), /sslmode/],
    ['a timeout out of bounds', withParameter('connect_timeout=0'), /connect_timeout/],
    ['no URI at all', { uri: `://${secretPassword}` }, /uri/],
    ['several hosts', { uri: `postgresql://u:${secretPassword}@a:1,b:2/shop` }, /hosts/],
    ['another scheme', { uri: `mysql://u:${secretPassword}@a/shop` }, /postgresql/],
    ['a broken escape', { uri: `postgresql://u%zz:${secretPassword}@a/shop` }, /escape|uri/],
  ])('is refused with %s', async (_name, data, named) => {
    const error = await failureOf(() => target(data));
    expect(error.code).toBe('BadSecret');
    expect(error.message).toMatch(named);
  });

  test('is read from the keys that CloudNativePG and Crunchy write', () => {
    expect(target({ username: 'u', password: 'p', host: 'h', port: '5433', dbname: 'd' })).toMatchObject({ host: 'h', port: 5433, user: 'u', password: 'p', database: 'd' });
    expect(target({ user: 'u', host: 'h', database: 'd' })).toMatchObject({ port: 5432, database: 'd' });
    expect(target({ uri: 'postgres://u:p%40%2F@[::1]:5/a%20b?sslmode=disable', host: 'ignored' })).toMatchObject({ host: '::1', port: 5, password: 'p@/', database: 'a b' });
  });

  test('decides TLS: verified by default, none on loopback, the URI where the spec is silent, the spec before the URI', () => {
    const mode = (uri: string, tls?: DatabaseConnectionSpec['connection']['tls']) =>
      target({ uri }, { spec: { ...spec, connection: { ...spec.connection, ...(tls ? { tls } : {}) } } }).tls.mode;
    expect(mode('postgresql://u@db.example.com/d')).toBe('verify-full');
    expect(mode('postgresql://u@127.0.0.1/d')).toBe('disable');
    expect(mode('postgresql://u@%2Fvar%2Frun/d')).toBe('disable');
    expect(mode('postgresql://u@127.0.0.1.evil.com/d')).toBe('verify-full');
    expect(mode('postgresql://u@db.example.com/d?sslmode=prefer')).toBe('verify-full');
    expect(mode('postgresql://u@db.example.com/d?sslmode=require')).toBe('require');
    expect(mode('postgresql://u@db.example.com/d?sslmode=disable', { mode: 'verify-ca' })).toBe('verify-ca');
  });

  test('may be overridden only where the Secret allows it', async () => {
    const overriding = { ...spec, connection: { ...spec.connection, overrides: { host: 'other', port: 1, database: 'x' } } };
    const data = { host: 'h', user: 'u', dbname: '*' };
    expect((await failureOf(() => target(data, { spec: overriding }))).code).toBe('BadSecret');
    expect(target(data, { spec: overriding, annotations: { 'rowseal.dev/allow-overrides': 'true' } })).toMatchObject({ host: 'other', port: 1, database: 'x', tls: { mode: 'verify-full' } });
  });
});

describe.each(supportedMajors)('PostgreSQL %s', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
  });
  afterAll(() => postgres?.stop());
  const open = (uri: string) => openSession(target({ uri }), signal());

  test('names a wrong password, a missing role, a missing database, a silent or absent server, missing TLS', async () => {
    expect((await failureOf(() => open(postgres.uri('postgres', 'postgres', secretPassword)))).code).toBe('DatabaseAuthentication');
    expect((await failureOf(() => open(postgres.uri('postgres', 'nobody', secretPassword)))).code).toBe('DatabaseAuthentication');
    expect((await failureOf(() => open(`postgresql://postgres@127.0.0.1:${postgres.port}/postgres`))).code).toBe('DatabaseAuthentication');
    expect((await failureOf(() => open(postgres.uri('absent')))).code).toBe('DatabaseObjectMissing');
    expect(await failureOf(() => open(`postgresql://u:p@127.0.0.1:1/d`))).toMatchObject({ code: 'DatabaseUnreachable', retryable: true });
    expect((await failureOf(() => open(postgres.uri().replace('disable', 'require')))).message).toMatch(/TLS/);
  });

  test('gives up on a server that accepts and never answers', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket));
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const error = await failureOf(() => open(`postgresql://u:${secretPassword}@127.0.0.1:${port}/d?connect_timeout=1`));
    expect(error.code).toBe('DatabaseUnreachable');
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test('lets one operator in, names it to the second, and lets that one in when the first is gone', async () => {
    const first = await open(postgres.uri());
    const error = await failureOf(() => open(postgres.uri()));
    expect(error).toMatchObject({ code: 'DatabaseConflict', retryable: true });
    expect(error.message).toContain(String(first.pid));
    expect(error.message).toContain('rowseal');
    await first.close();
    const second = await open(postgres.uri());
    await second.close();
  });

  test('keeps callers apart: a statement waits for a transaction that holds the session', async () => {
    const session = await open(postgres.uri());
    const order: string[] = [];
    const held = session.transaction(async (query) => {
      order.push('begun');
      await query('select pg_sleep(0.2)');
      order.push('ends');
    }, signal());
    const other = session.query('select 1', [], signal()).then(() => order.push('other'));
    await Promise.all([held, other]);
    expect(order).toEqual(['begun', 'ends', 'other']);
    await session.close();
  });

  test('cancels the running statement when its caller is aborted, rolls back, and stays usable', async () => {
    const session = await open(postgres.uri());
    const abort = new AbortController();
    const reason = new Error('enough');
    const running = session.transaction(async (query) => {
      await query('create table public.left_behind ()');
      setTimeout(() => abort.abort(reason), 100);
      await query('select pg_sleep(30)');
    }, abort.signal);
    await expect(running).rejects.toBe(reason);
    expect(await session.query(`select to_regclass('public.left_behind') is null as gone`, [], signal())).toEqual([{ gone: true }]);
    await session.close();
  });

  test('says that the session is lost when its backend is ended', async () => {
    const session = await open(postgres.uri());
    await withClient(postgres.uri(), (client) => client.query('select pg_terminate_backend($1)', [session.pid]));
    await expect(session.lost).rejects.toMatchObject({ code: 'DatabaseUnreachable', retryable: true });
  });

  test('hears notifications', async () => {
    const session = await open(postgres.uri());
    const heard = new Promise<string>((resolve) => void session.listen('bell', resolve, signal()));
    await session.query('select 1', [], signal());
    await withClient(postgres.uri(), (client) => client.query(`notify bell, 'rings'`));
    expect(await heard).toBe('rings');
    await session.close();
  });

  test('tells what the server and our role can do', async () => {
    await withClient(postgres.uri(), (client) => client.query(`create role plain login password 'x'; create role maker login password 'x' createrole bypassrls replication`));
    const factsAs = async (user: string, password: string) => {
      const session = await open(postgres.uri('postgres', user, password));
      const facts = await session.exclusively((query) => readFacts(query, session.target), signal());
      await session.close();
      return facts;
    };
    expect(await factsAs('postgres', postgres.password)).toMatchObject({
      versionNumber: expect.any(Number),
      capabilities: ['LogicalDecoding', 'EventTriggers', 'BypassRLS', 'CreateRole', 'Superuser'],
    });
    expect((await factsAs('plain', 'x')).capabilities).toEqual([]);
    const maker = await factsAs('maker', 'x');
    expect(maker.capabilities).toEqual(['LogicalDecoding', 'BypassRLS', 'CreateRole']);
    expect(maker.version.startsWith(String(major))).toBe(true);
    expect(maker.systemIdentifier).toMatch(/^\d{15,}$/);
  });

  test('refuses a pooler: one whose greeting names another process than the one that answers', async () => {
    const pooler = await startPretendingPooler(postgres.port);
    const error = await failureOf(() => open(postgres.uri().replace(`:${postgres.port}`, `:${pooler.port}`)));
    expect(error.code).toBe('BadSecret');
    expect(error.message).toMatch(/pooler/);
    pooler.server.close();
  });
});

describe('a server that may be anybody', () => {
  test.each([
    ['a cleartext password', authentication(3)],
    ['an md5 password', Buffer.concat([authentication(5, 4), Buffer.from('salt')])],
    ['no password at all', Buffer.concat([authentication(0), backendKey(7), ready()])],
  ])('that asks for %s gets none where its certificate is not verified', async (method, answer) => {
    const received: Buffer[] = [];
    const { server, port } = await startAnswering(answer, received);
    // Resolved without a network: an address of this machine that is not spelt as loopback.
    const place = { ...target({ uri: `postgresql://u:${secretPassword}@127.0.0.1:${port}/d` }), host: '0.0.0.0', connectTimeoutMs: 3000 };
    const error = await failureOf(async () => endClient(await connectClient(place, {}, signal())));
    expect(error.code).toBe('DatabaseAuthentication');
    expect(error.message).toContain(method);
    expect(Buffer.concat(received).toString('latin1')).not.toContain(secretPassword);
    expect(Buffer.concat(received).includes('md5')).toBe(false);
    server.close();
  });
});

function authentication(kind: number, extra = 0): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.write('R', 0);
  bytes.writeInt32BE(8 + extra, 1);
  bytes.writeInt32BE(kind, 5);
  return bytes;
}

function backendKey(pid: number): Buffer {
  const bytes = Buffer.alloc(13);
  bytes.write('K', 0);
  bytes.writeInt32BE(12, 1);
  bytes.writeInt32BE(pid, 5);
  return bytes;
}

function ready(): Buffer {
  return Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
}

async function startAnswering(answer: Buffer, received: Buffer[]): Promise<{ server: Server; port: number }> {
  const port = await freePort();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(answer));
    socket.on('data', (chunk) => received.push(chunk));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { server, port };
}

/** Passes bytes through, but hands out a cancel key of its own, as every pooler does. */
async function startPretendingPooler(upstreamPort: number): Promise<{ server: Server; port: number }> {
  const { connect } = await import('node:net');
  const port = await freePort();
  const server = createServer((socket) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
    socket.pipe(upstream);
    upstream.on('data', (chunk) => {
      const at = chunk.indexOf(Buffer.from([0x4b, 0, 0, 0, 0x0c]));
      if (at >= 0) chunk.writeInt32BE(424_242, at + 5);
      socket.write(chunk);
    });
    upstream.on('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { server, port };
}

