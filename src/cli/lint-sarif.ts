// Findings as SARIF 2.1.0, for code scanning: lints are rules, database objects are logical locations.
import type { Severity, WitnessedFinding } from '../lint/lint.ts';
import { lints } from '../lint/lints.ts';
import type { LintedDatabase } from './lint-database.ts';

const levels: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = { error: 'error', warning: 'warning', info: 'note' };

export function asSarif(linted: readonly LintedDatabase[], version: string): object {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: linted.map(({ database, serverVersion, findings }) => ({
      tool: {
        driver: {
          name: 'rowseal',
          version,
          rules: lints.map((lint) => ({
            id: lint.id,
            shortDescription: { text: lint.title },
            fullDescription: { text: lint.reason },
            help: { text: lint.fix },
            defaultConfiguration: { level: levels[lint.severity] },
          })),
        },
      },
      properties: { database, serverVersion },
      results: findings.map((finding) => result(finding, database)),
    })),
  };
}

function result(finding: WitnessedFinding, database: string): object {
  const shown = finding.outcome === undefined ? {} : { witness: finding.outcome };
  return {
    ruleId: finding.lint,
    ruleIndex: lints.findIndex((lint) => lint.id === finding.lint),
    level: levels[finding.severity],
    message: { text: `${finding.why} Fix: ${finding.fix}` },
    locations: [{ logicalLocations: [{ name: finding.object, fullyQualifiedName: `${database}/${finding.object}`, kind: 'resource' }] }],
    partialFingerprints: { 'rowseal/v1': `${finding.lint} ${finding.object}` },
    properties: { fix: finding.fix, tables: finding.tables, ...shown },
  };
}
