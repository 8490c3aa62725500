// Nothing lost, nothing twice, nothing out of order, whatever is killed or cut: `rowseal run` into a locked bucket under random faults.
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openS3Reader } from '../../src/adapters/s3/s3-reader.ts';
import { judge, type SealedEntry } from '../audit-oracle/judge.ts';
import { createLogTail, type LogTail } from '../audit-oracle/log-tail.ts';
import { type Random, randomFrom } from '../audit-oracle/random.ts';
import { createReferee, takeRefereed, takeSaid } from '../audit-oracle/referee.ts';
import { auditedTables, numbers, schemaSql } from '../audit-oracle/schema.ts';
import { openSession, type Session } from '../audit-oracle/session.ts';
import { connected } from '../parts/audited-database.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { type S3Server, startS3 } from '../parts/s3.ts';
import { shop } from '../parts/shop.ts';
import { createWorkspace, rowseal, type RunningRowseal, startRowseal, type Workspace } from '../parts/standalone.ts';
import { startTcpProxy, type TcpProxy } from '../parts/tcp-proxy.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, strikeOnce, type Victims } from './faults.ts';

const faults = Number(process.env['ROWSEAL_FAULTS'] ?? 12);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
/** A round ends with a verdict, so that what went wrong is near. */
const faultsEachRound = 12;
const workers = 3;
const catchUpDeadlineMs = 90_000;
const wantedMajor = Number(process.env['ROWSEAL_MAJOR'] ?? 18);
const major = supportedMajors.find((known) => known === wantedMajor) ?? 18;
const tables = new Set(auditedTables(workers));

let postgres: Postgres;
let store: S3Server;
let proxies: { toDatabase: TcpProxy; toStore: TcpProxy };
let workspace: Workspace;
let bucket: string;
let operator: RunningRowseal;
let sessions: readonly Session[];
let tail: LogTail;

beforeAll(async () => {
  const settings = ['max_prepared_transactions = 10', "deadlock_timeout = '50ms'", "wal_receiver_timeout = '10s'"];
  [postgres, store] = await Promise.all([startPostgres({ installation: installationOf(major), settings }), startS3()]);
  await ask(postgres, schemaSql(workers));
  const random = randomFrom(seed + 1);
  // Most pieces are whole, so that the odd ones cost no time.
  const pieceBytes = () => (random.chance(0.2) ? random.int(1, 700) : 65_536);
  proxies = { toDatabase: await startTcpProxy(postgres.port, { pieceBytes }), toStore: await startTcpProxy(Number(new URL(store.endpoint).port), { pieceBytes }) };
  bucket = await store.createBucket('Locked');
  workspace = createWorkspace();
  declare();
  startOperator();
  await workspace.ready('AuditPolicy', 'orders');
  await withAdmin(createReferee);
  const uri = (user: string, password: string) => postgres.uri('postgres', user, password);
  sessions = await Promise.all(numbers(workers).map((worker) => openSession({ worker, seed, uri, faults: true })));
  const { credentials, endpoint, region } = store;
  tail = createLogTail(() => Promise.resolve(openS3Reader({ bucket, credentials, endpoint, region, forcePathStyle: true })));
});

afterAll(async () => {
  await Promise.all((sessions ?? []).map((session) => session.close().catch(() => undefined)));
  await operator?.kill();
  await Promise.all([proxies?.toDatabase.stop(), proxies?.toStore.stop()]);
  await Promise.all([postgres?.stop(), store?.stop()]);
  workspace?.remove();
});

it(`loses, repeats and reorders nothing over ${faults} faults (PostgreSQL ${major}, seed ${seed})`, { timeout: 120_000 + faults * 15_000 }, async () => {
  const random = randomFrom(seed);
  for (let done = 0; done < faults; done += faultsEachRound) {
    const count = Math.min(faultsEachRound, faults - done);
    const { changes, struck } = await round(count, random);
    console.log(`seed ${seed}: ${done + count} faults, ${changes} changes; ${struck.join(', ')}`);
  }
  expect(await operator.stop(), operator.messages().slice(-2000)).toBe(0);
  const key = String(workspace.status('AuditLog', 'shop')?.status['verifierKey']);
  const verdict = await rowseal(['verify', `s3://${bucket}`, '--key', key, '-o', 'json'], store.environment);
  expect(verdict.status, verdict.stdout + verdict.stderr).toBe(0);
});

async function round(count: number, random: Random): Promise<{ changes: number; struck: readonly string[] }> {
  const stop = new AbortController();
  const working = Promise.all(sessions.map((session) => session.work({ signal: stop.signal })));
  working.catch(() => stop.abort());
  const struck: string[] = [];
  const victims: Victims = { postgres, store, ...proxies, operator: () => operator, startOperator };
  while (struck.length < count && !stop.signal.aborted) {
    await sleep(random.int(50, random.chance(0.5) ? 400 : 1_500));
    struck.push(await strikeOnce(victims, random));
  }
  stop.abort();
  await working;
  // Cut by what is still to come, it would be one more fault.
  for (const proxy of [proxies.toDatabase, proxies.toStore]) proxy.cutAfter(Infinity);
  const fence = `-${Date.now()}`;
  const isFence = ({ change }: SealedEntry) => change?.after?.['id']?.startsWith('-') === true;
  await ask(postgres, `insert into ledger values (${fence}, 0, 'fence')`);
  const sealed = await tail.readUntil('the fence', ({ change }) => change?.after?.['id'] === fence, catchUpDeadlineMs).catch((error: unknown) => {
    const status = JSON.stringify(['DatabaseConnection', 'AuditLog', 'AuditPolicy'].map((kind) => workspace.status(kind, kind === 'AuditPolicy' ? 'orders' : 'shop')?.status.conditions));
    throw new Error(`${String(error)} after ${struck.join(', ')}\n${status}\nexit ${operator.child.exitCode}\n${operator.messages().slice(-4000)}`);
  });
  const [said, refereed] = await withAdmin(async (admin) => [await takeSaid(admin), await takeRefereed(admin, tables)] as const);
  const problems = judge(sealed.filter((entry) => !isFence(entry)), { said, refereed: refereed.filter(({ id }) => !id.startsWith('-')) });
  expect(problems, `after ${struck.join(', ')}\n${operator.messages().slice(-4000)}`).toEqual([]);
  return { changes: refereed.length, struck };
}

function declare(): void {
  const { region, credentials } = store;
  const s3 = { endpoint: `http://127.0.0.1:${proxies.toStore.port}`, region, bucket, forcePathStyle: true, objectLock: 'Compliance', credentialsSecretRef: { name: 'store' } };
  const uri = postgres.uri().replace(`:${postgres.port}/`, `:${proxies.toDatabase.port}/`);
  workspace.declare('shop.yaml', [
    { ...shop.secret(postgres), stringData: { uri } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'store' }, stringData: { accessKeyId: credentials.accessKeyId, secretAccessKey: credentials.secretAccessKey } },
    shop.connection(),
    shop.log({ s3 }, { publishing: { maxDelay: '200ms' } }),
    shop.audit({ baseline: 'Snapshot', schemaChanges: 'Record', tables: [{ name: 'all', schema: 'public', tables: [...tables] }] }),
  ]);
}

function startOperator(): void {
  operator = startRowseal(['run', '--manifests', workspace.manifests]);
}

async function withAdmin<T>(action: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = await connected(postgres.uri());
  try {
    return await action(admin);
  } finally {
    await admin.end();
  }
}
