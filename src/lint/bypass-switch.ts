// A policy with a way past it that is a setting alone: whoever can run SQL flips the switch.
import type { Expression } from '../policy/expression.ts';
import { holds, partsThat } from '../policy/expression.ts';
import { calledFunctions, codeOf } from './called-functions.ts';
import { type Claims, claimsOf, settingsWith, textOf } from './claims.ts';
import { functionTables } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, commandsOf, means, ownColumns, policyTitled, readerAmong } from './policy-parts.ts';
import { rolesListed, tableNameOf, titled } from './words.ts';

export const bypassSwitch: Lint = {
  id: 'bypass-switch',
  severity: 'warning',
  title: 'a setting alone lets a session past the policy',
  reason: 'One alternative of the condition asks no column, only a setting that every session can set: SET app.bypass = on needs no right, so one SQL injection opens every row.',
  fix: 'give what must see all rows a role of its own, with a policy or BYPASSRLS, and drop the alternative',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, claims, landscape));
  },
};

function finding(asked: AskedPolicy, claims: Claims, landscape: Landscape): readonly LintFinding[] {
  const { table, policy, roles } = asked;
  const flipped = switchIn(asked, landscape);
  if (flipped === undefined) return [];
  const reader = policy.using === undefined ? undefined : readerAmong(asked, landscape);
  const settings = settingsThatFlip(flipped, claims, landscape);
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      why: `Every row passes once ${claims.settingsIn(flipped).join(' and ')} is set; any session can set it, and the policy is asked for ${rolesListed(roles)}.`,
      fix: 'Give what must see all rows a role with a policy of its own, and drop the alternative that asks the setting',
      ...(reader === undefined || settings === undefined
        ? {}
        : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), settings, shows: `${reader.name} reads rows by setting ${Object.keys(settings).join(' and ')} itself` } as const }),
    },
  ];
}

/** What a setting alone makes true; undefined where nothing is of that kind. */
export function switchIn(asked: AskedPolicy, landscape: Landscape): Expression | undefined {
  if (!asked.policy.permissive) return undefined;
  const claims = claimsOf(landscape);
  const { using } = asked.policy;
  const whole = using !== undefined && using.tree.kind !== 'Or' && besideOthers(asked, landscape) ? [using.tree] : [];
  return [...asked.expressions.flatMap(({ tree }) => alternativesOf(tree)), ...whole].find((way) => isSwitch(way, claims) && !looksUp(way, landscape));
}

/** Whether other policies ask those roles for the row: then this one is a way past them. */
function besideOthers({ table, policy, roles }: AskedPolicy, landscape: Landscape): boolean {
  const commands = commandsOf(policy);
  return table.policies.some(
    (other) =>
      other !== policy && other.permissive && other.using !== undefined && ownColumns(other.using.tree, table).length > 0 && commandsOf(other).some((command) => commands.includes(command)) && roles.some((role) => means(other, role, landscape)),
  );
}

/** A function that asks a table decides by what stands there. */
function looksUp(way: Expression, landscape: Landscape): boolean {
  const [functions, tables] = [calledFunctions(landscape), functionTables(landscape)];
  return functions.calledIn(way).some((called) => [called, ...functions.calledBy(called)].some((each) => tables.usesOf(each).length > 0));
}

/** The ways through a condition; one without OR is one way, and no way past anything in it. */
function alternativesOf(tree: Expression): readonly Expression[] {
  return tree.kind === 'Or' ? tree.args.flatMap((part) => (part.kind === 'Or' ? alternativesOf(part) : [part])) : [];
}

/** Claims that a gateway puts into `request.…` are for it to check; a switch is a setting that the application made up. */
function isSwitch(alternative: Expression, claims: Claims): boolean {
  if (holds(alternative, ({ kind }) => kind === 'Column' || kind === 'Query' || kind === 'SessionValue')) return false;
  const settings = claims.settingsIn(alternative);
  return settings.length > 0 && settings.every((setting) => setting.includes('.') && !setting.startsWith('request.')) && !refuses(alternative);
}

/** `… IS NULL`, `= ''`, and what is negated: those are true for sessions that say nothing, which is another finding. */
function refuses(alternative: Expression): boolean {
  return holds(alternative, (part) => part.kind === 'Not' || (part.kind === 'Operator' && (part.operator.startsWith('IS ') || part.args.some((arg) => textOf(arg) === ''))));
}

type OperatorPart = Extract<Expression, { kind: 'Operator' }>;

/** Values under which the alternative is true; undefined when that is not plain. */
function settingsThatFlip(alternative: Expression, claims: Claims, landscape: Landscape): Readonly<Record<string, string>> | undefined {
  const equalities = partsThat(alternative, (part): part is OperatorPart => part.kind === 'Operator' && part.operator === '=');
  const found = equalities.length === 0 ? [{ claim: alternative, value: comparedInBody(alternative, landscape) ?? 'true' }] : equalities.map(({ args }) => equated(args, claims));
  return found.reduce<Readonly<Record<string, string>> | undefined>((settings, each) => {
    const place = each === undefined ? undefined : claims.placeOf(each.claim);
    return settings === undefined || each === undefined || place === undefined ? undefined : { ...settings, ...settingsWith(place, each.value) };
  }, {});
}

/** The first text that a called function compares with what it got. */
function comparedInBody(alternative: Expression, landscape: Landscape): string | undefined {
  const [called] = calledFunctions(landscape).calledIn(alternative);
  return called === undefined ? undefined : /\)\s*=\s*'([^']*)'/.exec(codeOf(called))?.[1];
}

function equated(args: readonly Expression[], claims: Claims): { readonly claim: Expression; readonly value: string } | undefined {
  const claim = args.find((arg) => claims.dependsOnClaim(arg));
  const constant = args.find((arg) => arg !== claim);
  const value = constant?.kind === 'Constant' && typeof constant.value === 'boolean' ? String(constant.value) : constant === undefined ? undefined : textOf(constant);
  return claim === undefined || value === undefined ? undefined : { claim, value };
}
