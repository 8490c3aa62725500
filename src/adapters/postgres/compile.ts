// Desired state to SQL: checks that every table, role and column is there before anything is touched, then compiles each predicate.
import { createHash } from 'node:crypto';
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import type { CompiledFunction, CompiledPolicy, CompiledState, LiteralCast } from '../../policy/compiled.ts';
import { type Desired, type DesiredPolicy, rolesOf } from '../../policy/desired.ts';
import { guardedTarget } from '../../policy/guard.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import { treeVersion } from '../../policy/policy-tree.ts';
import { mapMemberships, type Membership, membershipsOf, type Predicate } from '../../policy/predicate.ts';
import { describeTable, sameTable, type TableName } from '../../policy/table-name.ts';
import { sessionOf } from './claim-sql.ts';
import type { ClaimSource } from './claims-source-sql.ts';
import { faithfulText } from './faithful-text.ts';
import { directMembership, helperMembership } from './membership-sql.ts';
import type { PredicateScope } from './predicate-scope.ts';
import { predicateSql } from './predicate-sql.ts';
import { type Verbatim, verbatimOf } from './verbatim.ts';

export interface CompileOptions {
  readonly claims: ClaimsConfiguration;
  /** Where helper functions are made; `rowseal`, or beside the copies of a test. */
  readonly helperSchema: string;
}

/** Throws DatabaseObjectMissing, DatabasePrivilege or BadPredicate, each naming the object; touches nothing. */
export function compileDesired(desired: Desired, observation: Observation, options: CompileOptions): CompiledState {
  requireRoles(desired, observation);
  const claims = { claims: options.claims, versionNumber: observation.versionNumber };
  const context = { desired, observation, options, claims, literals: new Map<string, LiteralCast>() };
  const tables = desired.tables.map((target) => {
    const table = requireTable(target.table, observation);
    requireGovernable(table, observation);
    const spared = desired.removesUnmanaged ? { removesUnmanagedBut: desired.named.filter((other) => sameTable(other.table, target.table)).map(({ name }) => name) } : {};
    return { table: target.table, rowSecurity: target.rowSecurity, policies: policiesFor(target).map((policy) => compilePolicy(policy, table, context)), ...spared };
  });
  return { owner: desired.owner, guard: guardedTarget(desired), tables, literals: [...context.literals.values()] };
}

interface Context {
  readonly desired: Desired;
  readonly observation: Observation;
  readonly options: CompileOptions;
  readonly claims: ClaimSource;
  readonly literals: Map<string, LiteralCast>;
}

/** What is kept to the letter may name the table itself, so that partitions get the terms compiled. */
function policiesFor({ table, root, policies }: Desired['tables'][number]): readonly DesiredPolicy[] {
  return sameTable(table, root) ? policies : policies.map(({ verbatim: _kept, ...rest }) => rest);
}

function compilePolicy(policy: DesiredPolicy, table: ObservedTable, context: Context): CompiledPolicy {
  const { name, rule, as, command, roles } = policy;
  const functions = new Map<string, CompiledFunction>();
  const scope = scopeOf(policy, table, { context, functions });
  const kept = verbatimOf(policy, table, context);
  const using = inRule(rule, () => (policy.using === undefined ? undefined : kept.using === undefined ? predicateSql(policy.using, scope) : faithfulText(kept.using)));
  const check = inRule(rule, () => (policy.check === undefined ? undefined : kept.check === undefined ? predicateSql(policy.check, scope) : faithfulText(kept.check)));
  const declared = { ...textOf('using', policy, kept), ...textOf('check', policy, kept) };
  const helpers = [...functions.values()];
  const definition = createHash('sha256').update(JSON.stringify([using ?? null, check ?? null, helpers.map((helper) => helper.definition)]));
  return {
    name,
    rule,
    as,
    command,
    roles,
    ...(using === undefined ? {} : { using }),
    ...(check === undefined ? {} : { check }),
    ...(Object.keys(declared).length === 0 ? {} : { declared }),
    functions: helpers,
    definition: definition.digest('hex'),
    tree: { version: treeVersion, claims: claimsName(context.claims), ...recordedSides(policy, context) },
  };
}

/** The side as its manifest writes it, where it writes text and not terms. */
function textOf(side: 'using' | 'check', policy: DesiredPolicy, kept: Verbatim): Verbatim {
  const predicate = policy[side];
  const text = kept[side] ?? (predicate?.kind === 'sql' ? predicate.text.trim() : undefined);
  return text === undefined ? {} : { [side]: text };
}

function scopeOf(policy: DesiredPolicy, table: ObservedTable, { context, functions }: { context: Context; functions: Map<string, CompiledFunction> }): PredicateScope {
  const tableOf = (name: TableName): ObservedTable => requireTable(name, context.observation);
  return {
    table,
    prefix: '',
    session: sessionOf(context.claims),
    literals: context.literals,
    rule: policy.rule,
    membership: (member, scope) => {
      if (!needsHelper(member, context)) return directMembership(member, tableOf, scope);
      for (const source of sourcesOf(member, context)) requireReadable(source, context);
      const helper = helperMembership(member, scope, { schema: context.options.helperSchema, roles: policy.roles, tableOf });
      functions.set(helper.function.name, helper.function);
      return helper.values;
    },
  };
}

/** How claims are obtained, whatever the server's version. */
function claimsName(source: ClaimSource): string {
  return JSON.stringify(source.claims);
}

function recordedSides({ using, check }: DesiredPolicy, context: Context): { using?: Predicate; check?: Predicate } {
  const recorded = (predicate: Predicate): Predicate => mapMemberships(predicate, (member) => ({ ...member, past: needsHelper(member, context) }));
  return { ...(using === undefined ? {} : { using: recorded(using) }), ...(check === undefined ? {} : { check: recorded(check) }) };
}

/** Names the rule in what is wrong with its predicate. */
function inRule<T>(rule: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof RowsealError) || error.code !== 'BadPredicate') throw error;
    throw new RowsealError('BadPredicate', `rule ${rule}: ${error.message}`, { object: `rule ${rule}`, ...(error.next === undefined ? {} : { next: error.next }) });
  }
}

/**
 * A negated lookup that saw too few rows would admit too many, so it never depends on the reader's own rights. A lookup
 * with another one inside is read as a whole, either way.
 */
function needsHelper(member: Membership, context: Context): boolean {
  const { desired } = context;
  return lookupsOf(member).some(({ not }) => not) || sourcesOf(member, context).some((source) => source.rowSecurity || desired.governed.some((name) => sameTable(name, source.table)));
}

function lookupsOf(member: Membership): readonly Membership[] {
  return membershipsOf({ kind: 'tree', alternatives: [[member]] });
}

function sourcesOf(member: Membership, { observation }: Context): readonly ObservedTable[] {
  return lookupsOf(member).map(({ table }) => requireTable(table, observation));
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
  if (table.table.schema === 'rowseal') {
    throw new RowsealError('BadReference', `${describeTable(table.table)} is Rowseal's own`, { object, next: 'name a table of another schema' });
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
