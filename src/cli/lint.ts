// `rowseal lint`: what lets rows out past the policies of a database, with or without Rowseal in it. It changes nothing.
import type { Command } from 'commander';
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { RowsealError } from '../model/errors.ts';
import type { ConnectionTarget } from '../ports/database.ts';
import { type ExitStatus, type Io, writeLine } from './io.ts';
import { lintDatabase, type LintedDatabase } from './lint-database.ts';
import { asTable } from './lint-table.ts';

export function registerLint(program: Command, io: Io): void {
  program
    .command('lint')
    .description('Finds what lets rows out past the policies of a database, and says how to mend it; it changes nothing')
    .argument('<database>', 'a postgresql:// URL')
    .addHelpText('after', '\nExit status: 0 nothing of severity error was found, 1 something was, 3 usage or unreachable.')
    .action(async (place: string) => {
      const linted = [await lintDatabase(targetOf(place), io.signal)];
      writeLine(io.stdout, linted.map((each) => asTable(each, io.color)).join('\n'));
      io.exit(statusOf(linted));
    });
}

function targetOf(place: string): ConnectionTarget {
  if (!/^postgres(ql)?:\/\//.test(place)) throw new RowsealError('BadUsage', 'the argument is not a postgresql:// URL', { next: 'write postgresql://USER@HOST/DATABASE' });
  return connectionTarget({
    spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'url' } } },
    secret: { data: { uri: place }, annotations: {}, resourceVersion: '' },
    secretName: 'the URL',
  });
}

function statusOf(linted: readonly LintedDatabase[]): ExitStatus {
  return linted.some(({ findings }) => findings.some((finding) => finding.severity === 'error')) ? 1 : 0;
}
