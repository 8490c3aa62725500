// A rewrite rule acts with the rights of its relation's owner, so policies ask the owner and not who wrote.
import type { CatalogRelation, CatalogRule } from '../policy/catalog.ts';
import { claimsOf, type Claims } from './claims.ts';
import type { BodyCommand } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import { handsOnOwnRows, writersOf, writeWitness } from './lent-writes.ts';
import type { Lint, LintFinding } from './lint.ts';
import { reachesAll } from './owner-reach.ts';
import { listed, rolesListed, sqlName, sqlRelation, titled } from './words.ts';

export const rewriteRule: Lint = {
  id: 'rewrite-rule',
  severity: 'error',
  title: 'a rule writes or reads past the policies',
  reason: 'What a rule adds to a statement is done as the owner of the table or view that has the rule; security_invoker changes nothing about that. Policies that bind the writer are not asked.',
  fix: 'an INSTEAD OF trigger whose function is SECURITY INVOKER, or a view that PostgreSQL can update by itself with security_invoker',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return landscape.relations.flatMap((relation) => relation.rules.filter((rule) => rule.enabled).flatMap((rule) => finding(relation, rule, { landscape, claims })));
  },
};

function finding(relation: CatalogRelation, rule: CatalogRule, { landscape, claims }: { readonly landscape: Landscape; readonly claims: Claims }): readonly LintFinding[] {
  const owner = landscape.roles.role(relation.owner);
  const commands = commandsOf(rule);
  const tables = rule.touches.flatMap((oid) => landscape.relation(oid) ?? []).filter((table) => commands.some((command) => reachesAll(owner, table, command, landscape)));
  const roles = writersOf(relation, [rule.event], tables, landscape);
  const [table] = tables;
  if (roles.length === 0 || table === undefined) return [];
  const logs = !rule.instead && commands.every((command) => command === 'Insert');
  const witness = logs ? undefined : writeWitness(relation, table, [rule.event], landscape);
  return [
    {
      object: `rule ${rule.name} on ${titled(relation)}`,
      tables: tables.map(titled),
      severity: logs ? 'info' : handsOnOwnRows(relation, [rule.event], claims) ? 'warning' : 'error',
      why: `On ${rule.event.toUpperCase()} it does ${listed(commands.map((command) => command.toUpperCase()))} on ${listed(tables.map(titled))} as ${owner?.name ?? 'its owner'}, whom no policy there holds back; ${rolesListed(roles)} may ${rule.event.toUpperCase()} here.`,
      fix: `DROP RULE ${sqlName(rule.name)} ON ${sqlRelation(relation)}; use an INSTEAD OF trigger whose function is SECURITY INVOKER`,
      ...(witness === undefined ? {} : { witness }),
    },
  ];
}

function commandsOf({ definition }: CatalogRule): readonly BodyCommand[] {
  const action = definition.slice(definition.search(/\bDO\s+(?:INSTEAD|ALSO)?/));
  const words = [['Insert', /\bINSERT INTO\b/], ['Update', /\bUPDATE\b/], ['Delete', /\bDELETE FROM\b/], ['Select', /\bSELECT\b/]] as const;
  return words.filter(([, word]) => word.test(action)).map(([command]) => command);
}
