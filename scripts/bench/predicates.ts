// What each shape of predicate costs against the WHERE that one would write by hand, on the same rows with the same index.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../test/parts/postgres.ts';
import { type Flow, type Rules, setting, startFlow } from '../../test/postgres-policy/harness.ts';
import { type Shape, shapes, shapesSetup } from './predicate-shapes.ts';

const rows = Number(process.env['ROWS'] ?? 1_000_000);
/** The rival is so slow that it gets fewer. */
const rivalRows = Math.min(rows, 100_000);
const rounds = Number(process.env['ROUNDS'] ?? 40);
const repeatsPerRound = 10;
const limitRatio = 1.1;
const limitFaster = 50;
const report = process.argv[2] ?? '.rowseal/bench/predicates.json';

interface Result {
  readonly shape: string;
  readonly handMs: number;
  readonly policyMs: number;
  /** Geometric mean over rounds, and where it lies below with 95 %. */
  readonly ratio: number;
  readonly ratioAtMost: number;
}

interface Clients {
  readonly app: pg.Client;
  readonly plain: pg.Client;
}

/** Both kinds alternate, so that whatever else the machine does hits both; of a round counts the fastest, since nothing makes a query faster than it is. */
async function measureShape(flow: Flow, { app, plain }: Clients, shape: Shape): Promise<Result> {
  const rules: Rules = [{ name: 'r', roles: ['app'], commands: ['Select'], using: shape.using }];
  await flow.converge('docs', { target: { schema: 'public', tables: ['docs'] }, rowSecurity: 'Enabled', rules }, shape.governed === undefined ? [] : [{ schema: 'public', table: shape.governed }]);
  await app.query('select set_config($1, $2, false), set_config($3, $4, false)', [setting, JSON.stringify(shape.claims ?? {}), 'app.tenant', '7']);
  const what = 'select count(*)::int as n, sum(amount) as total from docs';
  const policy = { name: `policy ${shape.name}`, text: what };
  const hand = { name: `hand ${shape.name}`, text: `${what} where ${shape.hand}`, values: [...(shape.values ?? [])] };
  const [seen, meant] = [(await app.query<{ n: number }>(policy)).rows, (await plain.query<{ n: number }>(hand)).rows];
  if (JSON.stringify(seen) !== JSON.stringify(meant) || seen[0]?.n === 0) throw new Error(`${shape.name}: the policy shows ${JSON.stringify(seen)}, the hand-written filter ${JSON.stringify(meant)}`);
  const times = { policy: [] as number[], hand: [] as number[] };
  for (let round = -2; round < rounds; round += 1) {
    const best = { policy: Infinity, hand: Infinity };
    for (let repeat = 0; repeat < repeatsPerRound; repeat += 1) {
      for (const kind of repeat % 2 === 0 ? (['policy', 'hand'] as const) : (['hand', 'policy'] as const)) {
        best[kind] = Math.min(best[kind], kind === 'policy' ? await timed(app, policy) : await timed(plain, hand));
      }
    }
    // The first rounds warm caches and settle which plan a prepared statement keeps.
    if (round >= 0) for (const kind of ['policy', 'hand'] as const) times[kind].push(best[kind]);
  }
  return { shape: shape.name, handMs: median(times.hand), policyMs: median(times.policy), ...ratioOf(times.policy, times.hand) };
}

async function timed(client: pg.Client, query: pg.QueryConfig): Promise<number> {
  const started = performance.now();
  await client.query(query);
  return performance.now() - started;
}

function ratioOf(policy: readonly number[], hand: readonly number[]): Pick<Result, 'ratio' | 'ratioAtMost'> {
  const logs = policy.map((ms, round) => Math.log(ms / (hand[round] ?? Number.NaN)));
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (logs.length - 1);
  // Student's t for about 40 rounds, one-sided 95 %.
  return { ratio: Math.exp(mean), ratioAtMost: Math.exp(mean + 1.685 * Math.sqrt(variance / logs.length)) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** A lookup as it is mostly written, with the outer row inside, as a policy of its own against the same rule compiled. */
async function measureRival(flow: Flow, { app }: Clients): Promise<{ readonly rivalMs: number; readonly policyMs: number; readonly faster: number }> {
  const where = { all: [{ column: 'person', op: 'Eq' as const, claim: ['sub'] }] };
  const rules: Rules = [{ name: 'r', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'tenant_id', member: { table: 'members', column: 'tenant_id', where } }] } }];
  await flow.converge('few', { target: { schema: 'public', tables: ['few'] }, rowSecurity: 'Enabled', rules });
  await flow.admin.query(`alter table rival enable row level security; create policy rival on rival to app using (tenant_id in (
    select m.tenant_id from members m where m.tenant_id = rival.tenant_id and m.person = (select current_setting('${setting}')::jsonb ->> 'sub')))`);
  await app.query('select set_config($1, $2, false)', [setting, JSON.stringify({ sub: 'person-7' })]);
  const policyMs = median(await several(() => timed(app, { name: 'few', text: 'select count(*)::int as n from few' }), 20));
  const rivalMs = median(await several(() => timed(app, { name: 'rival', text: 'select count(*)::int as n from rival' }), 5));
  return { rivalMs, policyMs, faster: rivalMs / policyMs };
}

async function several(one: () => Promise<number>, count: number): Promise<readonly number[]> {
  const values: number[] = [];
  for (let turn = 0; turn < count; turn += 1) values.push(await one());
  return values;
}

async function connected(uri: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: uri });
  // Lost when the server stops under a failed run, whose own error is the one to see.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function measureAll(flow: Flow, clients: Clients): Promise<boolean> {
  const results: Result[] = [];
  console.log('within  ratio  at most  hand-written   policy  shape');
  for (const shape of shapes) {
    const result = await measureShape(flow, clients, shape);
    results.push(result);
    const cells = [result.ratioAtMost <= limitRatio ? 'yes   ' : 'NO    ', result.ratio.toFixed(2).padStart(5), result.ratioAtMost.toFixed(2).padStart(8), `${result.handMs.toFixed(2)} ms`.padStart(13), `${result.policyMs.toFixed(2)} ms`.padStart(8)];
    console.log(`${cells.join(' ')}  ${result.shape}`);
  }
  const rival = await measureRival(flow, clients);
  console.log(`${rival.faster >= limitFaster ? 'yes' : 'NO'}: a lookup takes ${rival.policyMs.toFixed(2)} ms over ${rivalRows} rows, ${rival.faster.toFixed(0)} times less than one with the outer row inside (${rival.rivalMs.toFixed(0)} ms; wanted: ${limitFaster} times)`);
  mkdirSync(dirname(report), { recursive: true });
  writeFileSync(report, `${JSON.stringify({ rows, rounds, limitRatio, results, rival: { rows: rivalRows, limitFaster, ...rival } }, undefined, 2)}\n`);
  return results.every(({ ratioAtMost }) => ratioAtMost <= limitRatio) && rival.faster >= limitFaster;
}

const postgres = await startPostgres({ settings: ['shared_buffers = 1GB', 'max_parallel_workers_per_gather = 0', 'jit = off', 'autovacuum = off'] });
try {
  const flow = await startFlow(postgres);
  flow.admin.on('error', () => undefined);
  const started = performance.now();
  for (const statement of shapesSetup(rows, rivalRows)) await flow.admin.query(statement);
  console.log(`${rows} rows ready in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const clients = { app: await connected(postgres.uri('postgres', 'app', 'app')), plain: await connected(postgres.uri('postgres', 'plain', 'plain')) };
  process.exitCode = (await measureAll(flow, clients)) ? 0 : 1;
  await Promise.all([clients.app.end(), clients.plain.end(), flow.close()]);
} finally {
  await postgres.stop();
}
