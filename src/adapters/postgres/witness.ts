// Runs witnesses as the roles they name, on the probe connection, each in a transaction of its own that is rolled back (DESIGN §5).
import { RowsealError } from '../../model/errors.ts';
import type { Witness, WitnessOutcome } from '../../policy/witness.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import type { Probe } from './probe.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import type { RunQuery, Session } from './session.ts';
import { testableRoles } from './testable-roles.ts';
import { actOut } from './witness-act.ts';
import { tooLarge } from './witness-size.ts';

export interface WitnessRunner {
  readonly session: Pick<Session, 'transaction'>;
  readonly probe: Probe;
}

/** Short, since some of it waits for locks that others would then wait behind. */
const settings = `set local statement_timeout = '5s'; set local lock_timeout = '200ms'; set local search_path = pg_catalog, pg_temp; set local row_security = on`;
/** A connection of the probe serves this many; it has a deadline of its own. */
const perConnection = 10;

/** A database full of findings must not be kept busy for long. */
const longestMs = 120_000;

/** One outcome a witness, in their order. Never throws for what a witness meets; throws for a lost database. */
export async function runWitnesses(witnesses: readonly Witness[], { session, probe }: WitnessRunner, signal: AbortSignal): Promise<readonly WitnessOutcome[]> {
  if (witnesses.length === 0) return [];
  const refusals = await session.transaction((query) => testableRoles(query, [...new Set(witnesses.map((witness) => witness.role))]), signal);
  const outcomes = new Map<Witness, WitnessOutcome>();
  for (const witness of witnesses) {
    const refusal = refusals.get(witness.role);
    if (refusal !== undefined) outcomes.set(witness, notRun(refusal));
  }
  const end = AbortSignal.timeout(longestMs);
  for (const batch of batchesByRole(witnesses.filter((witness) => !outcomes.has(witness)))) {
    const [first] = batch;
    if (first === undefined || end.aborted) continue;
    const unavailable = await runBatch(batch, first.role, { probe, outcomes }, signal);
    if (unavailable === undefined) continue;
    for (const witness of witnesses) if (!outcomes.has(witness)) outcomes.set(witness, notRun(unavailable));
  }
  return witnesses.map((witness) => outcomes.get(witness) ?? notRun(`the witnesses of other findings took ${longestMs / 1000} s`));
}

function notRun(detail: string): WitnessOutcome {
  return { result: 'NotRun', detail, replay: [] };
}

/** Why no witness can be run at all; undefined when this batch was. */
async function runBatch(batch: readonly Witness[], role: string, { probe, outcomes }: { readonly probe: Probe; readonly outcomes: Map<Witness, WitnessOutcome> }, signal: AbortSignal): Promise<string | undefined> {
  try {
    await probe.use(
      [role],
      async (query) => {
        for (const witness of batch) outcomes.set(witness, await rolledBack(query, witness));
      },
      signal,
    );
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    // The probe could not be made or could not connect: findings stand without their witness.
    if (error instanceof RowsealError) return error.describe();
    throw error;
  }
}

function batchesByRole(witnesses: readonly Witness[]): readonly (readonly Witness[])[] {
  const byRole = Map.groupBy(witnesses, (witness) => witness.role);
  return [...byRole.values()].flatMap((all) => Array.from({ length: Math.ceil(all.length / perConnection) }, (_, index) => all.slice(index * perConnection, (index + 1) * perConnection)));
}

async function rolledBack(query: RunQuery, witness: Witness): Promise<WitnessOutcome> {
  const replay: string[] = [];
  await query('begin');
  try {
    const run = recorded(query, replay);
    await run(settings);
    return { ...((await tooLarge(query, witness)) ?? (await actOut(run, witness, () => become(run, witness)))), replay };
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) throw error;
    return { result: 'NotRun', detail: reasonOf(error, code), replay };
  } finally {
    await query('rollback').catch(() => undefined);
  }
}

function reasonOf(error: unknown, code: string): string {
  if (code === '57014') return 'it took longer than 5 s';
  return code === '55P03' ? 'others hold locks on the table' : `it failed: ${sayable(error)}`;
}

/** Keeps what is run as SQL that stands by itself. */
function recorded(query: RunQuery, replay: string[]): RunQuery {
  return async (text, values) => {
    replay.push(values === undefined ? text : text.replaceAll(/\$(\d+)/g, (_whole, place: string) => quoteLiteral(String(values?.[Number(place) - 1]))));
    return query(text, values);
  };
}

/** From here on everything happens as the role; stepping out of it reaches the probe, which owns nothing. */
async function become(query: RunQuery, { role, settings: wanted }: Witness): Promise<void> {
  for (const [name, value] of Object.entries(wanted ?? {})) await query('select set_config($1, $2, true)', [name, value]);
  // The path that a session of the role has by default: functions that leave it to the session work, and pg_catalog still comes first.
  await query(`set local search_path = "$user", public`);
  await query(`set local role ${quoteName(role)}`);
}
