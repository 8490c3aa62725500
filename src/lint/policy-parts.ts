// The policies that somebody is asked, with whom they ask; and how findings name them.
import type { CatalogPolicy, CatalogRelation, CatalogRole, PolicyCommand, PolicyExpression } from '../policy/catalog.ts';
import { type Expression, partsThat } from '../policy/expression.ts';
import type { Landscape } from './landscape.ts';
import { sqlName, sqlRelation, titled } from './words.ts';

export interface AskedPolicy {
  readonly table: CatalogRelation;
  readonly policy: CatalogPolicy;
  /** Ordinary roles that it is asked for: bound by the table's policies, meant by it, and holding the privilege; by name, PUBLIC last. */
  readonly roles: readonly CatalogRole[];
  readonly expressions: readonly PolicyExpression[];
}

export function askedPolicies(landscape: Landscape): readonly AskedPolicy[] {
  return landscape.once(findAsked);
}

function findAsked(landscape: Landscape): readonly AskedPolicy[] {
  return landscape.guarded.flatMap((table) => {
    const holders = new Map(commands.map((command) => [command, landscape.holders(table, command.toUpperCase()).filter((role) => landscape.bound(role, table))]));
    return table.policies.flatMap((policy) => {
      const holding = new Set(commandsOf(policy).flatMap((command) => holders.get(command) ?? []));
      const roles = landscape.roles.inOrder([...holding].filter((role) => means(policy, role, landscape)));
      const expressions = [policy.using, policy.check].filter((expression) => expression !== undefined);
      return roles.length === 0 ? [] : [{ table, policy, roles, expressions }];
    });
  });
}

type OneCommand = Exclude<PolicyCommand, 'All'>;
const commands: readonly OneCommand[] = ['Select', 'Insert', 'Update', 'Delete'];

export function commandsOf({ command }: CatalogPolicy): readonly OneCommand[] {
  return command === 'All' ? commands : [command];
}

export function means(policy: CatalogPolicy, role: CatalogRole, landscape: Landscape): boolean {
  return policy.roles.some((named) => named === 0 || landscape.roles.has(role.oid, named));
}

/** A role to act as in a witness: PUBLIC is nobody, and reading needs SELECT. */
export function readerAmong({ table, policy, roles }: AskedPolicy, landscape: Landscape): CatalogRole | undefined {
  if (!commandsOf(policy).includes('Select') || !policy.permissive) return undefined;
  const readers = landscape.holders(table, 'SELECT');
  return roles.find((role) => role.oid !== 0 && readers.includes(role));
}

export function policyTitled(policy: CatalogPolicy, table: CatalogRelation): string {
  return `policy ${policy.name} on ${titled(table)}`;
}

export function sqlPolicy(policy: CatalogPolicy, table: CatalogRelation): string {
  return `POLICY ${sqlName(policy.name)} ON ${sqlRelation(table)}`;
}

type ColumnPart = Extract<Expression, { kind: 'Column' }>;

/** Columns of the policy's own table that the expression names; inside a sub-query PostgreSQL qualifies them. */
export function ownColumns(expression: Expression, table: CatalogRelation): readonly string[] {
  const named = partsThat(expression, (part): part is ColumnPart => part.kind === 'Column' && (part.path.length === 1 || part.path.at(-2) === table.name));
  return [...new Set(named.map((part) => part.path.at(-1) ?? ''))].filter((name) => table.columns.some((column) => column.name === name));
}
