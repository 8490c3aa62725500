// One session of the workload: random transactions, each of which says to the oracle table, inside itself, what it did.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { loginOf, operate } from './operations.ts';
import { type Random, randomFrom } from './random.ts';
import { loginPassword, ownTables } from './schema.ts';
import { createScript, type ExpectedChange, type Known, type Row, type Script, type Step } from './script.ts';
import { lit } from './sql.ts';

export interface SessionOptions {
  readonly worker: number;
  readonly seed: number;
  /** URI for a login. */
  readonly uri: (user: string, password: string) => string;
  /** Servers and connections may go away: then the session connects again, and looks at what became of its work. */
  readonly faults: boolean;
}

export interface Session {
  /** Runs transactions until it is aborted or has done this many; may be called again. */
  work(until: { readonly transactions?: number; readonly signal?: AbortSignal }): Promise<void>;
  close(): Promise<void>;
}

interface State {
  client: pg.Client;
  known: Known;
  broken: boolean;
}

/** What a run under contention and faults may be told; anything else is a defect of the workload or of Rowseal. */
const contention = new Set(['40P01', '40001', '55P03']);
const idRange = 1_000_000_000;
const reconnectDeadlineMs = 60_000;
const rawTypes = { getTypeParser: () => (value: string) => value };

export async function openSession(options: SessionOptions): Promise<Session> {
  const random = randomFrom(options.seed * 7919 + options.worker);
  let counter = options.worker * idRange;
  const fresh = (): number => (counter += 1);
  const state = await connect(options, random);
  return {
    work: async ({ transactions = Infinity, signal }) => {
      const ended = (): boolean => signal?.aborted === true;
      for (let count = 0; count < transactions && !ended(); count++) {
        try {
          if (state.broken) Object.assign(state, await reconnect(options, random));
          await transact({ options, random, fresh }, state);
        } catch (error) {
          if (!options.faults || !isFault(error)) throw error;
          state.broken = true;
          await state.client.end().catch(() => undefined);
        }
        if (options.faults) await sleep(random.int(0, 8));
      }
      // Nothing may stay prepared when the work is judged.
      if (state.broken) Object.assign(state, await reconnect(options, random));
    },
    close: () => state.client.end(),
  };
}

interface Source {
  readonly options: SessionOptions;
  readonly random: Random;
  readonly fresh: () => number;
}

async function transact({ options, random, fresh }: Source, state: State): Promise<void> {
  const script = createScript({ worker: options.worker, user: loginOf(options.worker), random, known: state.known, fresh });
  for (let count = random.int(1, 7); count > 0; count--) operate(script);
  while (script.savepoints() > 0) script.endSavepoint(random.chance(0.6) ? 'release' : 'rollback');
  const ending = random.chance(0.1) ? 'rollback' : random.chance(0.08) ? 'prepare' : 'commit';
  const whole = !script.separate() && ending === 'commit' && random.chance(0.3);
  try {
    if (whole) await runWhole(state.client, script);
    else await runStepwise(state.client, script, { ending, random });
  } catch (error) {
    if (!contention.has(codeOf(error) ?? '')) throw isFault(error) ? error : defect(error, script);
    await state.client.query('rollback');
    return;
  }
  if (ending === 'rollback') return;
  if (ending === 'prepare' && !(await endPrepared(state.client, { options, random, fresh }, script))) return;
  // What was set locally ended with the transaction.
  state.known = { ...script.known, role: undefined, claims: undefined, application: applicationOf(options.worker) };
}

/** One text, so that the server gets it at once. */
async function runWhole(client: pg.Client, script: Script): Promise<void> {
  await client.query(['begin', ...script.steps.map(({ sql }) => sql), ...oracleSql(script, []), 'commit'].join(';\n'));
}

async function runStepwise(client: pg.Client, script: Script, { ending, random }: { ending: string; random: Random }): Promise<void> {
  const told: (readonly Row[])[] = [];
  await client.query('begin');
  for (const [index, step] of script.steps.entries()) told[index] = await runStep(client, step, random.chance(0.3));
  for (const sql of oracleSql(script, told)) await client.query(sql);
  // Only who prepared it may end it, and the role ends with the transaction.
  if (ending === 'prepare') await client.query('set local role none');
  await client.query(ending === 'prepare' ? `prepare transaction '${preparedName(script)}'` : ending);
}

async function runStep(client: pg.Client, { sql, copy, fails }: Step, extended: boolean): Promise<readonly Row[]> {
  if (copy !== undefined) {
    await copyInto(client, sql, copy);
    return [];
  }
  if (fails === true) {
    const failed = await client.query(sql).then(
      () => false,
      (error: unknown) => (codeOf(error) === '23505' ? true : Promise.reject(error)),
    );
    if (!failed) throw new Error(`this should have failed: ${sql}`);
    return [];
  }
  const several = sql.includes(';');
  const result = await (extended && !several ? client.query<Row>({ text: sql, values: [], queryMode: 'extended' } as pg.QueryConfig) : client.query<Row>(sql));
  return Array.isArray(result) ? [] : result.rows;
}

function oracleSql(script: Script, told: readonly (readonly Row[])[]): readonly string[] {
  const expected = script.outcomes().flatMap((outcome): readonly ExpectedChange[] => {
    if (!('step' in outcome)) return outcome;
    return script.steps[outcome.step]?.told?.(told[outcome.step] ?? []) ?? [];
  });
  return expected.length === 0 ? [] : [`insert into oracle (worker, pid, expected) values (${script.worker}, pg_backend_pid(), ${lit(JSON.stringify(expected))})`];
}

/** The name is of the transaction alone, so that a session that lost its connection finds it. */
function preparedName(script: Script): string {
  return `oracle ${script.worker}`;
}

async function endPrepared(client: pg.Client, { random }: Source, script: Script): Promise<boolean> {
  const commits = random.chance(0.7);
  await client.query(`${commits ? 'commit' : 'rollback'} prepared '${preparedName(script)}'`);
  return commits;
}

function copyInto(client: pg.Client, sql: string, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const copying = {
      submit: (connection: { query(text: string): void }) => connection.query(sql),
      handleCopyInResponse: (connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }) => {
        connection.sendCopyFromChunk(Buffer.from(lines));
        connection.endCopyFrom();
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    };
    client.query(copying as unknown as pg.Submittable);
  });
}

async function connect(options: SessionOptions, random: Random): Promise<State> {
  const user = loginOf(options.worker);
  const client = new pg.Client({ connectionString: options.uri(user, loginPassword), application_name: applicationOf(options.worker), types: rawTypes });
  client.on('error', () => undefined);
  await client.connect();
  // A session of which some commits may be lost in a crash: with their oracle rows, or not at all.
  if (options.worker % 2 === 0) await client.query('set synchronous_commit = off');
  const prepared = await client.query<Row>('select gid from pg_prepared_xacts where gid = $1', [`oracle ${options.worker}`]);
  if (prepared.rows.length > 0) await client.query(`${random.chance(0.5) ? 'commit' : 'rollback'} prepared 'oracle ${options.worker}'`);
  return { client, known: await look(client, options.worker), broken: false };
}

async function reconnect(options: SessionOptions, random: Random): Promise<State> {
  const deadline = Date.now() + reconnectDeadlineMs;
  for (;;) {
    try {
      return await connect(options, random);
    } catch (error) {
      if (!isFault(error) || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** The rows that this session made, as they are. */
async function look(client: pg.Client, worker: number): Promise<Known> {
  const own = ownTables(worker);
  const tables = new Map<string, Map<string, Row>>();
  const from = worker * idRange;
  let wideColumns: Known['wideColumns'] = [];
  for (const table of ['account', 'ledger', 'keyless', 'node', 'parent', 'child', 'grandchild', 'region', 'stock', 'big', ...Object.values(own)]) {
    const { rows, fields } = await client.query<Row>(`select * from ${table} where id > ${from} and id <= ${from + idRange}`);
    tables.set(table, new Map(rows.map((row) => [String(row['id']), { ...row }])));
    if (table === own.wide) wideColumns = fields.slice(2).map(({ name }) => ({ name, filler: null }));
  }
  const made = await client.query<Row>(`select substr(inhrelid::regclass::text, 8) as area from pg_inherits where inhparent = 'region'::regclass order by 1`);
  const areas = made.rows.map(({ area }) => area ?? '').filter((area) => area.startsWith('w') && Math.floor((Number(area.slice(1)) - 1) / idRange) === worker);
  return { tables, wideColumns, areas, role: undefined, claims: undefined, application: applicationOf(worker) };
}

function applicationOf(worker: number): string {
  return `oracle-${worker}`;
}

function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/** The workload's own fault, or a statement that the capture broke: said with what was run. */
function defect(error: unknown, script: Script): Error {
  return new Error(`${String(error)} in:\n${script.steps.map(({ sql }) => sql.slice(0, 400)).join(';\n')}`, { cause: error });
}

/** The connection or the server went away; said by the server (57P01 and its like), by the socket, or by `pg` itself. */
function isFault(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return code.startsWith('57P') || code.startsWith('08');
  return error instanceof Error && /ECONN|EPIPE|EAI_|terminated|not queryable|Connection|closed|timeout|socket/i.test(`${'code' in error ? String(error.code) : ''} ${error.message}`);
}
