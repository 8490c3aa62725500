// `rowseal plan`: what the manifests would change in their databases, and why. It changes nothing.
import { type Command, Option } from 'commander';
import { resolve } from 'node:path';
import { describeProblem, readManifests } from '../adapters/manifests/read-manifests.ts';
import { counted } from '../model/counted.ts';
import { describeError, RowsealError } from '../model/errors.ts';
import { describeObject } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import { type ExitStatus, type Io, writeLine } from './io.ts';
import { type PlannedPolicy, planPolicy } from './plan-policy.ts';
import { rowLines } from './row-changes.ts';
import { createStaticCluster } from './static-cluster.ts';

type Format = 'text' | 'json' | 'sql';

interface Options {
  readonly output: Format;
  readonly rows?: boolean;
}

export function registerPlan(program: Command, io: Io): void {
  program
    .command('plan')
    .description('Prints the SQL that would make the databases equal to the manifests, and why; it changes nothing')
    .argument('<manifests>', 'a file or folder of manifests, Secrets included')
    .addOption(new Option('-o, --output <format>', 'how it is printed').choices(['text', 'json', 'sql']).default('text'))
    .option('--rows', 'count the rows that each role would gain and lose, in small tables; a temporary role that may become the roles of the rules is made for it, and dropped')
    .addHelpText('after', '\nROWSEAL_DATABASE_URL stands in for a Secret that is not among the manifests.\nExit status: 0 planned (with or without steps), 1 something was refused, 3 unreadable manifests or unreachable database.')
    .action(async (path: string, options: Options) => {
      io.exit(await plan(resolve(io.cwd, path), options, io));
    });
}

async function plan(path: string, { output, rows }: Options, io: Io): Promise<ExitStatus> {
  const manifests = await readManifests(path);
  for (const problem of manifests.problems) writeLine(io.stderr, `rowseal: ${describeProblem(problem)}`);
  for (const sentence of manifests.ignored) writeLine(io.stderr, `rowseal: ${sentence}`);
  const cluster = createStaticCluster(manifests, io.env['ROWSEAL_DATABASE_URL']);
  if (cluster.list('RowPolicy').length === 0) writeLine(io.stderr, 'rowseal: there is no RowPolicy among the manifests');
  const { planned, failures } = await planAll({ cluster, rows: rows === true }, io.signal);
  print(planned, output, io);
  for (const failure of failures) writeLine(io.stderr, `rowseal: ${failure.sentence}`);
  if (manifests.problems.length > 0 || failures.some((failure) => !failure.refused)) return 3;
  return failures.length > 0 ? 1 : 0;
}

interface Failure {
  readonly sentence: string;
  /** What the manifest asks for is not possible or not allowed; else the database could not be asked. */
  readonly refused: boolean;
}

const refusals: readonly string[] = ['BadPredicate', 'BadReference', 'DatabaseConflict', 'NotGranted', 'Contradiction', 'DatabaseObjectMissing', 'DatabasePrivilege'];

/** One policy that cannot be planned does not hide the others. */
async function planAll(options: { readonly cluster: Cluster; readonly rows: boolean }, signal: AbortSignal): Promise<{ planned: readonly PlannedPolicy[]; failures: readonly Failure[] }> {
  const planned: PlannedPolicy[] = [];
  const failures: Failure[] = [];
  const fail = (name: string, error: unknown) => {
    const text = describeError(error);
    failures.push({ sentence: text.includes(name) ? text : `${name}: ${text}`, refused: error instanceof RowsealError && refusals.includes(error.code) });
  };
  for (const policy of options.cluster.list('RowPolicy')) {
    const name = describeObject('RowPolicy', policy.metadata);
    try {
      const result = await planPolicy(policy, options, signal);
      planned.push(result);
      if (result.notGranted !== undefined) fail(name, result.notGranted);
    } catch (error) {
      signal.throwIfAborted();
      fail(name, error);
    }
  }
  return { planned, failures };
}

function print(planned: readonly PlannedPolicy[], format: Format, io: Io): void {
  switch (format) {
    case 'json':
      return writeLine(io.stdout, JSON.stringify(planned.map(({ notGranted: _omitted, ...rest }) => rest), undefined, 2));
    case 'sql':
      return writeLine(io.stdout, planned.map(asSql).join('\n'));
    case 'text':
      return writeLine(io.stdout, planned.map((policy) => asText(policy, io.color)).join('\n'));
  }
}

/** A script to read; the operator also marks its policies and records them, so that it can tell them from others. */
function asSql({ rowPolicy, database, steps, adoptions }: PlannedPolicy): string {
  const head = comment(`${rowPolicy} on ${database}${steps.length === 0 ? `: nothing to do${adopted(adoptions)}` : ''}`);
  return [head, ...steps.map(({ sql, why, widening }) => `${comment(`${widening ? 'WIDENING: ' : ''}${why}`)}\n${sql};`), ''].join('\n');
}

function asText({ rowPolicy, database, digest, steps, diff, adoptions, rows }: PlannedPolicy, color: boolean): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const widening = steps.filter((step) => step.widening).length;
  const summary = steps.length === 0 ? 'nothing to do' : `${counted(steps.length, 'statement')}, ${widening} of them widening, plan ${digest}`;
  const lines = steps.map(({ sql, why, widening: widens }) => `  ${widens ? paint(33, 'widening') : paint(32, 'safe    ')}  ${printable(why)}\n            ${printable(sql).replaceAll('\n', '\n            ')}`);
  const changes = rows === undefined ? [] : rowLines(rows).map((line) => `  rows      ${printable(line)}`);
  return [`${paint(1, rowPolicy)} on ${database}: ${summary}${adopted(adoptions)}`, ...diff.flatMap((table) => diffLines(table, paint)), ...lines, ...changes, ''].join('\n');
}

function diffLines({ table, lines }: PlannedPolicy['diff'][number], paint: (code: number, text: string) => string): readonly string[] {
  return [`  ${paint(1, printable(table))}`, ...lines.map((line) => `    ${paint(line.startsWith('-') ? 31 : 32, printable(line))}`)];
}

function adopted(count: number): string {
  return count === 0 ? '' : `; ${count} existing ${count === 1 ? 'policy is' : 'policies are'} as declared and only recorded`;
}

function comment(text: string): string {
  return `-- ${text.replaceAll(/[\r\n]+/g, ' ')}`;
}

/** Names may hold anything; a terminal should not obey them. */
function printable(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '\ufffd');
}
