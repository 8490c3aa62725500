// What a RowPolicy asks of its database, and what the other RowPolicies of that database already ask.
import { RowsealError } from '../model/errors.ts';
import { describeObject, type ObjectKey, type Resource, resolveRef } from '../model/kinds.ts';
import { contradictionOf, namesOf } from '../policy/contradiction.ts';
import { type Desired, membershipTables, type Neighbours, ownerOf, rootsOf } from '../policy/desired.ts';
import type { Observation, ObservedTable } from '../policy/observed.ts';
import { tableOf } from '../policy/plan-order.ts';
import { needsNoLeave } from '../policy/portion.ts';
import { rootFinder } from '../policy/resolve.ts';
import type { Operation, Plan } from '../policy/step.ts';
import { tableKey, type TableName } from '../policy/table-name.ts';
import { namedTables } from '../policy/target.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Database } from '../ports/database.ts';
import type { ConnectedDatabases } from './connected-databases.ts';
import { admittedInSql, grantedTables, mayGovern, type Right } from './grants.ts';
import type { Contributor } from './settling.ts';

type Policy = Resource<'RowPolicy'>;

interface Wish {
  readonly tables: readonly TableName[];
  readonly roles: readonly string[];
  readonly rights: readonly Right[];
}

interface Asking {
  readonly cluster: Cluster;
  readonly signal: AbortSignal;
}

export function databaseKeyOf(policy: Policy): ObjectKey {
  return resolveRef(policy.spec.databaseRef, policy.metadata);
}

/** RowPolicies of one database that are not being deleted. */
export function policiesOf(database: ObjectKey, cluster: Cluster): readonly Policy[] {
  return cluster.list('RowPolicy').filter((policy) => isOf(database, policy) && policy.metadata.deletionTimestamp === undefined);
}

function isOf(database: ObjectKey, policy: Policy): boolean {
  const key = databaseKeyOf(policy);
  return key.name === database.name && key.namespace === database.namespace;
}

/** All RowPolicies of a database, for their settling; one that is being deleted counts until that is carried out. */
export function contributorsOf(database: ObjectKey, cluster: Cluster): readonly Contributor[] {
  const policies = cluster.list('RowPolicy').filter((policy) => isOf(database, policy));
  return policies.filter(({ metadata, spec }) => metadata.deletionTimestamp === undefined || (spec.deletionPolicy ?? 'Retain') !== 'Retain').map(contributorOf);
}

export function contributorOf({ metadata, spec }: Policy): Contributor {
  return {
    id: ownerOf(metadata),
    fingerprint: `${metadata.uid} ${metadata.generation} ${metadata.deletionTimestamp ?? ''}`,
    target: spec.target,
  };
}

/** Throws a retryable BadReference while the database is not connected. */
export function requireDatabase(policy: Policy, cluster: Cluster, databases: ConnectedDatabases): Database {
  const key = databaseKeyOf(policy);
  const database = databases.get(key);
  if (database !== undefined) return database;
  const name = describeObject('DatabaseConnection', key);
  const missing = cluster.get('DatabaseConnection', key) === undefined;
  throw new RowsealError('BadReference', missing ? `${name} does not exist` : `${name} is not connected`, {
    object: describeObject('RowPolicy', policy.metadata),
    next: missing ? 'create it, or correct spec.databaseRef' : 'see its conditions',
    retryable: true,
  });
}

/** Another RowPolicy with a say on observed tables. */
export interface Sharing {
  readonly policy: Policy;
  /** The observed tables that it governs. */
  readonly tables: readonly TableName[];
}

/** The other RowPolicies that have a say on the observed tables. One that is not granted, or only plans, has none. */
export async function sharingWith(policy: Policy, { tables }: Observation, asking: Asking): Promise<readonly Sharing[]> {
  const others = policiesOf(databaseKeyOf(policy), asking.cluster).filter(
    ({ metadata, spec }) => spec.mode !== 'Plan' && (metadata.name !== policy.metadata.name || metadata.namespace !== policy.metadata.namespace),
  );
  const schemas = new Set(tables.map(({ table }) => table.schema));
  const sharing: Sharing[] = [];
  for (const other of others) {
    if (!schemas.has(other.spec.target.schema)) continue;
    const shared = sharedTables(other, tables);
    if (shared.tables.length === 0) continue;
    // Of a selector only the part that meets us is judged: too many contributors can only make tables stricter.
    const roots = other.spec.target.selector === undefined ? namedTables(other.spec.target) : shared.roots;
    if ((await refusal(other, { tables: roots, roles: [], rights: [] }, asking)) === undefined) sharing.push({ policy: other, tables: shared.tables });
  }
  return sharing;
}

/** What others want of the observed tables. */
export function neighboursOf(sharing: readonly Sharing[]): Neighbours {
  return {
    governed: sharing.flatMap(({ tables }) => tables),
    forced: sharing.filter(({ policy }) => (policy.spec.rowSecurity ?? 'Forced') === 'Forced').flatMap(({ tables }) => tables),
    named: sharing.flatMap(({ policy, tables }) => namesOf(policy.spec).flatMap((name) => tables.map((table) => ({ table, name })))),
  };
}

/** Throws Contradiction naming the other RowPolicy; that one, looked at by itself, names this one. */
export function requireAgreement(policy: Policy, desired: Desired, sharing: readonly Sharing[]): void {
  const own = new Set(desired.tables.map(({ table }) => tableKey(table)));
  for (const { policy: other, tables } of sharing) {
    const contradiction = contradictionOf(policy.spec, other.spec, tables.filter((table) => own.has(tableKey(table))));
    if (contradiction === undefined) continue;
    throw new RowsealError('Contradiction', `it contradicts ${describeObject('RowPolicy', other.metadata)}: ${contradiction}`, {
      object: describeObject('RowPolicy', policy.metadata),
      next: 'change one of them; until then neither is applied',
    });
  }
}

/** The observed tables that another RowPolicy's target means, too, with their roots there. */
function sharedTables(other: Policy, observed: readonly ObservedTable[]): { tables: readonly TableName[]; roots: readonly TableName[] } {
  const rootOf = rootFinder(other.spec.target, observed);
  const shared = observed.map((table) => ({ table: table.table, root: rootOf(table) }));
  return {
    tables: shared.filter(({ root }) => root !== undefined).map(({ table }) => table),
    roots: shared.map(({ root }) => root).filter((root) => root !== undefined),
  };
}

/** Throws NotGranted saying what is missing. Tables that are only looked up or tested count, too: both can be used to read them. */
export async function requireGrants(policy: Policy, desired: Desired, asking: Asking): Promise<void> {
  const tests = policy.spec.tests ?? [];
  const roles = [...new Set([...policy.spec.rules.flatMap((rule) => rule.roles), ...tests.map((test) => test.as.role)])];
  const rights: readonly Right[] = [...(sqlTexts(policy).length > 0 ? ['SQL' as const] : []), ...(policy.spec.unmanagedPolicies === 'Remove' ? ['RemoveUnmanaged' as const] : [])];
  await requireWish(policy, { tables: rootsOf(desired), roles, rights }, asking);
  await requireWish(policy, { tables: [...membershipTables(desired), ...testedTables(policy)], roles, rights: [] }, asking);
}

/** The tables of the target's schema that a selector may ever reach; undefined for all of them. */
export async function namesInReach(policy: Policy, { cluster, signal }: Asking): Promise<readonly string[] | undefined> {
  const connection = cluster.get('DatabaseConnection', databaseKeyOf(policy));
  if (connection === undefined) return [];
  const { namespace } = policy.metadata;
  return grantedTables(connection, { namespace, labels: await cluster.namespaceLabels(namespace, signal) }, policy.spec.target.schema);
}

interface Widening {
  readonly desired: Desired;
  readonly observation: Observation;
  readonly plan: Plan;
}

/**
 * A plan that may widen needs the right to, on the tables and for the roles it is about; NotGranted where it is missing. What is
 * taken away counts as well: a table that left the target, and the roles that a restrictive policy held back.
 */
export async function widenRefusal(policy: Policy, { desired, observation, plan }: Widening, asking: Asking): Promise<RowsealError | undefined> {
  const operations = plan.steps.filter((step) => !needsNoLeave(step)).map(({ operation }) => operation);
  const targeted = new Set(desired.tables.map(({ table }) => tableKey(table)));
  const left = operations.map(tableOf).filter((table) => table !== undefined && !targeted.has(tableKey(table)));
  const roles = [...policy.spec.rules.flatMap((rule) => rule.roles), ...operations.flatMap((operation) => rolesBefore(operation, observation))];
  const wish: Wish = { tables: [...rootsOf(desired), ...left.filter((table) => table !== undefined)], roles: [...new Set(roles)], rights: ['Widen'] };
  const missing = await refusal(policy, wish, asking);
  return missing === undefined ? undefined : notGranted(policy, missing);
}

/** Of the policy that an operation drops or alters. */
function rolesBefore(operation: Operation, { tables }: Observation): readonly string[] {
  const name = 'policy' in operation ? operation.policy.name : operation.kind === 'DropPolicy' ? operation.name : undefined;
  const on = tableOf(operation);
  return on === undefined ? [] : tables.filter(({ table }) => tableKey(table) === tableKey(on)).flatMap(({ policies }) => policies.filter((policy) => policy.name === name).flatMap((policy) => policy.roles));
}

/** Tables that in-manifest tests read, write or copy. */
export function testedTables({ spec }: Policy): readonly TableName[] {
  const names = (spec.tests ?? []).flatMap(({ expect, fixture }) => [expect.table, expect.denied?.table, ...Object.keys(fixture ?? {})]);
  return [...new Set(names)].filter((table) => table !== undefined).map((table) => ({ schema: spec.target.schema, table }));
}

/** The texts of all `sql` predicates, each with where it stands. */
export function sqlTexts(policy: Policy): readonly { readonly where: string; readonly text: string }[] {
  return policy.spec.rules.flatMap((rule) =>
    (['using', 'check'] as const).flatMap((side) => {
      const text = rule[side]?.sql;
      return text === undefined ? [] : [{ where: `${side} of rule ${rule.name}`, text }];
    }),
  );
}

/** What grants admit in `sql` beyond pg_catalog, on every table of the target. */
export async function sqlMayUse(policy: Policy, { cluster, signal }: Asking): Promise<readonly string[]> {
  const connection = cluster.get('DatabaseConnection', databaseKeyOf(policy));
  const { namespace } = policy.metadata;
  if (connection === undefined || sqlTexts(policy).length === 0) return [];
  // A selector may come to mean any table, so only what is granted on all of them counts.
  const { schema, tables = ['*'] } = policy.spec.target;
  return admittedInSql(connection, { namespace, labels: await cluster.namespaceLabels(namespace, signal) }, { schema, tables });
}

async function requireWish(policy: Policy, wish: Wish, { cluster, signal }: Asking): Promise<void> {
  const missing = await refusal(policy, wish, { cluster, signal });
  if (missing !== undefined) throw notGranted(policy, missing);
}

function notGranted(policy: Policy, missing: string): RowsealError {
  return new RowsealError('NotGranted', missing, {
    object: describeObject('RowPolicy', policy.metadata),
    next: `ask the owner of ${describeObject('DatabaseConnection', databaseKeyOf(policy))} for a grant`,
  });
}

/** The first thing that is not granted, in words. Grants are asked schema by schema. */
async function refusal(policy: Policy, wish: Wish, { cluster, signal }: Asking): Promise<string | undefined> {
  const key = databaseKeyOf(policy);
  const connection = cluster.get('DatabaseConnection', key);
  if (connection === undefined) return `${describeObject('DatabaseConnection', key)} does not exist`;
  const { namespace } = policy.metadata;
  const requester = { namespace, labels: await cluster.namespaceLabels(namespace, signal) };
  // A selector that matches nothing yet needs a grant, too: the guard would close other people's new tables for it.
  for (const schema of new Set([policy.spec.target.schema, ...wish.tables.map((table) => table.schema)])) {
    const tables = wish.tables.filter((table) => table.schema === schema).map((table) => table.table);
    const missing = mayGovern(connection, requester, { schema, tables, roles: wish.roles, rights: wish.rights });
    if (missing !== undefined) return missing;
  }
  return undefined;
}
