// Which roles a test can act as: those that row-level security binds, and that cannot step up to one that it does not.
import type { RunQuery } from './run-query.ts';

interface RoleRow {
  readonly role: string;
  readonly exempt: boolean;
  readonly reaches: string | null;
  readonly ours: boolean;
}

/** Reason by name for every role that cannot be tested. The probe is a member of what it tests, so of all that role is a member of. */
export async function testableRoles(query: RunQuery, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await query<RoleRow>(
    `select r.rolname::text as role, r.rolsuper or r.rolbypassrls as exempt, pg_has_role(r.oid, current_user, 'MEMBER') as ours,
            (select min(s.rolname::text) from pg_catalog.pg_roles s where (s.rolsuper or s.rolbypassrls) and pg_has_role(r.oid, s.oid, 'MEMBER')) as reaches
       from pg_catalog.pg_roles r where r.rolname = any ($1::text[])`,
    [names],
  );
  const reasons = new Map<string, string>();
  for (const name of names) {
    const reason = reasonAgainst(name, rows.find((row) => row.role === name));
    if (reason !== undefined) reasons.set(name, reason);
  }
  return reasons;
}

function reasonAgainst(name: string, row: RoleRow | undefined): string | undefined {
  if (name === 'PUBLIC') return 'PUBLIC is no role that a session can have: name one';
  if (row === undefined) return `role ${JSON.stringify(name)} does not exist`;
  if (row.exempt) return `role ${name} is a superuser or has BYPASSRLS: no policy binds it, so a test would prove nothing`;
  if (row.ours) return `role ${name} can become the operator's own role, so it is not tested`;
  return row.reaches === null ? undefined : `role ${name} can become ${row.reaches}, which no policy binds`;
}
