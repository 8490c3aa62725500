// Claims that the client writes itself decide about rows: Supabase's user_metadata above all.
import { type Expression, holds, partsThat } from '../policy/expression.ts';
import { calledFunctions, type CalledFunctions, codeOf } from './called-functions.ts';
import { type Claims, claimsOf, settingsWith, textOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, policyTitled, readerAmong } from './policy-parts.ts';
import { rolesListed, tableNameOf, titled } from './words.ts';

export const clientClaims: Lint = {
  id: 'client-claims',
  severity: 'error',
  title: 'the client writes the claim that is asked',
  reason: 'user_metadata (raw_user_meta_data) is what users may change about themselves: a policy that asks it lets everybody be who they like.',
  fix: 'ask app_metadata, or a table that users cannot write',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    const functions = calledFunctions(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, { claims, functions, landscape }));
  },
};

interface Around {
  readonly claims: Claims;
  readonly functions: CalledFunctions;
  readonly landscape: Landscape;
}

const ownMetadata = /\b(?:raw_)?user_meta_?data\b/;

function finding(asked: AskedPolicy, around: Around): readonly LintFinding[] {
  const named = asked.expressions.some(({ tree }) => holds(tree, isOwnMetadata));
  const through = asked.expressions.flatMap(({ tree }) => around.functions.calledIn(tree)).find((called) => [called, ...around.functions.calledBy(called)].some((each) => ownMetadata.test(codeOf(each))));
  if (!named && through === undefined) return [];
  const reader = readerAmong(asked, around.landscape);
  const settings = settingsThatPass(asked, around.claims);
  return [
    {
      object: policyTitled(asked.policy, asked.table),
      tables: [titled(asked.table)],
      why: `It asks the user's own metadata${named ? '' : ` through ${through?.name ?? 'a function'}`}, which the user can change; it is asked for ${rolesListed(asked.roles)}.`,
      fix: 'Ask app_metadata, or a table that users cannot write',
      ...(reader === undefined || settings === undefined
        ? {}
        : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(asked.table), settings, shows: `${reader.name} reads rows with metadata that a user may give itself` } as const }),
    },
  ];
}

function isOwnMetadata(part: Expression): boolean {
  const text = part.kind === 'Column' ? part.path.at(-1) : textOf(part);
  return text !== undefined && ownMetadata.test(text);
}

type OperatorPart = Extract<Expression, { kind: 'Operator' }>;

/** Where the metadata is compared with a literal: the claims that make it true. */
function settingsThatPass({ expressions }: AskedPolicy, claims: Claims): Readonly<Record<string, string>> | undefined {
  const comparisons = expressions.flatMap(({ tree }) => partsThat(tree, (part): part is OperatorPart => part.kind === 'Operator' && part.operator === '=' && holds(part, isOwnMetadata)));
  for (const { args: sides } of comparisons) {
    const literal = sides.map(textOf).find((text) => text !== undefined);
    const place = sides.map((side) => (claims.dependsOnClaim(side) ? claims.placeOf(side) : undefined)).find((found) => found !== undefined);
    if (literal !== undefined && place !== undefined && place.path.some((key) => ownMetadata.test(key))) return settingsWith(place, literal);
  }
  return undefined;
}
