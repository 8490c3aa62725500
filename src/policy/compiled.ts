// Desired state after an engine compiled its predicates: expressions are the engine's own text from here on.
import type { Command, PolicyMode, RowSecurity } from './desired.ts';
import type { PolicyTree } from './policy-tree.ts';
import type { GuardedTarget } from './guard.ts';
import type { TableName } from './table-name.ts';

/** A membership lookup that must read past the policies of the table it reads. Its name is a digest of its definition. */
export interface CompiledFunction {
  readonly schema: string;
  readonly name: string;
  /** `CREATE FUNCTION …`, whole. */
  readonly definition: string;
  /** Roles that may execute it: those of the policy that calls it. */
  readonly roles: readonly string[];
}

export interface CompiledPolicy {
  readonly name: string;
  readonly rule: string;
  readonly as: PolicyMode;
  readonly command: Command;
  readonly roles: readonly string[];
  readonly using?: string;
  readonly check?: string;
  /** The sides that the manifest gives as text: equal to what the database deparses, they are in force as they are. */
  readonly declared?: { readonly using?: string; readonly check?: string };
  readonly functions: readonly CompiledFunction[];
  /** SHA-256, hex, of the expressions and helper functions. */
  readonly definition: string;
  /** What it was compiled from, where that was a manifest. */
  readonly tree?: PolicyTree;
}

export interface CompiledTable {
  readonly table: TableName;
  readonly rowSecurity: RowSecurity;
  readonly policies: readonly CompiledPolicy[];
  /** Where policies that no RowPolicy owns are to be dropped: the names that are somebody's all the same. */
  readonly removesUnmanagedBut?: readonly string[];
}

/** A literal and the type it is cast to, as SQL. */
export interface LiteralCast {
  readonly text: string;
  readonly type: string;
  readonly rule: string;
}

export interface CompiledState {
  readonly owner: string;
  readonly guard?: GuardedTarget;
  readonly tables: readonly CompiledTable[];
  /** Every literal of the predicates: one that can't be cast would be an error only when the policy is made. */
  readonly literals: readonly LiteralCast[];
}
