// Findings for people: one block each, gravest first, and a closing line that counts them.
import type { Severity, WitnessedFinding } from '../lint/lint.ts';
import type { WitnessOutcome } from '../policy/witness.ts';
import type { LintedDatabase } from './lint-database.ts';

const colors: Readonly<Record<Severity, number>> = { error: 31, warning: 33, info: 36 };

const words: Readonly<Record<WitnessOutcome['result'], string>> = { Shown: 'shown', NotShown: 'not shown', NotRun: 'not tried' };

export function asTable({ database, serverVersion, findings, allowed }: LintedDatabase, color: boolean): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const block = (finding: WitnessedFinding): string =>
    [
      `${paint(colors[finding.severity], finding.severity.padEnd(8))} ${finding.lint.padEnd(28)} ${printable(finding.object)}`,
      `           ${printable(finding.why)}`,
      `           fix: ${printable(finding.fix).replaceAll('\n', '\n                ')}`,
      ...(finding.outcome === undefined ? [] : [`           ${words[finding.outcome.result]}: ${printable(finding.outcome.detail)}`]),
    ].join('\n');
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  const summary = findings.length === 0 ? 'nothing found' : `${count('error')} errors, ${count('warning')} warnings, ${count('info')} notes`;
  const accepted = allowed.length === 0 ? '' : `; ${allowed.length} allowed by RowPolicies`;
  return [...findings.map(block), `${paint(1, printable(database))} (PostgreSQL ${serverVersion}): ${summary}${accepted}`].join('\n');
}

/** Names may hold anything; a terminal should not obey them. */
function printable(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '\ufffd');
}
