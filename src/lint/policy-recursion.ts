// A policy that reads its own table, itself or through the policies of others: PostgreSQL refuses every query that asks it.
import type { CatalogPolicy, CatalogRelation, Oid } from '../policy/catalog.ts';
import { partsThat, type QueryExpression } from '../policy/expression.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { askedPolicies, commandsOf, policyTitled } from './policy-parts.ts';
import { remembered } from './remembered.ts';
import { titled } from './words.ts';

export const policyRecursion: Lint = {
  id: 'policy-recursion',
  severity: 'warning',
  title: 'a policy reads the table that it stands on',
  reason: 'The sub-query of a policy is held to the policies of the table that it reads. Where these lead back to the table, every query fails: infinite recursion detected in policy.',
  fix: 'look it up in a SECURITY DEFINER function with a fixed search_path, which asks the claims of the caller; a RowPolicy with `member` writes one',
  find: (landscape) => {
    const guarded = new Map(landscape.guarded.map((table) => [titled(table), table.oid]));
    const readBy = remembered((policy: CatalogPolicy) => readsOf(policy, guarded));
    const reads = remembered(readsOfTables(landscape, readBy));
    return askedPolicies(landscape).flatMap(({ table, policy }) => finding(table, policy, { direct: readBy(policy), reads, landscape }));
  },
};

/** A table without policies: a sub-query all the same. */
const nowhere: Oid = -1;

type Reads = (oid: Oid) => readonly Oid[];

/** From a table to the tables that its SELECT policies read in sub-queries; none from one whose policies bind nobody. */
function readsOfTables(landscape: Landscape, readBy: (policy: CatalogPolicy) => readonly Oid[]): Reads {
  const selecting = askedPolicies(landscape).filter(({ policy }) => commandsOf(policy).includes('Select'));
  const byTable = Map.groupBy(selecting, ({ table }) => table.oid);
  return (oid) => (byTable.get(oid) ?? []).flatMap(({ policy }) => readBy(policy));
}

function readsOf(policy: CatalogPolicy, guarded: ReadonlyMap<string, Oid>): readonly Oid[] {
  const queries = [policy.using, policy.check].flatMap((each) => (each === undefined ? [] : partsThat(each.tree, (part): part is QueryExpression => part.kind === 'Query')));
  // `(SELECT current_user)` reads nothing, and is a sub-query to PostgreSQL all the same.
  return queries.flatMap(({ reads }) => (reads.length === 0 ? [nowhere] : reads.flatMap((read) => guarded.get(`${read.schema}.${read.table}`) ?? nowhere)));
}

interface Around {
  readonly direct: readonly Oid[];
  readonly reads: Reads;
  readonly landscape: Landscape;
}

function finding(table: CatalogRelation, policy: CatalogPolicy, { direct, reads, landscape }: Around): readonly LintFinding[] {
  const done = new Set<Oid>();
  const back = direct.find((oid) => meetsAgain(oid, new Set([table.oid]), { reads, done }));
  if (back === undefined) return [];
  const through = landscape.relation(back);
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      why: `It reads ${back === table.oid || through === undefined ? 'its own table' : `${titled(through)}, whose policies read on until one is met again`}: what asks it fails.`,
      fix: 'Look it up in a SECURITY DEFINER function with a fixed search_path, which asks the claims of the caller',
    },
  ];
}

/** As PostgreSQL does it: a table whose policies have sub-queries may not be met while it is being worked on. What led nowhere once, does not later. */
function meetsAgain(oid: Oid, working: ReadonlySet<Oid>, { reads, done }: { readonly reads: Reads; readonly done: Set<Oid> }): boolean {
  const next = reads(oid);
  if (next.length === 0 || done.has(oid)) return false;
  if (working.has(oid) || next.some((other) => meetsAgain(other, new Set([...working, oid]), { reads, done }))) return true;
  done.add(oid);
  return false;
}
