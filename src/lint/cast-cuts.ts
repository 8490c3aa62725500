// A cast with a modifier cuts or rounds a claim until it equals what it is not.
import { type Expression, partsThat } from '../policy/expression.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, policyTitled } from './policy-parts.ts';
import { rolesListed, titled } from './words.ts';

export const castCuts: Lint = {
  id: 'cast-cuts',
  severity: 'warning',
  title: 'a cast cuts the claim',
  reason: "A cast such as ::varchar(4) cuts without an error: 'acme-evil' becomes 'acme'. ::name, ::\"char\" and ::numeric(6,0) do the same in their way.",
  fix: 'cast to the type without its modifier, text for instance',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, claims));
  },
};

type CastPart = Extract<Expression, { kind: 'Cast' }>;

/** Types that cut without a modifier, and those that a modifier makes cut. Precision of times is left alone. */
const cutting: ReadonlySet<string> = new Set(['name', 'char']);
const cuttingWithModifier: ReadonlySet<string> = new Set(['varchar', 'bpchar', 'char', 'numeric', 'bit', 'varbit']);

function finding(asked: AskedPolicy, claims: Claims): readonly LintFinding[] {
  const casts = asked.expressions.flatMap(({ tree }) => partsThat(tree, (part): part is CastPart => cuts(part) && claims.dependsOnClaim(part)));
  const [cast] = casts;
  if (cast === undefined) return [];
  return [
    {
      object: policyTitled(asked.policy, asked.table),
      tables: [titled(asked.table)],
      why: `It casts a claim to ${cast.type}${cast.modifier ? ' with a modifier' : ''}, so a longer one becomes equal to another tenant's; it is asked for ${rolesListed(asked.roles)}.`,
      fix: 'Cast the claim to text, or to the type without its modifier',
    },
  ];
}

function cuts(part: Expression): part is CastPart {
  return part.kind === 'Cast' && (cutting.has(part.type) || (part.modifier && cuttingWithModifier.has(part.type)));
}
