// The values of a plan: ordered steps, each one statement with its reason.
import type { CompiledFunction, CompiledPolicy } from './compiled.ts';
import type { RowSecurity } from './desired.ts';
import type { GuardChange } from './guard.ts';
import type { TableName } from './table-name.ts';

export type Operation =
  | { readonly kind: 'CreateFunction'; readonly function: CompiledFunction }
  | { readonly kind: 'EnableRowSecurity'; readonly table: TableName }
  | { readonly kind: 'ForceRowSecurity'; readonly table: TableName }
  | { readonly kind: 'NoForceRowSecurity'; readonly table: TableName }
  | { readonly kind: 'DisableRowSecurity'; readonly table: TableName }
  | { readonly kind: 'CreatePolicy'; readonly table: TableName; readonly policy: CompiledPolicy }
  | { readonly kind: 'AlterPolicy'; readonly table: TableName; readonly policy: CompiledPolicy }
  | { readonly kind: 'DropPolicy'; readonly table: TableName; readonly name: string };

export interface Step {
  readonly operation: Operation;
  /** One sentence. */
  readonly why: string;
  /** True unless it is proven that no role can see or write a row afterwards that it could not before. */
  readonly widening: boolean;
  /** True when it brings back what we had applied, so that it was admitted once already. */
  readonly mends?: boolean;
}

/** A policy that is in the database exactly as declared: nothing is changed, it is only recorded as its owner's. */
export interface Adoption {
  readonly table: TableName;
  readonly policy: CompiledPolicy;
}

/** A policy that stays as it is and is recorded for nobody afterwards. */
export interface Release {
  readonly table: TableName;
  readonly name: string;
}

export interface PlannedTable {
  readonly table: TableName;
  readonly oid: number;
  /** Flags before this plan; recorded when the table is governed for the first time. */
  readonly before: { readonly rowSecurity: boolean; readonly forced: boolean };
  /** The row security that is in force as declared once the plan is done; empty where it is not, or nothing is declared any more. */
  readonly declared: RowSecurity | '';
  /** Digest of the table as it was observed: what the applying transaction must find again under its lock. */
  readonly observed: string;
}

export interface Plan {
  readonly owner: string;
  /** In the order in which they must be done, in one transaction. */
  readonly steps: readonly Step[];
  readonly adoptions: readonly Adoption[];
  readonly releases: readonly Release[];
  /** The tables that all of these touch. */
  readonly tables: readonly PlannedTable[];
  /** What the guard of new tables learns or forgets. */
  readonly guard?: GuardChange | undefined;
  /** True when nothing of the owner is left to be governed afterwards: the records go, too. */
  readonly leaving: boolean;
  /** SHA-256, hex, of everything above. */
  readonly digest: string;
}

/** Whether applying the plan would write anything at all. */
export function hasWork({ steps, adoptions, releases, guard }: Pick<Plan, 'steps' | 'adoptions' | 'releases' | 'guard'>): boolean {
  return steps.length > 0 || adoptions.length > 0 || releases.length > 0 || guard !== undefined;
}
