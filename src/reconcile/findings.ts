// The findings of a RowPolicy: one read of the database's catalog for all of them, witnesses acted out once for a catalog, nothing written when nothing changed.
import type { Finding, WitnessedFinding } from '../lint/lint.ts';
import { runLints } from '../lint/run-lints.ts';
import { concernsTables, exemptionsOf, type Selection, withoutAllowed } from '../lint/select-findings.ts';
import { witnessed } from '../lint/witnessed.ts';
import type { RowPolicySpec } from '../model/kinds.ts';
import { describeTable, type TableName } from '../policy/table-name.ts';
import type { Witness, WitnessOutcome } from '../policy/witness.ts';
import type { Clock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';

export interface Findings {
  /** What the lints find about these tables, and what the RowPolicy allows of it. Throws what reading the catalog throws. */
  of(database: Database, request: FindingsRequest, signal: AbortSignal): Promise<Selection<WitnessedFinding>>;
  /** Somebody changed something: the next call reads the catalog again. */
  touch(database: Database): void;
}

interface FindingsRequest {
  readonly spec: RowPolicySpec;
  /** Roles that the connection declares to see everything. */
  readonly exemptRoles: readonly string[];
  readonly tables: readonly TableName[];
}

interface Survey {
  readonly findings: readonly Finding[];
  /** Of the catalog, taken before it was read: what changes in between is found by the next look. */
  readonly fingerprint: string;
  readonly validUntilMs: number;
  /** Not read again before this, whatever changes: thousands of tables that are governed one after the other would each have all of them read. */
  readonly soonestMs: number;
  /** By witness, as JSON. */
  readonly outcomes: Map<string, WitnessOutcome>;
}

const shortestPauseMs = 30_000;
/** However large the catalog, reading it takes at most this share of the session's time. */
const pausesPerRead = 100;
/** A read that takes longer is repeated after ten times as long at the soonest, even while everything changes. */
const slowReadMs = 500;
const pausesPerSlowRead = 10;
/** As many as a status shows: each witness is a transaction on the real tables. */
const maxWitnessed = 64;

export function createFindings(clock: Pick<Clock, 'monotonicMs'>): Findings {
  const surveys = new WeakMap<Database, Promise<Survey>>();
  const touched = new WeakSet<Database>();

  const current = async (database: Database, signal: AbortSignal): Promise<Survey> => {
    const before = surveys.get(database);
    const known = await before?.catch(() => undefined);
    if (known !== undefined && clock.monotonicMs() < (touched.has(database) ? known.soonestMs : known.validUntilMs)) return known;
    // Somebody else may have begun to read while we waited for the old answer.
    const pending = surveys.get(database);
    if (pending !== undefined && pending !== before) return pending;
    touched.delete(database);
    const reading = survey(database, { clock, known, signal });
    surveys.set(database, reading);
    reading.catch(() => surveys.delete(database));
    return reading;
  };

  return {
    touch: (database) => void touched.add(database),
    of: async (database, { spec, exemptRoles, tables }, signal) => {
      const { findings, outcomes } = await current(database, signal);
      const ours = new Set(tables.map(describeTable));
      const concerning = findings.filter((finding) => concernsTables(finding, ours) && !(finding.lint === 'missing-index' && spec.indexes === 'Ignore'));
      const act = (witnesses: readonly Witness[]) => remembered(witnesses, outcomes, (fresh) => actQuietly(fresh, (readers) => database.lint.runWitnesses(readers, signal)));
      const selection = withoutAllowed(concerning, [...exemptionsOf(exemptRoles), ...(spec.allowedFindings ?? [])]);
      const shown = await witnessed(selection.findings.slice(0, maxWitnessed), act);
      return { ...selection, findings: [...shown, ...selection.findings.slice(maxWitnessed)] };
    },
  };
}

interface Surveying {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly known: Survey | undefined;
  readonly signal: AbortSignal;
}

async function survey(database: Database, { clock, known, signal }: Surveying): Promise<Survey> {
  const startedMs = clock.monotonicMs();
  const fingerprint = await database.lint.fingerprint(signal);
  const fresh = known?.fingerprint === fingerprint ? known : { findings: runLints(await database.lint.readCatalog(signal)), fingerprint, outcomes: new Map<string, WitnessOutcome>() };
  const readMs = clock.monotonicMs() - startedMs;
  const now = clock.monotonicMs();
  return { ...fresh, validUntilMs: now + Math.max(shortestPauseMs, readMs * pausesPerRead), soonestMs: readMs < slowReadMs ? now : now + readMs * pausesPerSlowRead };
}

const reading: ReadonlySet<Witness['kind']> = new Set(['ReadsRows', 'ReadsPastPolicies', 'ReadsPastRoot', 'ViewReadsMore', 'PeeksBehindView']);
const tooLoud: WitnessOutcome = { result: 'NotRun', replay: [], detail: 'it would write and lock, even though it is rolled back: run `rowseal lint` to have it acted out' };

/** An operator that nobody asked takes no locks on tables in use: what only reads is acted out, the rest is left to a person. */
async function actQuietly(witnesses: readonly Witness[], act: (readers: readonly Witness[]) => Promise<readonly WitnessOutcome[]>): Promise<readonly WitnessOutcome[]> {
  const readers = witnesses.filter(({ kind }) => reading.has(kind));
  const outcomes = readers.length === 0 ? [] : await act(readers);
  return witnesses.map((witness) => (reading.has(witness.kind) ? (outcomes[readers.indexOf(witness)] ?? tooLoud) : tooLoud));
}

/** Outcomes in the order of the witnesses; only those that this catalog has not seen yet are acted out. */
async function remembered(witnesses: readonly Witness[], outcomes: Map<string, WitnessOutcome>, act: (fresh: readonly Witness[]) => Promise<readonly WitnessOutcome[]>): Promise<readonly WitnessOutcome[]> {
  const fresh = witnesses.filter((witness) => !outcomes.has(JSON.stringify(witness)));
  const acted = fresh.length === 0 ? [] : await act(fresh);
  fresh.forEach((witness, index) => {
    const outcome = acted[index];
    if (outcome !== undefined) outcomes.set(JSON.stringify(witness), outcome);
  });
  return witnesses.map((witness) => outcomes.get(JSON.stringify(witness)) ?? { result: 'NotRun', detail: 'it was not acted out', replay: [] });
}
