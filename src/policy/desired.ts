// Desired state: what one RowPolicy wants of its tables, before any engine has compiled it.
import { describeObject, type ObjectKey, type RowPolicySpec } from '../model/kinds.ts';
import { RowsealError } from '../model/errors.ts';
import { policyName } from './policy-name.ts';
import { parsePredicate } from './parse-predicate.ts';
import { membershipsOf, type Predicate } from './predicate.ts';
import { describeTable, sameTable, tableKey, type TableName } from './table-name.ts';
import { namedTables, type Target, type TargetedTable } from './target.ts';

export type Command = 'All' | 'Select' | 'Insert' | 'Update' | 'Delete';
export type PolicyMode = 'Permissive' | 'Restrictive';
export type RowSecurity = 'Forced' | 'Enabled';

/** The one role name that is no role: everybody. */
export const everyRole = 'PUBLIC';

export interface DesiredPolicy {
  readonly name: string;
  /** Name of the rule it comes from. */
  readonly rule: string;
  readonly as: PolicyMode;
  readonly command: Command;
  /** Sorted; `PUBLIC` stands alone. */
  readonly roles: readonly string[];
  readonly using?: Predicate;
  readonly check?: Predicate;
  /** Expressions of the same meaning, kept exactly as the database wrote them; an engine must see for itself that they mean the same. */
  readonly verbatim?: { readonly using?: string; readonly check?: string };
}

interface DesiredTable extends TargetedTable {
  readonly rowSecurity: RowSecurity;
  readonly policies: readonly DesiredPolicy[];
}

export interface Desired {
  /** `namespace/name` of the RowPolicy. */
  readonly owner: string;
  /** As declared: names or a selector. */
  readonly target: Target;
  readonly rowSecurity: RowSecurity;
  /** Table names that the grants are limited to; none when they are for whole schemas. */
  readonly grantedNames?: readonly string[];
  /** What every table of the target gets. */
  readonly policies: readonly DesiredPolicy[];
  /** The tables as the manifest names them, until resolveTables has looked them up in the catalog. */
  readonly tables: readonly DesiredTable[];
  /** What the target means, too, but can't carry policies. */
  readonly ungovernable: readonly TableName[];
  /** Whether policies that no RowPolicy owns are dropped. */
  readonly removesUnmanaged: boolean;
  /** Policies that other RowPolicies name themselves, by table; they are about to be theirs. */
  readonly named: Neighbours['named'];
  /** Every table that some RowPolicy of this database governs: reading one inside a policy needs a helper function. */
  readonly governed: readonly TableName[];
}

/** What other RowPolicies of the same database want; flags of a table are the strictest of all. */
export interface Neighbours {
  readonly governed: readonly TableName[];
  readonly forced: readonly TableName[];
  /** Policies that they name themselves: who adopts them is not us, and they are nobody's to remove. */
  readonly named: readonly { readonly table: TableName; readonly name: string }[];
}

export const noNeighbours: Neighbours = { governed: [], forced: [], named: [] };

export function ownerOf(key: ObjectKey): string {
  return `${key.namespace}/${key.name}`;
}

/** The desired state of a RowPolicy, for the tables it names. Throws BadPredicate naming the rule. */
export function desiredFrom(key: ObjectKey, spec: RowPolicySpec, neighbours: Neighbours = noNeighbours): Desired {
  const policies = spec.rules.flatMap((rule) => policiesOf(key, rule, spec.target.schema));
  requireDistinctNames(key, policies);
  const declared = { owner: ownerOf(key), target: spec.target, rowSecurity: spec.rowSecurity ?? 'Forced', policies, removesUnmanaged: spec.unmanagedPolicies === 'Remove', named: [], tables: [], ungovernable: [], governed: [] };
  return withTables(declared, namedTables(spec.target).map((table) => ({ table, root: table })), neighbours);
}

/** The desired state for these tables; their flags are the strictest that any RowPolicy asks for. */
export function withTables(desired: Desired, tables: readonly TargetedTable[], neighbours: Neighbours): Desired {
  const own = new Set(tables.map(({ table }) => tableKey(table)));
  const forced = new Set(neighbours.forced.map(tableKey));
  return {
    ...desired,
    named: neighbours.named,
    governed: [...tables.map(({ table }) => table), ...neighbours.governed.filter((name) => !own.has(tableKey(name)))],
    tables: tables.map(({ table, root }) => ({ table, root, rowSecurity: forced.has(tableKey(table)) ? 'Forced' : desired.rowSecurity, policies: desired.policies })),
  };
}

/** The tables that the target itself means, which is what grants are asked for: descendants go with them. */
export function rootsOf(desired: Desired): readonly TableName[] {
  return desired.tables.filter(({ table, root }) => sameTable(table, root)).map(({ root }) => root);
}

/** Tables that membership terms read, lookups inside lookups included. */
export function membershipTables(desired: Desired): readonly TableName[] {
  const tables = new Map<string, TableName>();
  for (const policy of desired.policies) {
    for (const { table } of [...membershipsOf(policy.using), ...membershipsOf(policy.check)]) tables.set(describeTable(table), table);
  }
  return [...tables.values()];
}

/** Texts that are kept as they are. */
export function verbatimTexts(desired: Desired): readonly string[] {
  return desired.policies.flatMap(({ verbatim }) => [verbatim?.using, verbatim?.check]).filter((text) => text !== undefined);
}

export function rolesOf(desired: Desired): readonly string[] {
  const roles = desired.policies.flatMap((policy) => policy.roles);
  return [...new Set(roles)].filter((role) => role !== everyRole).sort();
}

type Rule = RowPolicySpec['rules'][number];

function policiesOf(key: ObjectKey, rule: Rule, schema: string): readonly DesiredPolicy[] {
  const parse = (side: 'using' | 'check'): Predicate | undefined => {
    const spec = rule[side];
    if (spec === undefined) return undefined;
    try {
      return parsePredicate(spec, schema);
    } catch (error) {
      if (!(error instanceof RowsealError)) throw error;
      throw new RowsealError(error.code, `${side} of rule ${rule.name}: ${error.message}`, {
        object: describeObject('RowPolicy', key),
        ...(error.next === undefined ? {} : { next: error.next }),
      });
    }
  };
  const sides = { using: parse('using'), check: parse('check') };
  return rule.commands.map((command) => ({
    name: rule.policyName ?? policyName(key, rule.name, rule.commands.length > 1 ? command : undefined),
    rule: rule.name,
    as: rule.as ?? 'Permissive',
    command,
    roles: rule.roles.includes(everyRole) ? [everyRole] : [...new Set(rule.roles)].sort(),
    ...sidesFor(command, sides),
    ...(rule.verbatim === undefined ? {} : { verbatim: sidesFor(command, { using: rule.verbatim.using, check: rule.verbatim.check }) }),
  }));
}

function requireDistinctNames(key: ObjectKey, policies: readonly DesiredPolicy[]): void {
  const twice = policies.find((policy, index) => policies.findIndex((other) => other.name === policy.name) < index);
  if (twice === undefined) return;
  const object = describeObject('RowPolicy', key);
  throw new RowsealError('BadPredicate', `rule ${twice.rule} names its policy ${JSON.stringify(twice.name)}, as another rule does`, { object, next: 'give each rule a policyName of its own' });
}

/** PostgreSQL itself reuses USING where an UPDATE or ALL policy has no check; only INSERT needs it spelled out. */
function sidesFor<Side>(command: Command, { using, check }: { using: Side | undefined; check: Side | undefined }): { readonly using?: Side; readonly check?: Side } {
  const written = command === 'Insert' ? (check ?? using) : command === 'All' || command === 'Update' ? check : undefined;
  const read = command === 'Insert' ? undefined : using;
  return { ...(read === undefined ? {} : { using: read }), ...(written === undefined ? {} : { check: written }) };
}
