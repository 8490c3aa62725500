// Notices what changed around the policies since the last look, and puts it into the WAL with the range in which it happened (DESIGN §5, DDL).
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { formatLsn, type Lsn } from '../../model/branded.ts';
import type { EnvironmentChange, EnvironmentItem, EnvironmentReport } from '../../ports/audit-coverage.ts';
import { environmentFingerprintSql, environmentSql } from './environment-sql.ts';
import type { RunQuery } from './run-query.ts';

/** What was last put into the WAL, so that the next look can say what changed. It is no evidence: the digest in the log is. */
export const environmentTableSql: readonly string[] = [
  `create table if not exists rowseal.audit_environment (
     capture text primary key, digest text not null, fingerprint text not null, items jsonb not null, looked_at pg_lsn not null)`,
  'alter table rowseal.audit_environment enable row level security',
  'revoke all on rowseal.audit_environment from public',
];

/** Changes beyond these are counted; the whole environment can be read from the entry's digest and the next start. */
const maxChanges = 256;

export interface EnvironmentLook {
  readonly name: string;
  readonly superuser: boolean;
  /** Whole: at the first look of a run, whose source may have missed what was said before. */
  readonly extent: 'Changes' | 'Whole';
  /** End of the WAL at the look before; undefined at the first one of this process. */
  readonly since: Lsn | undefined;
  /** Where the WAL ends now, read before the catalog. */
  readonly now: Lsn;
}

interface Known {
  readonly digest: string;
  readonly fingerprint: string;
  readonly items: readonly EnvironmentItem[];
  readonly looked_at: string;
}

/** Inside the caller's transaction, so that record and message are one; undefined when there is nothing to say. */
export async function lookAtEnvironment(query: RunQuery, look: EnvironmentLook): Promise<EnvironmentReport | undefined> {
  const [known] = await query<Known>('select digest, fingerprint, items, looked_at::text from rowseal.audit_environment where capture = $1', [look.name]);
  const [now] = await query<{ fingerprint: string | null }>(environmentFingerprintSql(look), [look.name]);
  const fingerprint = now?.fingerprint ?? '';
  if (look.extent === 'Changes' && known?.fingerprint === fingerprint) return undefined;
  const rows = await query<{ kind: string; name: string; value: unknown }>(environmentSql(look), [look.name]);
  const items = rows.map(({ kind, name, value }): EnvironmentItem => [kind, name, value]).sort(byName);
  const digest = `sha256:${createHash('sha256').update(canonicalize(items) ?? '').digest('hex')}`;
  const changes = known === undefined ? [] : changesBetween(known.items, items);
  await query(
    `insert into rowseal.audit_environment (capture, digest, fingerprint, items, looked_at) values ($1, $2, $3, $4, $5)
     on conflict (capture) do update set digest = excluded.digest, fingerprint = excluded.fingerprint, items = excluded.items, looked_at = excluded.looked_at`,
    [look.name, digest, fingerprint, JSON.stringify(items), formatLsn(look.now)],
  );
  return {
    digest,
    previous: known?.digest ?? null,
    from: look.since === undefined ? (known?.looked_at ?? null) : formatLsn(look.since),
    to: formatLsn(look.now),
    changes: changes.slice(0, maxChanges),
    total: changes.length,
    ...(look.extent === 'Whole' || known === undefined ? { items } : {}),
  };
}

function byName([kindA, nameA]: EnvironmentItem, [kindB, nameB]: EnvironmentItem): number {
  if (kindA !== kindB) return kindA < kindB ? -1 : 1;
  return nameA < nameB ? -1 : nameA > nameB ? 1 : 0;
}

/** In the order of kinds and names. */
function changesBetween(before: readonly EnvironmentItem[], after: readonly EnvironmentItem[]): readonly EnvironmentChange[] {
  const keyOf = ([kind, name]: EnvironmentItem) => JSON.stringify([kind, name]);
  const old = new Map(before.map((item) => [keyOf(item), item]));
  const changes: EnvironmentChange[] = [];
  for (const item of after) {
    const was = old.get(keyOf(item));
    old.delete(keyOf(item));
    if (was === undefined) changes.push({ kind: item[0], name: item[1], after: item[2] });
    else if (canonicalize(was[2]) !== canonicalize(item[2])) changes.push({ kind: item[0], name: item[1], before: was[2], after: item[2] });
  }
  for (const [kind, name, value] of old.values()) changes.push({ kind, name, before: value });
  return changes.sort((a, b) => byName([a.kind, a.name, null], [b.kind, b.name, null]));
}
