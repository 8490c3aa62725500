// Which minor versions are reported, for which defects.
import { expect, test } from 'vitest';
import { survey } from '../../src/lint/landscape.ts';
import { serverVersion } from '../../src/lint/server-version.ts';
import type { Catalog, CatalogRelation } from '../../src/policy/catalog.ts';

const guarded: CatalogRelation = {
  oid: 1,
  schema: 'public',
  name: 'orders',
  kind: 'Table',
  owner: 10,
  rowSecurity: true,
  forced: true,
  securityInvoker: false,
  securityBarrier: false,
  extension: null,
  parents: [],
  rowEstimate: -1,
  grants: [],
  columns: [],
  policies: [],
  indexes: [],
  foreignKeys: [],
  triggers: [],
  rules: [],
};

function found(version: string, rowSecurity = true): readonly string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const catalog: Catalog = {
    server: { version, versionNumber: major * 10_000 + minor, database: 'shop', currentRole: 'postgres' },
    databaseGrants: [],
    roles: [],
    memberships: [],
    schemas: [],
    relations: [{ ...guarded, rowSecurity }],
    functions: [],
    publications: [],
  };
  return serverVersion.find(survey(catalog)).flatMap(({ object, why }) => [object, ...(why.match(/CVE-\d+-\d+/g) ?? [])]);
}

test.each([
  ['15.2', ['CVE-2025-8713', 'CVE-2024-10976', 'CVE-2023-39418', 'CVE-2023-2455']],
  ['15.3', ['CVE-2025-8713', 'CVE-2024-10976', 'CVE-2023-39418']],
  ['15.8', ['CVE-2025-8713', 'CVE-2024-10976']],
  ['15.13', ['CVE-2025-8713']],
  ['16.9', ['CVE-2025-8713']],
  ['17.0', ['CVE-2025-8713', 'CVE-2024-10976']],
  ['17.5', ['CVE-2025-8713']],
])('%s', (version, defects) => {
  expect(found(version)).toEqual([`server ${version}`, ...defects]);
});

test.each(['15.14', '16.10', '17.6', '18.0', '18.4', '19.0'])('%s has none', (version) => {
  expect(found(version)).toEqual([]);
});

test('without row security nothing is passed', () => {
  expect(found('15.2', false)).toEqual([]);
});
