// `rowseal bootstrap sql`: the rights that the operator's database role needs, as SQL to read before running it.
import { type Command, Option } from 'commander';
import { type Io, writeLine } from './io.ts';

interface BootstrapOptions {
  readonly role: string;
  readonly owner: readonly string[];
}

export function registerBootstrap(program: Command, io: Io): void {
  const bootstrap = program.command('bootstrap').description('What has to exist before the first use');
  bootstrap
    .command('sql')
    .description('Prints the SQL that gives a database role what Rowseal needs; a superuser runs it once in each database')
    .addOption(new Option('--role <name>', 'the role that the DatabaseConnection logs in as').default('rowseal'))
    .addOption(new Option('--owner <name...>', 'the roles that own the governed tables').default([]))
    .action((options: BootstrapOptions) => {
      for (const line of bootstrapSql(options)) writeLine(io.stdout, line);
    });
}

/** One statement a line, each with the promise it is for. */
export function bootstrapSql({ role, owner }: BootstrapOptions): readonly string[] {
  const name = quoted(role);
  return [
    `-- Set the password apart from this script: \\password ${role}`,
    `create role ${name} login noinherit createrole replication bypassrls; -- the probe role, the audit stream, counting rows`,
    `grant create, connect on database :"DBNAME" to ${name}; -- its own schema, rowseal; scratch schemas of tests`,
    ...owner.map((table) => `grant ${quoted(table)} to ${name} with inherit true; -- policies can only be changed by the owner of the table`),
    `alter role ${name} set row_security = off; -- an error instead of silently missing rows`,
    '-- Event triggers need a superuser. Without them drift is found by polling every 10 s, and status says so.',
  ];
}

/** This script is read by psql, so the one quoting function of the PostgreSQL adapter's sessions is not at hand. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
