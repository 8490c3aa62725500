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

/** The tree in a record, or undefined for anything that this version can't read: then nothing can be proven. */
export function readTree(value: unknown): PolicyTree | undefined {
  const tree = recordOf(value);
  if (tree['version'] !== treeVersion || typeof tree['claims'] !== 'string') return undefined;
  const sides = [tree['using'], tree['check']].filter((side) => side !== undefined);
  // The record is written by us alone and its version says its shape.
  return sides.every((side) => ['tree', 'sql'].includes(String(recordOf(side)['kind']))) ? (value as PolicyTree) : undefined;
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
