// What a policy's expressions were compiled from, recorded so that a later change can be proven narrower (see narrower.ts).
import type { Predicate } from './predicate.ts';

export interface PolicyTree {
  /** Of the compiler: the same tree may mean something else to the next one. */
  readonly version: number;
  /** How the session's claims are obtained; trees over different claims can't be compared. */
  readonly claims: string;
  readonly using?: Predicate;
  readonly check?: Predicate;
}

/** Raised whenever the SQL that a tree compiles to changes its meaning. */
export const treeVersion = 1;
