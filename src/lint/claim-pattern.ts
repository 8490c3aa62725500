// A claim used as a pattern: whoever is called `%` is everybody.
import { type Expression, holds, partsOf, partsThat } from '../policy/expression.ts';
import { type CalledFunctions, calledFunctions } from './called-functions.ts';
import { type Claims, claimsOf, settingsWith } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, ownColumns, policyTitled, readerAmong } from './policy-parts.ts';
import { rolesListed, tableNameOf, titled } from './words.ts';

export const claimPattern: Lint = {
  id: 'claim-pattern',
  severity: 'warning',
  title: 'a claim is used as a pattern',
  reason: 'LIKE, regular expressions and prefix tests read the claim as a pattern: a user or tenant that gets itself called % or .* matches every row.',
  fix: 'compare with = instead, or escape what the claim holds',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, claims, landscape));
  },
};

type MatchPart = Extract<Expression, { kind: 'Operator' | 'Function' }>;

/** Each pattern language's way to say: anything. Text comes first, the pattern second; where the empty pattern is meant nothing is said. */
const anything: Readonly<Record<string, string | undefined>> = {
  '~~': '%',
  '~~*': '%',
  '~': '.*',
  '~*': '.*',
  regexp_like: '.*',
  regexp_match: '.*',
  '^@': undefined,
  starts_with: undefined,
  strpos: undefined,
  position: undefined,
};

function nameOf(part: MatchPart): string {
  return part.kind === 'Operator' ? part.operator : part.name;
}

/** SIMILAR TO becomes a regular expression of another language. */
function anythingFor(match: MatchPart): string | undefined {
  const similar = match.args.some((part) => holds(part, (inner) => inner.kind === 'Function' && inner.name === 'similar_to_escape'));
  return similar ? '%' : anything[nameOf(match)];
}

function finding(asked: AskedPolicy, claims: Claims, landscape: Landscape): readonly LintFinding[] {
  const matches = asked.expressions.flatMap(({ tree }) => partsThat(tree, (part): part is MatchPart => isMatch(part, asked, { claims, functions: calledFunctions(landscape) })));
  const [match] = matches;
  if (match === undefined) return [];
  const pattern = match.args[1];
  const all = anythingFor(match);
  const place = pattern === undefined ? undefined : claims.placeOf(pattern);
  const reader = readerAmong(asked, landscape);
  return [
    {
      object: policyTitled(asked.policy, asked.table),
      tables: [titled(asked.table)],
      why: `It matches a column against a claim with ${nameOf(match)}; a claim such as ${all ?? 'one that is empty'} shows every row to ${rolesListed(asked.roles)}.`,
      fix: 'Compare with = instead of a pattern, or escape %, _ and \\ in the claim',
      ...(reader === undefined || place === undefined || all === undefined
        ? {}
        : {
            witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(asked.table), settings: settingsWith(place, all), shows: `${reader.name} reads rows with the claim ${all}` } as const,
          }),
    },
  ];
}

/** Types in which any text fits; a uuid or a number is no pattern. */
const textual = /^(?:text|character varying|varchar|character|bpchar|name|citext|jsonb?)\b/;

/** A claim that reaches the pattern as it is, and not through a type that has no % in it. */
function mayHoldPattern(expression: Expression, claims: Claims, functions: CalledFunctions): boolean {
  if (!claims.dependsOnClaim(expression)) return false;
  if (expression.kind === 'Cast' && !textual.test(expression.type)) return false;
  if (claims.isClaimCall(expression)) return expression.schema === undefined || functions.named(expression.schema, expression.name).some(({ returns }) => textual.test(returns));
  return partsOf(expression).some((part) => mayHoldPattern(part, claims, functions));
}

function isMatch(part: Expression, { table }: AskedPolicy, { claims, functions }: { readonly claims: Claims; readonly functions: CalledFunctions }): part is MatchPart {
  if (part.kind !== 'Operator' && (part.kind !== 'Function' || part.schema !== undefined)) return false;
  if (!Object.hasOwn(anything, nameOf(part))) return false;
  const [text, pattern] = part.args;
  return text !== undefined && pattern !== undefined && ownColumns(text, table).length > 0 && mayHoldPattern(pattern, claims, functions);
}
