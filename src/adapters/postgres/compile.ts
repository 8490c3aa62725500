// Desired state to SQL: checks that every table, role and column is there before anything is touched, then compiles each predicate.
import { createHash } from 'node:crypto';
import { RowsealError } from '../../model/errors.ts';
import type { CompiledFunction, CompiledPolicy, CompiledState } from '../../policy/compiled.ts';
import { type Desired, type DesiredPolicy, rolesOf } from '../../policy/desired.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import type { Membership, Predicate } from '../../policy/predicate.ts';
import { describeTable, sameTable, type TableName } from '../../policy/table-name.ts';
import { directMembership, helperMembership } from './membership-sql.ts';
import { type PredicateScope, predicateSql } from './predicate-sql.ts';

export interface CompileOptions {
  readonly claimsSetting: string;
  /** Where helper functions are made; `rowseal`, or the scratch schema of a test. */
  readonly helperSchema: string;
}

/** Throws DatabaseObjectMissing, DatabasePrivilege or BadPredicate, each naming the object; touches nothing. */
export function compileDesired(desired: Desired, observation: Observation, options: CompileOptions): CompiledState {
  requireRoles(desired, observation);
  const context = { desired, observation, options };
  return {
    owner: desired.owner,
    tables: desired.tables.map((target) => {
      const table = requireTable(target.table, observation);
      requireGovernable(table, observation);
      return { table: target.table, rowSecurity: target.rowSecurity, policies: target.policies.map((policy) => compilePolicy(policy, table, context)) };
    }),
  };
}

/**
 * The same desired state and observation with every table moved to another schema: what tests with a fixture compile.
 * Tables that exist in several schemas under one name can't be told apart there; the target's own wins.
 */
export function retarget(desired: Desired, observation: Observation, schema: string): { desired: Desired; observation: Observation } {
  const move = (name: TableName): TableName => ({ schema, table: name.table });
  const predicate = (before: Predicate): Predicate =>
    before.kind === 'sql'
      ? before
      : { kind: 'tree', alternatives: before.alternatives.map((terms) => terms.map((term) => (term.kind === 'member' ? { ...term, table: move(term.table) } : term))) };
  const policy = ({ using, check, ...rest }: DesiredPolicy): DesiredPolicy => ({
    ...rest,
    ...(using === undefined ? {} : { using: predicate(using) }),
    ...(check === undefined ? {} : { check: predicate(check) }),
  });
  return {
    desired: {
      ...desired,
      governed: desired.governed.map(move),
      tables: desired.tables.map((table) => ({ ...table, table: move(table.table), policies: table.policies.map(policy) })),
    },
    observation: { ...observation, bypassesRowSecurity: true, tables: observation.tables.map((table) => ({ ...table, table: move(table.table), owned: true })) },
  };
}

interface Context {
  readonly desired: Desired;
  readonly observation: Observation;
  readonly options: CompileOptions;
}

function compilePolicy(policy: DesiredPolicy, table: ObservedTable, context: Context): CompiledPolicy {
  const functions = new Map<string, CompiledFunction>();
  const scope: PredicateScope = {
    table,
    prefix: '',
    claims: { setting: context.options.claimsSetting, versionNumber: context.observation.versionNumber },
    role: 'cast(current_user as "pg_catalog"."text")',
    membership: (member) => {
      const source = requireTable(member.table, context.observation);
      if (!needsHelper(member, source, context.desired)) return directMembership(member, source, scope);
      requireReadable(source, context);
      const helper = helperMembership(member, source, scope, { schema: context.options.helperSchema, roles: policy.roles });
      functions.set(helper.function.name, helper.function);
      return helper.call;
    },
  };
  const using = policy.using === undefined ? undefined : predicateSql(policy.using, scope);
  const check = policy.check === undefined ? undefined : predicateSql(policy.check, scope);
  const helpers = [...functions.values()];
  const definition = createHash('sha256').update(JSON.stringify([using ?? null, check ?? null, helpers.map((helper) => helper.definition)]));
  return {
    name: policy.name,
    rule: policy.rule,
    as: policy.as,
    command: policy.command,
    roles: policy.roles,
    ...(using === undefined ? {} : { using }),
    ...(check === undefined ? {} : { check }),
    functions: helpers,
    definition: definition.digest('hex'),
  };
}

/** A negated lookup that saw too few rows would admit too many, so it never depends on the reader's own rights. */
function needsHelper(member: Membership, source: ObservedTable, desired: Desired): boolean {
  return member.not || source.rowSecurity || desired.governed.some((name) => sameTable(name, source.table));
}

function requireTable(name: TableName, observation: Observation): ObservedTable {
  const table = observation.tables.find((candidate) => sameTable(candidate.table, name));
  if (table !== undefined) return table;
  throw new RowsealError('DatabaseObjectMissing', `table ${describeTable(name)} does not exist`, {
    object: `table ${describeTable(name)}`,
    next: 'create the table, or correct its schema and name in the manifest',
  });
}

function requireGovernable(table: ObservedTable, observation: Observation): void {
  const object = `table ${describeTable(table.table)}`;
  if (table.relationKind !== 'r' && table.relationKind !== 'p') {
    throw new RowsealError('DatabaseObjectMissing', `${describeTable(table.table)} is no table, so it can't carry policies`, { object, next: 'name a table or a partitioned table' });
  }
  if (table.owned) return;
  throw new RowsealError('DatabasePrivilege', `${describeTable(table.table)} belongs to ${table.owner}, whose rights our role ${observation.currentRole} does not have`, {
    object,
    next: `grant the role ${table.owner} to ${observation.currentRole}`,
  });
}

function requireReadable(source: ObservedTable, { desired, observation }: Context): void {
  const willBeForced = source.forced || desired.governed.some((name) => sameTable(name, source.table));
  if (observation.bypassesRowSecurity || (source.owned && !willBeForced)) return;
  throw new RowsealError('DatabasePrivilege', `membership in ${describeTable(source.table)} can't be looked up past its row security`, {
    object: `table ${describeTable(source.table)}`,
    next: `give the operator's role ${observation.currentRole} the attribute BYPASSRLS`,
  });
}

function requireRoles(desired: Desired, observation: Observation): void {
  const missing = rolesOf(desired).find((name) => !observation.roles.some((role) => role.name === name));
  if (missing === undefined) return;
  throw new RowsealError('DatabaseObjectMissing', `role ${JSON.stringify(missing)} does not exist`, { object: `role ${missing}`, next: 'create the role, or correct its name in the manifest' });
}
