// `rowseal bootstrap sql`: the rights that the operator's database role needs, as SQL to read before running it.
import { type Command, Option } from 'commander';
import { quoteName } from '../adapters/postgres/quote.ts';
import { type Io, writeLine } from './io.ts';

interface BootstrapOptions {
  readonly role: string;
  readonly database: string;
  readonly owner: readonly string[];
  readonly applicationRole: readonly string[];
}

export function registerBootstrap(program: Command, io: Io): void {
  const bootstrap = program.command('bootstrap').description('What has to exist before the first use');
  bootstrap
    .command('sql')
    .description('Prints the SQL that gives a database role what Rowseal needs; a superuser reads it, and runs it once in each database')
    .requiredOption('--database <name>', 'the database')
    .addOption(new Option('--role <name>', 'the role that the DatabaseConnection logs in as').default('rowseal'))
    .addOption(new Option('--owner <name...>', 'the roles that own the governed tables').default([]))
    .addOption(new Option('--application-role <name...>', 'the roles that rules and tests name').default([]))
    .action((options: BootstrapOptions) => {
      for (const line of bootstrapSql(options)) writeLine(io.stdout, line);
    });
}

/** One statement a line, each with what it is for. */
function bootstrapSql({ role, database, owner, applicationRole }: BootstrapOptions): readonly string[] {
  const name = quoteName(role);
  return [
    '-- Set the password afterwards with \\password, so that it stands in no file and no log.',
    `create role ${name} login createrole replication bypassrls; -- the probe role, the audit stream, reading without hidden rows`,
    `grant connect, create, temporary on database ${quoteName(database)} to ${name} with grant option; -- the schema rowseal; copies for tests`,
    ...owner.map((table) => `grant ${quoteName(table)} to ${name}; -- only the owner of a table can change its policies`),
    ...applicationRole.map((tested) => `grant ${quoteName(tested)} to ${name} with admin option; -- so that the probe can become it in tests`),
    `-- Only for claims.signed.bind Session, which has to know when a session began: grant pg_read_all_stats to ${name} with admin option;`,
    '-- Event triggers need a superuser. Without them drift is found by polling every 10 s, and the status says so.',
  ];
}
