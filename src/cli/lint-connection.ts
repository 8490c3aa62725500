// Lints the database of one DatabaseConnection, limited to what its RowPolicies govern and without what they allow.
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { governedTables } from '../lint/governed-tables.ts';
import { concernsSchemas, concernsTables, exemptionsOf, withoutAllowed } from '../lint/select-findings.ts';
import type { Resource } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import { resolveTarget } from '../reconcile/connection-attempt.ts';
import { databaseKeyOf } from '../reconcile/row-policy-scope.ts';
import { lintDatabase, type LintedDatabase, type LintOptions } from './lint-database.ts';

interface ConnectionOptions {
  readonly cluster: Cluster;
  readonly witnesses: boolean;
  readonly schemas?: readonly string[];
}

export async function lintConnection(connection: Resource<'DatabaseConnection'>, { cluster, witnesses, schemas }: ConnectionOptions, signal: AbortSignal): Promise<LintedDatabase> {
  const target = await resolveTarget(connection, { cluster, engine: { target: connectionTarget } }, signal);
  const { namespace, name } = connection.metadata;
  const policies = cluster.list('RowPolicy').filter((policy) => {
    const key = databaseKeyOf(policy);
    return key.namespace === namespace && key.name === name;
  });
  const select: LintOptions['select'] = (findings, catalog) => {
    const governed = new Set(policies.flatMap(({ spec }) => [...governedTables(spec.target, catalog)]));
    const ours = findings.filter((finding) => concernsTables(finding, governed) && (schemas === undefined || concernsSchemas(finding, schemas)));
    return withoutAllowed(ours, [...exemptionsOf(connection.spec.exemptRoles ?? []), ...policies.flatMap(({ spec }) => spec.allowedFindings ?? [])]);
  };
  return lintDatabase(target, { select, witnesses }, signal);
}
