// An INSTEAD OF trigger whose function is SECURITY DEFINER writes for everybody who may write the view.
import type { CatalogRelation, CatalogTrigger } from '../policy/catalog.ts';
import { calledFunctions, type CalledFunctions } from './called-functions.ts';
import { claimsOf, type Claims } from './claims.ts';
import { functionTables, type FunctionTables } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import { handsOnOwnRows, type WriteEvent, writersOf, writeWitness } from './lent-writes.ts';
import type { Lint, LintFinding } from './lint.ts';
import { reachesAll } from './owner-reach.ts';
import { functionTitled, listed, rolesListed, sqlFunction, titled } from './words.ts';

export const insteadOfTrigger: Lint = {
  id: 'instead-of-trigger',
  severity: 'error',
  title: 'a trigger on a view writes past the policies',
  reason: 'The function of an INSTEAD OF trigger runs as who writes the view, unless it is SECURITY DEFINER: then it writes as its owner, whom the policies do not bind.',
  fix: 'ALTER FUNCTION … SECURITY INVOKER, and grant the writers what it writes',
  find: (landscape) => {
    const functions = calledFunctions(landscape);
    const around = { landscape, functions, tables: functionTables(landscape), claims: claimsOf(landscape) };
    return landscape.relations.flatMap((view) => view.triggers.filter((trigger) => trigger.timing === 'InsteadOf' && trigger.enabled).flatMap((trigger) => finding(view, trigger, around)));
  },
};

interface Around {
  readonly landscape: Landscape;
  readonly functions: CalledFunctions;
  readonly tables: FunctionTables;
  readonly claims: Claims;
}

function finding(view: CatalogRelation, trigger: CatalogTrigger, { landscape, functions, tables, claims }: Around): readonly LintFinding[] {
  const called = landscape.function(trigger.function);
  if (called === undefined || !called.definer || functions.asksWhoCalls(called)) return [];
  const owner = landscape.roles.role(called.owner);
  const reached = [...new Set(tables.usesOf(called).filter(({ relation, command }) => command !== 'Select' && reachesAll(owner, relation, command, landscape)).map(({ relation }) => relation))];
  const events = trigger.events.filter((event): event is WriteEvent => event !== 'Truncate');
  const roles = writersOf(view, events, reached, landscape);
  const [table] = reached;
  if (roles.length === 0 || table === undefined) return [];
  const witness = writeWitness(view, table, events, landscape);
  return [
    {
      object: `trigger ${trigger.name} on ${titled(view)}`,
      tables: reached.map(titled),
      severity: handsOnOwnRows(view, events, claims) ? 'warning' : 'error',
      why: `${functionTitled(called)} writes ${listed(reached.map(titled))} as ${owner?.name ?? 'its owner'}, whom no policy there holds back; ${rolesListed(roles)} may ${listed(events.map((event) => event.toUpperCase()))} the view.`,
      fix: `ALTER ${sqlFunction(called)} SECURITY INVOKER`,
      ...(witness === undefined ? {} : { witness }),
    },
  ];
}
