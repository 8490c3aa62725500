// What a point read costs more under signed claims than under a plain setting: interleaved rounds on one server, by 95 % bound.
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import { signClaims } from '../../src/model/claims-token.ts';
import { installationOf, type Postgres, startPostgres, type supportedMajors } from '../../test/parts/postgres.ts';
import { never, type Rules, startFlow } from '../../test/postgres-policy/harness.ts';

const rows = 100_000;
const tenants = 1_000;
const rounds = 50;
const limitUs = 25;
const key = { id: 'bench', secret: randomBytes(32) };
const ways = { setting: { type: 'Setting', setting: 'request.jwt.claims' }, signed: { type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' } } as const satisfies Record<string, ClaimsConfiguration>;
type Way = keyof typeof ways;

interface ClaimsCost {
  /** Mean over all reads, in microseconds. */
  readonly settingUs: number;
  readonly signedUs: number;
  /** Of the difference: its mean over rounds, and where it lies below with 95 %. */
  readonly moreUs: number;
  readonly atMostUs: number;
  /** Of a transaction: asking for a challenge, signing, and setting the token. */
  readonly perTransactionUs: number;
}

/** `reads` of each kind, half a round's worth alternating, so that whatever else the machine does hits both. */
async function measureClaims(major: (typeof supportedMajors)[number], reads: number): Promise<ClaimsCost> {
  const postgres = await startPostgres({ installation: installationOf(major) });
  try {
    await prepare(postgres);
    const client = new pg.Client({ connectionString: postgres.uri('postgres', 'app', 'app') });
    await client.connect();
    const times: Record<Way, number[]> = { setting: [], signed: [] };
    const beginnings: number[] = [];
    const perRound = Math.ceil(reads / rounds);
    for (let round = -2; round < rounds; round += 1) {
      for (const way of round % 2 === 0 ? (['setting', 'signed'] as const) : (['signed', 'setting'] as const)) {
        const { readUs, beginUs } = await readRound(client, way, perRound);
        // The first two rounds warm caches and plans.
        if (round < 0) continue;
        times[way].push(readUs);
        if (way === 'signed') beginnings.push(beginUs);
      }
    }
    await client.end();
    return summary(times, beginnings);
  } finally {
    await postgres.stop();
  }
}

async function prepare(postgres: Postgres): Promise<void> {
  const admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query(`create role app login password 'app'`);
  for (const [way, claims] of Object.entries(ways)) {
    await admin.query(`create table orders_${way} (id int primary key, tenant_id int not null, amount numeric);
      insert into orders_${way} select i, i % ${tenants}, i from generate_series(1, ${rows}) i; grant select on orders_${way} to app`);
    await admin.query(`vacuum analyze orders_${way}`);
    const flow = await startFlow(postgres, claims);
    const rules: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant'] }] } }];
    await flow.converge(way, { target: { schema: 'public', tables: [`orders_${way}`] }, rules });
    if (claims.type === 'Signed') await createClaimsDatabase({ session: flow.session, claims }).install([key], never);
    await flow.close();
  }
  await admin.end();
}

/** One transaction: claims once, then reads by primary key, each of which finds its row. */
async function readRound(client: pg.Client, way: Way, count: number): Promise<{ readUs: number; beginUs: number }> {
  const tenant = 7;
  await client.query('begin');
  const begun = performance.now();
  await client.query('select set_config($1, $2, true)', [ways[way].setting, await claimsText(client, way, tenant)]);
  const beginUs = (performance.now() - begun) * 1000;
  const started = performance.now();
  for (let read = 0; read < count; read += 1) {
    const id = tenant + tenants * (read % (rows / tenants));
    const { rowCount } = await client.query({ name: `read ${way}`, text: `select amount from orders_${way} where id = $1`, values: [id] });
    if (rowCount !== 1) throw new Error(`row ${id} was not seen under ${way}`);
  }
  const readUs = ((performance.now() - started) * 1000) / count;
  await client.query('commit');
  return { readUs, beginUs };
}

async function claimsText(client: pg.Client, way: Way, tenant: number): Promise<string> {
  const claims = JSON.stringify({ sub: '42', tenant });
  if (way === 'setting') return claims;
  const { rows: answers } = await client.query<{ challenge: string }>('select rowseal.challenge() as challenge');
  return signClaims({ challenge: answers[0]?.challenge ?? '', claims, expiresAt: new Date(Date.now() + 600_000) }, key);
}

function summary(times: Readonly<Record<Way, readonly number[]>>, beginnings: readonly number[]): ClaimsCost {
  const differences = times.signed.map((us, round) => us - (times.setting[round] ?? 0));
  const moreUs = mean(differences);
  const deviation = Math.sqrt(mean(differences.map((us) => (us - moreUs) ** 2)));
  // Student's t for 49 degrees of freedom, one-sided 95 %.
  const atMostUs = moreUs + (1.677 * deviation) / Math.sqrt(differences.length - 1);
  return { settingUs: mean(times.setting), signedUs: mean(times.signed), moreUs, atMostUs, perTransactionUs: mean(beginnings) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const reads = Number(process.argv[2] ?? 100_000);
  let slow = false;
  for (const major of [15, 18] as const) {
    const cost = await measureClaims(major, reads);
    slow ||= cost.atMostUs > limitUs;
    const us = (value: number) => `${value.toFixed(1)} µs`;
    console.log(
      `PostgreSQL ${major}: a point read under a setting ${us(cost.settingUs)}, under signed claims ${us(cost.signedUs)}: ${us(cost.moreUs)} more, at most ${us(cost.atMostUs)} (limit ${limitUs} µs); ` +
        `a signed transaction begins in ${us(cost.perTransactionUs)}`,
    );
  }
  process.exitCode = slow ? 1 : 0;
}
