// A plan as people review it: each table's row security as it is and as it will be, line by line.
import type { Observation } from './observed.ts';
import type { Plan } from './step.ts';
import { stateAfter, type StatedPolicy, stateNow, type TableState } from './table-state.ts';
import { describeTable } from './table-name.ts';

export interface TableDiff {
  /** Schema and table. */
  readonly table: string;
  /** Each begins with `- ` or `+ `; what stays is left out. */
  readonly lines: readonly string[];
}

/** The tables that the plan changes, in the order of the observation. */
export function diffOf(plan: Plan, { tables }: Observation): readonly TableDiff[] {
  return tables
    .map((table) => ({ table: describeTable(table.table), lines: changedLines(stateNow(table), stateAfter(table, plan.steps)) }))
    .filter(({ lines }) => lines.length > 0);
}

function changedLines(before: TableState, after: TableState): readonly string[] {
  const names = [...new Set([...before.policies, ...after.policies].map(({ name }) => name))].sort();
  const pairs = names.map((name) => [policyLines(policyNamed(name, before)), policyLines(policyNamed(name, after))] as const);
  return [[[flagsLine(before)], [flagsLine(after)]] as const, ...pairs].flatMap(([old, new_]) =>
    old.join('\n') === new_.join('\n') ? [] : [...old.map((line) => `- ${line}`), ...new_.map((line) => `+ ${line}`)],
  );
}

function flagsLine({ rowSecurity, forced }: TableState): string {
  return `row security ${rowSecurity ? (forced ? 'forced' : 'enabled, not for the owner') : 'off'}`;
}

function policyNamed(name: string, { policies }: TableState): StatedPolicy | undefined {
  return policies.find((policy) => policy.name === name);
}

/** One line for whom and what, one for each expression; line breaks inside an expression are folded. */
function policyLines(policy: StatedPolicy | undefined): readonly string[] {
  if (policy === undefined) return [];
  const { name, as, command, roles, using, check } = policy;
  const fold = (text: string) => text.replaceAll(/\s*\n\s*/g, ' ');
  return [
    `policy ${JSON.stringify(name)}: ${as.toLowerCase()}, ${command.toLowerCase()}, to ${roles.join(', ')}`,
    ...(using === undefined ? [] : [`  using ${fold(using)}`]),
    ...(check === undefined ? [] : [`  check ${fold(check)}`]),
  ];
}
