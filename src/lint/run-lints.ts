// Runs every lint over a catalog; findings in a stable order, gravest first.
import type { Catalog } from '../policy/catalog.ts';
import { survey } from './landscape.ts';
import type { Finding, Severity } from './lint.ts';
import { lints } from './lints.ts';

const order: readonly Severity[] = ['error', 'warning', 'info'];

export function runLints(catalog: Catalog): readonly Finding[] {
  const landscape = survey(catalog);
  const findings = lints.flatMap((lint) => lint.find(landscape).map((finding) => ({ severity: lint.severity, ...finding, lint: lint.id })));
  return findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity) || compare(a.lint, b.lint) || compare(a.object, b.object));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
