// Findings as a RowPolicy shows them: the gravest first, cut with a total, and a condition. They never undo enforcement.
import type { WitnessedFinding } from '../lint/lint.ts';
import type { Selection } from '../lint/select-findings.ts';
import { type ConditionUpdate, findCondition, withConditions } from '../model/condition.ts';
import { describeError } from '../model/errors.ts';
import type { RowPolicyStatus } from '../model/kinds.ts';
import type { WitnessOutcome } from '../policy/witness.ts';
import type { RowPolicyContext } from './row-policy-report.ts';

type Shown = NonNullable<RowPolicyStatus['findings']>[number];

const conditionType = 'FindingsClear';
const maxFindings = 64;
const maxWhyLength = 1_024;
const maxFixLength = 2_048;

const words: Readonly<Record<WitnessOutcome['result'], string>> = { Shown: 'shown', NotShown: 'not shown', NotRun: 'not tried' };

/** Written after the policies are in force and said to be: a slow witness must not keep anybody waiting for that. */
export async function reportFindings({ policy, options, signal }: RowPolicyContext, finding: Promise<Selection<WitnessedFinding>>): Promise<void> {
  const found = await finding.catch((error: unknown) => {
    signal.throwIfAborted();
    return lintFailed(error);
  });
  const now = options.cluster.get('RowPolicy', policy.metadata);
  if (now?.metadata.uid !== policy.metadata.uid) return;
  const update = 'findings' in found ? findingsCondition(found) : found;
  const conditions = withConditions(now.status.conditions, [update], { now: options.clock.now().toISOString(), generation: now.metadata.generation });
  const before = findCondition(policy.status.conditions, conditionType);
  if (update.status === 'False' && before?.message !== update.message) options.cluster.notify(policy, { type: 'Warning', reason: update.reason, action: 'Lint', message: update.message });
  await options.cluster.updateStatus(now, { ...now.status, ...('findings' in found ? findingsStatus(found) : {}), conditions: [...conditions] }, signal);
}

function findingsStatus({ findings, allowed }: Selection<WitnessedFinding>): Required<Pick<RowPolicyStatus, 'findings' | 'findingsTotal'>> {
  const all = [...findings.map((finding) => shown(finding)), ...allowed.map(({ finding, reason }) => shown(finding, reason))];
  return { findings: all.slice(0, maxFindings), findingsTotal: all.length };
}

/** What is allowed with a reason does not count. */
function findingsCondition({ findings }: Pick<Selection<WitnessedFinding>, 'findings'>): ConditionUpdate {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return { type: conditionType, status: 'True', reason: 'NoErrors', message: 'no finding of severity error' };
  const more = errors.length > 1 ? ` and ${errors.length - 1} more of severity error` : '';
  return { type: conditionType, status: 'False', reason: 'ErrorFindings', message: `${first.lint} on ${first.object}: ${first.why}${more} — see status.findings; a fix stands beside each`.slice(0, maxFixLength) };
}

/** The policies are in force all the same. */
function lintFailed(error: unknown): ConditionUpdate {
  return { type: conditionType, status: 'Unknown', reason: 'LintFailed', message: `the lints did not run: ${describeError(error)}` };
}

function shown({ lint, severity, object, why, fix, outcome }: WitnessedFinding, allowed?: string): Shown {
  return {
    lint,
    severity,
    object: object.slice(0, 400),
    why: why.slice(0, maxWhyLength),
    fix: fix.slice(0, maxFixLength),
    ...(outcome === undefined ? {} : { witness: `${words[outcome.result]}: ${outcome.detail}`.slice(0, maxWhyLength) }),
    ...(allowed === undefined ? {} : { allowed }),
  };
}
