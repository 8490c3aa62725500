// Marks each policy we made with what it is, and records the same where a comment's editor can't reach.
import type { CompiledPolicy } from '../../policy/compiled.ts';
import { formatMarker } from '../../policy/marker.ts';
import { policyState } from '../../policy/mending.ts';
import type { Plan, PlannedTable } from '../../policy/step.ts';
import { sameTable, tableKey } from '../../policy/table-name.ts';
import { policyDeparsedSql } from './digest-sql.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './session.ts';

/** The flags of before anybody's first apply; ahead of the steps, whose own DDL the guard sees, too. */
export async function rememberFlags(query: RunQuery, { tables, leaving }: Plan): Promise<void> {
  if (leaving) return;
  for (const { oid, before } of tables) {
    await query('insert into rowseal.governed_table (table_oid, row_security_before, forced_before) values ($1::oid, $2, $3) on conflict do nothing', [oid, before.rowSecurity, before.forced]);
  }
}

/** Inside the applying transaction, so that a policy without its mark never exists. */
export async function recordPolicies(query: RunQuery, plan: Plan): Promise<void> {
  await forgetDroppedTables(query);
  // Grouped once: a plan may hold thousands of tables.
  const madeOf = Map.groupBy(plan.steps.flatMap(({ operation }) => ('policy' in operation ? [operation] : [])), (operation) => tableKey(operation.table));
  for (const table of plan.tables) {
    const made = (madeOf.get(tableKey(table.table)) ?? []).map(({ policy }) => policy);
    const deparsed = await deparsedDigests(query, table);
    const adopted = plan.adoptions.filter((adoption) => sameTable(adoption.table, table.table)).map(({ policy }) => policy);
    for (const policy of made) await markPolicy({ query, plan, table, policy, deparsed: deparsed.get(policy.name) ?? '' });
    for (const policy of adopted) await recordPolicy({ query, plan, table, policy, deparsed: deparsed.get(policy.name) ?? '' }, true);
    await releasePolicies(query, plan, table);
    await tidyRecords(query, plan, table);
  }
  await query(
    `insert into rowseal.policy_owner (owner, revision) values ($1, 1) on conflict (owner) do update set revision = policy_owner.revision + 1`,
    [plan.owner],
  );
}

async function forgetDroppedTables(query: RunQuery): Promise<void> {
  for (const records of ['rowseal.governed_table', 'rowseal.governed_policy']) {
    await query(`delete from ${records} r where not exists (select from pg_catalog.pg_class c where c.oid = r.table_oid)`);
  }
}

async function deparsedDigests(query: RunQuery, table: PlannedTable): Promise<ReadonlyMap<string, string>> {
  const rows = await query<{ name: string; deparsed: string }>(
    `select p.polname::text as name, ${policyDeparsedSql('p')} as deparsed from pg_catalog.pg_policy p where p.polrelid = $1::oid`,
    [table.oid],
  );
  return new Map(rows.map((row) => [row.name, row.deparsed]));
}

interface Marking {
  readonly query: RunQuery;
  readonly plan: Plan;
  readonly table: PlannedTable;
  readonly policy: CompiledPolicy;
  readonly deparsed: string;
}

async function markPolicy(marking: Marking): Promise<void> {
  const { query, plan, table, policy, deparsed } = marking;
  const marker = { owner: plan.owner, rule: policy.rule, definition: policy.definition, deparsed };
  await query(`comment on policy ${quoteName(policy.name)} on ${quoteTable(table.table)} is ${quoteLiteral(formatMarker(marker))}`);
  await recordPolicy(marking, false);
}

/** An adopted policy gets the record alone: its comment was there before us. */
async function recordPolicy({ query, plan, table, policy, deparsed }: Marking, adopted: boolean): Promise<void> {
  await query(
    `insert into rowseal.governed_policy (table_oid, policy_name, owner, rule, definition, deparsed, state, tree, adopted, roles) values ($1::oid, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10::text[])
     on conflict (table_oid, policy_name) do update set
       owner = excluded.owner, rule = excluded.rule, definition = excluded.definition, deparsed = excluded.deparsed, state = excluded.state,
       tree = excluded.tree, adopted = excluded.adopted, roles = excluded.roles`,
    [table.oid, policy.name, plan.owner, policy.rule, policy.definition, deparsed, policyState(policy), policy.tree === undefined ? null : JSON.stringify(policy.tree), adopted, policy.roles],
  );
}

async function releasePolicies(query: RunQuery, plan: Plan, table: PlannedTable): Promise<void> {
  const names = plan.releases.filter((release) => sameTable(release.table, table.table)).map(({ name }) => name);
  if (names.length > 0) await query('delete from rowseal.governed_policy where table_oid = $1::oid and owner = $2 and policy_name = any ($3::text[])', [table.oid, plan.owner, names]);
}

/** Records of our policies that are gone go, those of others are theirs to mend by; the flags of before are kept until Restore has brought them back. */
async function tidyRecords(query: RunQuery, plan: Plan, table: PlannedTable): Promise<void> {
  await query(
    `delete from rowseal.governed_policy gp where gp.table_oid = $1::oid and gp.owner = $2
       and not exists (select from pg_catalog.pg_policy p where p.polrelid = gp.table_oid and p.polname = gp.policy_name)`,
    [table.oid, plan.owner],
  );
  if (plan.leaving) {
    // Where the flags stay on for another RowPolicy that comes, how they were before is still to be known when it leaves.
    await query(
      `delete from rowseal.governed_table gt using pg_catalog.pg_class c where gt.table_oid = $1::oid and c.oid = gt.table_oid
          and c.relrowsecurity = gt.row_security_before and c.relforcerowsecurity = gt.forced_before
          and not exists (select from rowseal.governed_policy gp where gp.table_oid = gt.table_oid)`,
      [table.oid],
    );
    return;
  }
  await query(
    `update rowseal.governed_table set pending_owners = array_remove(pending_owners, $3), declared = case when $2 = '' then declared else $2 end
      where table_oid = $1::oid and (declared <> $2 or $3 = any (pending_owners))`,
    [table.oid, table.declared, plan.owner],
  );
}
