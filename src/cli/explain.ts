// `rowseal explain`: why a role sees no rows, or these, policy by policy. It changes nothing but for a temporary role, which it drops.
import { type Command, Option } from 'commander';
import { resolve } from 'node:path';
import { readManifests } from '../adapters/manifests/read-manifests.ts';
import { withTemporaryProbe } from '../adapters/postgres/command-session.ts';
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { explain } from '../adapters/postgres/explain.ts';
import type { ExplainRequest } from '../adapters/postgres/explain-request.ts';
import { RowsealError } from '../model/errors.ts';
import type { ExplainedCommand } from '../policy/explanation.ts';
import type { ConnectionTarget } from '../ports/database.ts';
import { resolveTarget } from '../reconcile/connection-attempt.ts';
import { explanationText } from './explain-text.ts';
import { type ExitStatus, type Io, writeLine } from './io.ts';
import { targetOfUrl } from './lint-database.ts';
import { createStaticCluster } from './static-cluster.ts';
import { systemRandomness } from './system.ts';

interface Options {
  readonly role: string;
  readonly table: string;
  readonly claims?: string;
  readonly command: Lowercase<ExplainedCommand>;
  readonly setting?: string;
  readonly set: readonly string[];
  readonly rows: string;
  readonly connection?: string;
  readonly output: 'text' | 'json';
}

const commands = { select: 'Select', insert: 'Insert', update: 'Update', delete: 'Delete' } as const;
const collect = (value: string, before: readonly string[]) => [...before, value];

const help = `
DATABASE is a postgresql:// URL, or manifests with a DatabaseConnection (--connection names one of several), whose way of saying claims is used.
Under signed claims --claims is what a valid token would say; SELECT * FROM rowseal.explain_claims() in the application's session tells why a token is refused.
Each expression is tried as the role on temporary copies of the first rows: a temporary role is made for it and dropped, which needs CREATEROLE, and reading the rows needs
BYPASSRLS. Without these, everything is said but the counts. Exit status: 0 explained, 3 usage, or an unreachable database.`;

export function registerExplain(program: Command, io: Io): void {
  program
    .command('explain')
    .description('Tells why a role sees which rows of a table, policy by policy')
    .argument('<database>', 'a postgresql:// URL, or a file or folder of manifests')
    .requiredOption('--role <name>', 'the database role')
    .requiredOption('--table <name>', 'the table, with its schema unless that is public')
    .option('--claims <json>', 'the claims of the session, a JSON object')
    .addOption(new Option('--command <command>', 'what is tried').choices(Object.keys(commands)).default('select'))
    .option('--setting <name>', 'the setting that holds the claims (request.jwt.claims, unless the manifests say otherwise)')
    .addOption(new Option('--set <name=value>', 'a further session setting; may be repeated').argParser(collect).default([]))
    .option('--rows <count>', 'how many rows are looked at', '1000')
    .option('--connection <name>', 'the DatabaseConnection, as name or namespace/name')
    .addOption(new Option('-o, --output <format>', 'how it is printed').choices(['text', 'json']).default('text'))
    .addHelpText('after', help)
    .action(async (database: string, options: Options) => {
      io.exit(await run(database, options, io));
    });
}

async function run(database: string, options: Options, io: Io): Promise<ExitStatus> {
  const target = /^postgres(ql)?:/.test(database) ? targetOfUrl(database) : await targetOfManifests(resolve(io.cwd, database), options, io);
  const request = requestOf(options, target);
  const found = await withTemporaryProbe(target, { randomness: systemRandomness, purpose: 'explain' }, (tools) => explain(tools, request, io.signal), io.signal);
  writeLine(io.stdout, options.output === 'json' ? JSON.stringify(found, undefined, 2) : explanationText(found, io.color));
  return 0;
}

function requestOf({ role, table, claims, command, setting, set, rows }: Options, target: ConnectionTarget): ExplainRequest {
  const first = Number(rows);
  if (!Number.isInteger(first) || first < 1 || first > 10_000) throw new RowsealError('BadUsage', '--rows is no whole number from 1 to 10000');
  const parsed = claims === undefined ? undefined : claimsOf(claims);
  return {
    role,
    table: tableNamed(table),
    command: commands[command],
    way: setting === undefined ? target.claims : { type: 'Setting', setting },
    settings: Object.fromEntries(set.map(settingOf)),
    first,
    ...(parsed === undefined ? {} : { claims: parsed }),
  };
}

/** `schema.table`, or a table of schema public; a dot inside a name is written by the whole name in quotes. */
function tableNamed(text: string): ExplainRequest['table'] {
  const [, quotedSchema, schema, quotedTable, table] = /^(?:(?:"([^"]+)"|([^".]+))\.)?(?:"([^"]+)"|([^".]+))$/.exec(text) ?? [];
  const name = quotedTable ?? table;
  if (name === undefined) throw new RowsealError('BadUsage', `${text} is no name of a table`, { next: 'write schema.table, with double quotes around a name that holds a dot' });
  return { schema: quotedSchema ?? schema ?? 'public', table: name };
}

function claimsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, without the text.
  }
  throw new RowsealError('BadUsage', '--claims is no JSON object', { next: `write for example --claims '{"tenant_id":"acme"}'` });
}

function settingOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new RowsealError('BadUsage', '--set takes name=value');
  return [text.slice(0, at), text.slice(at + 1)];
}

async function targetOfManifests(path: string, { connection: wanted }: Options, io: Io): Promise<ConnectionTarget> {
  const cluster = createStaticCluster(await readManifests(path), io.env['ROWSEAL_DATABASE_URL']);
  const all = cluster.list('DatabaseConnection');
  const named = wanted === undefined ? all : all.filter(({ metadata: { namespace, name } }) => [name, `${namespace}/${name}`].includes(wanted));
  const [connection] = named;
  if (connection === undefined || named.length > 1) {
    const names = all.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`).join(', ');
    throw new RowsealError('BadUsage', `${named.length === 0 ? 'there is no such' : 'there are several of'} DatabaseConnection among the manifests`, { next: all.length === 0 ? 'give a URL' : `name one with --connection: ${names}` });
  }
  return resolveTarget(connection, { cluster, engine: { target: connectionTarget } }, io.signal);
}
