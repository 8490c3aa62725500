// `rowseal lint`: what lets rows out past the policies of a database, with or without Rowseal in it. It changes nothing.
import { type Command, Option } from 'commander';
import { resolve } from 'node:path';
import { describeProblem, readManifests } from '../adapters/manifests/read-manifests.ts';
import type { Finding } from '../lint/lint.ts';
import { concernsSchemas } from '../lint/select-findings.ts';
import { describeError } from '../model/errors.ts';
import { type ExitStatus, type Io, writeLine } from './io.ts';
import { lintDatabase, type LintedDatabase, targetOfUrl } from './lint-database.ts';
import { lintConnection } from './lint-connection.ts';
import { asSarif } from './lint-sarif.ts';
import { asTable } from './lint-table.ts';
import { createStaticCluster } from './static-cluster.ts';
import { packageVersion } from './version.ts';

interface Options {
  readonly output: 'table' | 'json' | 'sarif';
  readonly schema?: readonly string[];
  readonly witness: boolean;
}

const help = `
A URL: every schema but the system's. Manifests: each DatabaseConnection among them, limited to the tables that its RowPolicies govern.
Witnesses show a finding on the data that is there: a temporary role without rights of its own becomes the victim, reads (or writes), and everything is rolled back.
Making that role needs CREATEROLE; without it findings come without.
ROWSEAL_DATABASE_URL stands in for a Secret that is not among the manifests.
Exit status: 0 nothing of severity error was found, 1 something was, 3 usage, unreadable manifests or unreachable database.`;

export function registerLint(program: Command, io: Io): void {
  program
    .command('lint')
    .description('Finds what lets rows out past the policies of a database, shows it, and says how to mend it; it changes nothing')
    .argument('<database>', 'a postgresql:// URL, or a file or folder of manifests')
    .addOption(new Option('-o, --output <format>', 'how findings are printed').choices(['table', 'json', 'sarif']).default('table'))
    .option('--schema <names...>', 'only what concerns these schemas')
    .option('--no-witness', 'only look at the catalog: no temporary role, nothing is acted out')
    .addHelpText('after', help)
    .action(async (place: string, options: Options) => {
      io.exit(await lint(place, options, io));
    });
}

async function lint(place: string, options: Options, io: Io): Promise<ExitStatus> {
  const { linted, failed } = /^postgres(ql)?:/.test(place) ? await lintUrl(place, options, io) : await lintManifests(resolve(io.cwd, place), options, io);
  writeLine(io.stdout, print(linted, options.output, io.color));
  if (failed) return 3;
  return linted.some(({ findings }) => findings.some((finding) => finding.severity === 'error')) ? 1 : 0;
}

interface Outcome {
  readonly linted: readonly LintedDatabase[];
  readonly failed: boolean;
}

async function lintUrl(url: string, { schema, witness }: Options, io: Io): Promise<Outcome> {
  const select = (findings: readonly Finding[]) => ({ findings: schema === undefined ? findings : findings.filter((finding) => concernsSchemas(finding, schema)), allowed: [] });
  return { linted: [await lintDatabase(targetOfUrl(url), { select, witnesses: witness }, io.signal)], failed: false };
}

/** One database that cannot be reached does not hide the others. */
async function lintManifests(path: string, { schema, witness }: Options, io: Io): Promise<Outcome> {
  const manifests = await readManifests(path);
  for (const problem of manifests.problems) writeLine(io.stderr, `rowseal: ${describeProblem(problem)}`);
  const cluster = createStaticCluster(manifests, io.env['ROWSEAL_DATABASE_URL']);
  const linted: LintedDatabase[] = [];
  let failed = manifests.problems.length > 0;
  for (const connection of cluster.list('DatabaseConnection')) {
    try {
      linted.push(await lintConnection(connection, { cluster, witnesses: witness, ...(schema === undefined ? {} : { schemas: schema }) }, io.signal));
    } catch (error) {
      io.signal.throwIfAborted();
      writeLine(io.stderr, `rowseal: ${describeError(error)}`);
      failed = true;
    }
  }
  if (linted.length === 0 && !failed) writeLine(io.stderr, 'rowseal: there is no DatabaseConnection among the manifests');
  return { linted, failed };
}

function print(linted: readonly LintedDatabase[], format: Options['output'], color: boolean): string {
  switch (format) {
    case 'table':
      return linted.map((each) => asTable(each, color)).join('\n');
    case 'json':
      return JSON.stringify(linted, undefined, 2);
    case 'sarif':
      return JSON.stringify(asSarif(linted, packageVersion()), undefined, 2);
  }
}
