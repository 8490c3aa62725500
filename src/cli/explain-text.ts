// An explanation as lines for a person: the answer first, then what it follows from.
import { counted } from '../model/counted.ts';
import type { ExplainedPolicy, Explanation } from '../policy/explanation.ts';
import { describeTable } from '../policy/table-name.ts';

export function explanationText(found: Explanation, color: boolean): string {
  const bold = (text: string) => (color ? `\u001b[1m${text}\u001b[0m` : text);
  const { role, table, command, owner, rowSecurity, forced, policies, summary } = found;
  const flags = rowSecurity ? (forced ? 'on and forced' : 'on, not forced: it does not bind the owner') : 'off';
  const facts = [
    ['row security', flags],
    ['owner', `${owner}${role.owns ? `, whose rights ${role.name} has` : ''}`],
    ['role', [role.superuser ? 'superuser' : '', role.bypassesRowSecurity ? 'BYPASSRLS' : ''].filter(Boolean).join(', ') || 'bound by policies'],
    ['privileges', `USAGE on schema ${table.schema}: ${yes(role.schemaUsage)}; ${command.toUpperCase()}: ${yes(role.privilege)}`],
    ['rows', rowsLine(found)],
  ];
  const lines = [
    ...summary.map((sentence) => `  ${sentence}`),
    '',
    ...facts.map(([name = '', value = '']) => `  ${name.padEnd(14)}${value}`),
    ...policies.flatMap((policy) => ['', ...policyLines(policy)]),
    ...(policies.length === 0 ? ['', '  there is no policy on the table'] : []),
  ];
  return [bold(printable(`${describeTable(table)}, ${command.toUpperCase()} as ${role.name}`)), ...lines.map(printable)].join('\n');
}

function rowsLine({ rows, notCounted }: Explanation): string {
  if (rows === undefined) return `none were looked at: ${notCounted ?? ''}`;
  return rows.all ? `all ${rows.looked} were looked at` : `the first ${rows.looked} were looked at`;
}

function policyLines(policy: ExplainedPolicy): readonly string[] {
  const head = `  ${policy.as.toLowerCase()} policy ${policy.name} for ${policy.command} to ${policy.roles.join(', ')}`;
  const expression = policy.expression === undefined ? [] : [policy.expression.replaceAll(/\s+/g, ' ')];
  return [head, ...[...expression, ...verdict(policy), ...policy.notes].map((line) => `      ${line}`)];
}

function verdict({ notFor, fails, admits, removes, as }: ExplainedPolicy): readonly string[] {
  if (notFor !== undefined) return [`does not apply: ${notFor}`];
  if (fails !== undefined) return [`fails: ${fails}`];
  if (admits === undefined) return ['applies'];
  return [as === 'Permissive' ? `admits ${counted(admits, 'row')}` : `lets ${counted(admits, 'row')} pass, and takes away ${removes ?? 0} that were admitted`];
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no';
}

/** Names may hold anything; a terminal should not obey them. */
function printable(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '\ufffd');
}
