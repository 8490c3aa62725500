// Which findings are somebody's: by table or schema, and without those that were allowed with a reason.
import type { Finding } from './lint.ts';

export interface AllowedFinding {
  readonly lint: string;
  readonly object: string;
  /** Why it is no leak here; without one nothing is allowed. */
  readonly reason: string;
}

export interface Selection<Found extends Finding> {
  readonly findings: readonly Found[];
  readonly allowed: readonly { readonly finding: Found; readonly reason: string }[];
  /** What allows nothing any more, and can go. */
  readonly unused: readonly AllowedFinding[];
}

/** What concerns these tables (`schema.table`), or the whole database. */
export function concernsTables(finding: Finding, tables: ReadonlySet<string>): boolean {
  return finding.tables.length === 0 || tables.has(finding.object) || finding.tables.some((table) => tables.has(table));
}

/** What lies in these schemas, reaches into them, or concerns the whole database. */
export function concernsSchemas(finding: Finding, schemas: readonly string[]): boolean {
  const within = (name: string) => schemas.some((schema) => name.startsWith(`${schema}.`));
  return finding.tables.length === 0 || within(finding.object) || finding.tables.some(within);
}

/** A role that is declared to see all rows is no finding for doing so. */
export function exemptionsOf(roles: readonly string[]): readonly AllowedFinding[] {
  return roles.map((role) => ({ lint: 'bypassing-role', object: `role ${role}`, reason: 'it is one of the exemptRoles of the DatabaseConnection' }));
}

export function withoutAllowed<Found extends Finding>(findings: readonly Found[], allowances: readonly AllowedFinding[]): Selection<Found> {
  const reasons = new Map(allowances.filter((each) => each.reason.trim() !== '').map((each) => [keyOf(each), each.reason]));
  const found = new Set(findings.map(keyOf));
  return {
    findings: findings.filter((finding) => !reasons.has(keyOf(finding))),
    allowed: findings.flatMap((finding) => {
      const reason = reasons.get(keyOf(finding));
      return reason === undefined ? [] : [{ finding, reason }];
    }),
    unused: allowances.filter((each) => !found.has(keyOf(each))),
  };
}

function keyOf({ lint, object }: { readonly lint: string; readonly object: string }): string {
  return `${lint} ${object}`;
}
