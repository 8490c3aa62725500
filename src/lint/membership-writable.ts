// Policies look up who belongs where in a table that the very roles they bind can write: a role adds itself.
import type { CatalogFunction, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { type Expression, partsThat, type QueryExpression } from '../policy/expression.ts';
import { calledFunctions, codeOf, folded } from './called-functions.ts';
import { claimsOf, type Claims } from './claims.ts';
import { functionTables } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { type AskedPolicy, askedPolicies, ownColumns } from './policy-parts.ts';
import { asksUser } from './tenant-columns.ts';
import { truthOf } from './without-claims.ts';
import { listed, rolesListed, sqlRelation, sqlRoles, tableNameOf, titled } from './words.ts';

export const membershipWritable: Lint = {
  id: 'membership-writable',
  severity: 'error',
  title: 'a role can write the table that its policies look it up in',
  reason: 'A policy that asks a table who belongs where is as strong as that table: a role that may insert or change rows there, with no policy in between, adds itself.',
  fix: 'row security on that table, too, with policies that let only administrators write; or revoke INSERT and UPDATE',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return [...Map.groupBy(lookups(landscape), ({ member }) => member)].flatMap(([member, uses]) => finding(member, uses, { claims, landscape }));
  },
};

interface Lookup {
  readonly member: CatalogRelation;
  readonly asked: AskedPolicy;
  /** Its columns that are looked at. */
  readonly columns: readonly string[];
  /** Whether a function of the user's looks it up. */
  readonly called: boolean;
}

function lookups(landscape: Landscape): readonly Lookup[] {
  const functions = calledFunctions(landscape);
  const tables = functionTables(landscape);
  const byName = new Map(landscape.relations.map((relation) => [titled(relation), relation]));
  return askedPolicies(landscape).flatMap((asked) =>
    asked.expressions.flatMap(({ tree }) => {
      const queries = partsThat(tree, (part): part is QueryExpression => part.kind === 'Query');
      const direct = queries.flatMap((query) => query.reads.flatMap(({ schema, table }) => byName.get(`${schema}.${table}`) ?? []).map((member) => ({ member, asked, columns: columnsOfLookup(query, member, asked.table), called: false })));
      const called = functions.calledIn(tree).flatMap((each) => tables.usesOf(each).map(({ relation }) => ({ member: relation, asked, columns: columnsInBody(each, relation), called: true })));
      // A sub-query on the policy's own table is its own recursion; a function that runs as its owner is a lookup like any other.
      return [...direct.filter(({ member }) => member.oid !== asked.table.oid), ...called].filter(({ member }) => member.kind === 'Table' || member.kind === 'PartitionedTable');
    }),
  );
}

type Write = 'Insert' | 'Update';

function finding(member: CatalogRelation, uses: readonly Lookup[], around: { readonly claims: Claims; readonly landscape: Landscape }): readonly LintFinding[] {
  const { landscape } = around;
  const looked = new Set(uses.flatMap(({ columns }) => columns));
  // A grant of other columns changes nothing of what is looked at.
  const at = looked.size === 0 ? member : { ...member, columns: member.columns.filter(({ name }) => looked.has(name)) };
  const bound = new Set(uses.flatMap(({ asked }) => asked.roles));
  const ways = (['Insert', 'Update'] as const).flatMap((command) =>
    landscape
      .holders(at, command.toUpperCase())
      // An owner may do more than that anyway, and has a lint of its own.
      .filter((role) => bound.has(role) && !landscape.roles.has(role.oid, member.owner))
      .flatMap((role) => {
        const severity = severityFor(role, command, { ...around, member, uses });
        return severity === undefined ? [] : [{ role, command, severity }];
      }),
  );
  const worst = ways.find(({ severity }) => severity === 'error') ?? ways[0];
  if (worst === undefined) return [];
  const roles = landscape.roles.ordinary.filter((role) => ways.some((way) => way.role === role));
  const commands = [...new Set(ways.map(({ command }) => command.toUpperCase()))];
  const governed = [...new Set(uses.map(({ asked }) => titled(asked.table)))];
  const witness = ways.find(({ role }) => role.oid !== 0 && !landscape.bound(role, member));
  return [
    {
      object: titled(member),
      tables: governed,
      severity: worst.severity,
      why: `Policies on ${listed(governed)} look up in it who belongs where, and ${rolesListed(roles)} may ${commands.join(' and ')} there ${worst.severity === 'error' ? 'with no policy in between' : 'while the policy asks only who is added, not to what'}.`,
      fix: worst.severity === 'error' ? `REVOKE ${commands.join(', ')} ON ${sqlRelation(member)} FROM ${sqlRoles(roles)}, or row security with policies on it` : `Let the policies for ${commands.join(' and ')} on ${sqlRelation(member)} ask whether the one who adds may do so`,
      ...(witness === undefined ? {} : { witness: { role: witness.role.name, kind: 'WritesOpenly', table: tableNameOf(member), command: witness.command, ...columnOf(at, witness.command), shows: `${witness.role.name} writes rows of the table that its policies look it up in` } as const }),
    },
  ];
}

function columnOf(member: CatalogRelation, command: Write): { readonly column?: string } {
  const column = member.columns.find((each) => !each.identity)?.name;
  return command === 'Insert' || column === undefined ? {} : { column };
}

interface Around {
  readonly member: CatalogRelation;
  readonly uses: readonly Lookup[];
  readonly claims: Claims;
  readonly landscape: Landscape;
}

/** No policy, or one that is always true: an error. One that names only the column of the user, of several that are looked up: likely. */
function severityFor(role: CatalogRole, command: Write, { member, uses, claims, landscape }: Around): Severity | undefined {
  if (!landscape.bound(role, member)) return 'error';
  const policies = landscape.policiesFor(role, member, command);
  const checks = (permissive: boolean): readonly Expression[] => policies.filter((policy) => policy.permissive === permissive).flatMap((policy) => (policy.check ?? (policy.command === 'Insert' ? undefined : policy.using))?.tree ?? []);
  if (checks(false).length > 0) return undefined;
  if (checks(true).some((tree) => truthOf(tree, { setting: null, isClaimCall: () => false, nullColumns: new Set() }) === true)) return 'error';
  const direct = { called: false, columns: uses.filter(({ called }) => !called).flatMap(({ columns }) => columns) };
  const looks = [direct, ...uses.filter(({ called }) => called)];
  return checks(true).some((tree) => looks.some((look) => namesOnlyTheUser(tree, look, { member, claims }))) ? 'warning' : undefined;
}

/** The column in `column = claim`, and nothing else. */
function userColumn(tree: Expression, member: CatalogRelation, claims: Claims): string | undefined {
  if (tree.kind !== 'Operator' || tree.operator !== '=') return undefined;
  const sides = tree.args.map((side) => (side.kind === 'Cast' ? side.args[0] : side));
  const column = sides.find((side) => side.kind === 'Column');
  const value = sides.find((side) => side !== column);
  return column?.kind === 'Column' && value !== undefined && asksUser(value, claims) && ownColumns(value, member).length === 0 ? column.path.at(-1) : undefined;
}

/** Columns of the table that a body names, whatever else may bear such a name there. */
function columnsInBody(called: CatalogFunction, member: CatalogRelation): readonly string[] {
  const words = new Set([...codeOf(called).matchAll(/"[^"]+"|[a-z_][\w$]*/gi)].map(([word]) => folded(word)));
  return member.columns.map(({ name }) => name).filter((name) => words.has(name));
}

type ColumnPart = Extract<Expression, { kind: 'Column' }>;

/** Under whatever alias, but not those of the policy's own table. */
function columnsOfLookup(query: QueryExpression, member: CatalogRelation, own: CatalogRelation): readonly string[] {
  const named = partsThat(query, (part): part is ColumnPart => part.kind === 'Column' && part.path.length > 1 && part.path.at(-2) !== own.name);
  return named.map((part) => part.path.at(-1) ?? '').filter((name) => member.columns.some((column) => column.name === name));
}

function namesOnlyTheUser(tree: Expression, { columns, called }: Pick<Lookup, 'columns' | 'called'>, { member, claims }: { readonly member: CatalogRelation; readonly claims: Claims }): boolean {
  const user = userColumn(tree, member, claims);
  if (user === undefined || !columns.includes(user)) return false;
  // Nobody adds a second row under the key of an existing one.
  const unique = (column: string) => member.indexes.some((index) => index.unique && index.columns.length === 1 && index.columns[0] === column);
  const others = columns.filter((column) => column !== user);
  // What a function looks up by its key is a thing of the user's own, and no membership.
  return called ? others.length > 0 && !others.some(unique) : others.some((column) => !unique(column));
}
