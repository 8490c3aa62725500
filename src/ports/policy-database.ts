// The policy half of a database: observe, compile, apply, and the checks that never run on the operator's session.
import type { RowPolicySpec } from '../model/kinds.ts';
import type { CompiledState, LiteralCast } from '../policy/compiled.ts';
import type { Desired } from '../policy/desired.ts';
import type { IndexNeed } from '../policy/index-work.ts';
import type { Observation } from '../policy/observed.ts';
import type { Plan, Step } from '../policy/step.ts';
import type { TableName } from '../policy/table-name.ts';
import type { Target } from '../policy/target.ts';

export interface ObservationRequest {
  /** `namespace/name`: tables where its policies are recorded are observed, too. */
  readonly owner: string;
  /** Its tables by name, or what its selector matches now; with them all their partitions and inheritance children. */
  readonly target?: Target;
  /** Further tables. */
  readonly tables: readonly TableName[];
  readonly roles: readonly string[];
  /** Expressions whose functions are wanted, too. */
  readonly texts?: readonly string[];
}

export interface RenderedStep {
  readonly sql: string;
  readonly why: string;
  readonly widening: boolean;
  readonly mends?: boolean;
}

/** Stale: somebody changed a table after it was observed; nothing was done, observe and plan again. */
export type ApplyOutcome = 'Applied' | 'Stale';

/** What needs the catalog, and the one session that applies. */
export interface PolicyStore {
  /** Idempotently installs our schema, functions and, where allowed, the event trigger that reports drift. */
  install(signal: AbortSignal): Promise<void>;
  /** After a change of roles or memberships makes every session plan anew over the governed tables, once; looks only every few seconds. Returns how many tables. */
  followRoleChanges(signal: AbortSignal): Promise<number>;
  /** Reads the catalog in one round trip; works where nothing of ours is installed. */
  observe(request: ObservationRequest, signal: AbortSignal): Promise<Observation>;
  /** Predicates to SQL. Throws DatabaseObjectMissing (table, role, column) and BadPredicate; touches nothing. */
  compile(desired: Desired, observation: Observation): CompiledState;
  /** Throws BadPredicate for a literal that is no value of the type it is compared as. */
  checkLiterals(literals: readonly LiteralCast[], signal: AbortSignal): Promise<void>;
  render(steps: readonly Step[]): readonly RenderedStep[];
  renderIndexes(needs: readonly IndexNeed[]): readonly RenderedStep[];
  /** On a connection of its own, for as long as it takes; may be repeated after any end. Throws WaitingForLock, Fenced, DatabaseStatement. */
  buildIndexes(needs: readonly IndexNeed[], signal: AbortSignal): Promise<void>;
  /** How far the build is, in words; undefined when none runs. */
  indexProgress(signal: AbortSignal): Promise<string | undefined>;
  /** All steps in one transaction, or nothing. Throws WaitingForLock, DatabasePrivilege, DatabaseConflict, DatabaseStatement. */
  apply(plan: Plan, signal: AbortSignal): Promise<ApplyOutcome>;
  /** Calls back soon after anybody else changed policies or tables, until the signal is aborted. Polling is the caller's. */
  onDrift(listener: () => void, signal: AbortSignal): Promise<void>;
}

export type PolicyTest = NonNullable<RowPolicySpec['tests']>[number];

export interface TestOutcome {
  readonly name: string;
  readonly passed: boolean;
  /** Why not; never holds row contents. */
  readonly message?: string;
}

export interface TestRequest {
  readonly tests: readonly PolicyTest[];
  /** The schema that unqualified table names of the tests mean. */
  readonly schema: string;
  readonly desired: Desired;
  readonly observation: Observation;
}

/** What a plan changes for one role, counted row by row on copies of the rows of now. */
export interface RowChange {
  /** Schema and table. */
  readonly table: string;
  readonly role: string;
  /** The test whose claims were used; without claims when left out. */
  readonly test?: string;
  readonly gained: number;
  readonly lost: number;
}

export interface RowCounts {
  /** Those without a change, too. */
  readonly changes: readonly RowChange[];
  /** What was left out and why, in words; never holds row contents. */
  readonly notCounted: readonly string[];
}

export interface RowCountRequest extends TestRequest {
  readonly plan: Plan;
}

/** What evaluates the user's own expressions: only ever on the probe connection (DESIGN §3). */
export interface PolicyChecks {
  /** Refuses SQL that is not one harmless expression: BadPredicate naming the construct. Evaluates nothing. */
  checkSql(text: string, signal: AbortSignal, mayUse?: readonly string[]): Promise<void>;
  /** Tests with a fixture, on empty copies; before the apply, rolled back. */
  runFixtureTests(request: TestRequest, signal: AbortSignal): Promise<readonly TestOutcome[]>;
  /**
   * Tests without a fixture as they would come out after the plan, on copies of the real rows; before the apply. Those whose
   * tables are too large to copy have no outcome: runLiveTests says, after the apply.
   */
  rehearseLiveTests(request: RowCountRequest, signal: AbortSignal): Promise<readonly TestOutcome[]>;
  /** Tests without a fixture, read-only on the real tables as they are. */
  runLiveTests(request: TestRequest, signal: AbortSignal): Promise<readonly TestOutcome[]>;
  /** For small tables, the rows that each role would see and does not, and the other way round; what is too large or not ours to read is said. */
  countRows(request: RowCountRequest, signal: AbortSignal): Promise<RowCounts>;
}

export type PolicyDatabase = PolicyStore & PolicyChecks;
