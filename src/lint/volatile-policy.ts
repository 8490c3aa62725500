// A VOLATILE function in a policy: asked anew for each row, it may answer differently, and it may change things.
import type { Expression } from '../policy/expression.ts';
import { calledFunctions, type CalledFunctions, functionCalls } from './called-functions.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, policyTitled } from './policy-parts.ts';
import { listed, titled } from './words.ts';

export const volatilePolicy: Lint = {
  id: 'volatile-policy',
  severity: 'warning',
  title: 'a policy calls a VOLATILE function',
  reason: 'A VOLATILE function runs once a row, keeps the planner from using an index, and may have effects: each row that somebody looks at would cause them.',
  fix: 'declare the function STABLE where it is, and keep what has effects out of policies',
  find: (landscape) => {
    const functions = calledFunctions(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, functions));
  },
};

const builtIn: ReadonlySet<string> = new Set(['random', 'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'nextval', 'setval', 'set_config', 'pg_sleep', 'pg_notify', 'txid_current', 'pg_current_xact_id', 'lo_create', 'lo_unlink', 'pg_advisory_lock']);

function finding({ table, policy }: AskedPolicy, functions: CalledFunctions): readonly LintFinding[] {
  // WITH CHECK looks at the rows that are written, one by one whatever it says.
  const named = policy.using === undefined ? [] : [...new Set(volatileIn(policy.using.tree, functions))];
  if (named.length === 0) return [];
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      why: `It calls ${listed(named)}, which ${named.length === 1 ? 'is' : 'are'} VOLATILE, for every row that is looked at.`,
      fix: named.some((name) => name.includes('.')) ? `ALTER FUNCTION ${named.find((name) => name.includes('.')) ?? ''} STABLE, if it changes nothing and answers the same within a statement` : 'Keep it out of the policy',
    },
  ];
}

function volatileIn(tree: Expression, functions: CalledFunctions): readonly string[] {
  const own = functions.calledIn(tree).filter((called) => called.volatility === 'Volatile').map((called) => `${called.schema}.${called.name}`);
  const system = functionCalls(tree).filter((call) => call.schema === undefined && builtIn.has(call.name)).map((call) => call.name);
  return [...own, ...system];
}
