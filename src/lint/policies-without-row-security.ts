// Policies do nothing until row security is enabled on their table.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

const privileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;

export const policiesWithoutRowSecurity: Lint = {
  id: 'policies-without-row-security',
  severity: 'error',
  title: 'a table has policies, and row security is off',
  reason: 'CREATE POLICY does not enable row security; until ALTER TABLE does, nobody asks the policies.',
  fix: 'ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
  find: (landscape) => landscape.relations.filter((table) => !table.rowSecurity && table.policies.length > 0).map((table) => finding(table, landscape)),
};

function finding(table: CatalogRelation, landscape: Landscape): LintFinding {
  const holders = landscape.roles.ordinary.filter((role) => !landscape.roles.has(role.oid, table.owner) && privileges.some((privilege) => landscape.holders(table, privilege).includes(role)));
  const reader = landscape.holders(table, 'SELECT').find((role) => role.oid !== 0 && holders.includes(role));
  return {
    object: titled(table),
    tables: [titled(table)],
    severity: holders.length === 0 ? 'warning' : 'error',
    why: `It has ${table.policies.length === 1 ? 'a policy' : `${table.policies.length} policies`} that nobody asks; ${holders.length === 0 ? 'only its owner gets at it now' : `${rolesListed(holders)} get at every row`}.`,
    fix: `ALTER TABLE ${sqlRelation(table)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
    ...(reader === undefined ? {} : { witness: { role: reader.name, kind: 'ReadsPastPolicies', relation: tableNameOf(table), shows: `${reader.name} reads rows although no policy was asked` } as const }),
  };
}
