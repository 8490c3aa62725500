// `rowseal import`: the policies of a database as manifests that leave it exactly as it is. It changes nothing.
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { readImport } from '../adapters/postgres/read-import.ts';
import { readOnly } from '../adapters/postgres/read-only-session.ts';
import { RowsealError } from '../model/errors.ts';
import { type ImportedObject, importManifests } from './import-manifests.ts';
import { type Io, writeLine } from './io.ts';

interface Options {
  readonly schema?: readonly string[];
  readonly namespace: string;
  readonly connection: string;
}

export function registerImport(program: Command, io: Io): void {
  program
    .command('import')
    .description('Prints the policies of a database as manifests that leave it exactly as it is; it changes nothing')
    .argument('<database>', 'a postgresql:// URL')
    .option('--schema <name...>', 'only tables of these schemas')
    .option('--namespace <name>', 'namespace of the manifests', 'default')
    .option('--connection <name>', 'name of the DatabaseConnection and its Secret', 'database')
    .addHelpText('after', '\nWhat is not imported is said in comments. docs/import.md tells how to adopt the result safely.')
    .action(async (place: string, options: Options) => {
      writeLine(io.stdout, await importedYaml(place, options, io.signal));
      io.exit(0);
    });
}

async function importedYaml(place: string, { schema, namespace, connection }: Options, signal: AbortSignal): Promise<string> {
  if (!/^postgres(ql)?:\/\//.test(place)) throw new RowsealError('BadUsage', 'the argument is not a postgresql:// URL', { next: 'write postgresql://USER@HOST/DATABASE' });
  const target = connectionTarget({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'url' } } }, secret: { data: { uri: place }, annotations: {}, resourceVersion: '' }, secretName: 'the URL' });
  const found = await readOnly(target, 'import', (query) => readImport(query, schema === undefined ? {} : { schemas: schema }), signal);
  const { notes, objects } = importManifests(found, { namespace, connection });
  const head = [
    `Imported by rowseal import. Adopting these manifests runs no statement: rowseal plan says "nothing to do".`,
    `The DatabaseConnection needs this Secret, or ROWSEAL_DATABASE_URL for rowseal plan:`,
    `  kubectl create secret generic ${connection} -n ${namespace} --from-literal=uri=postgresql://USER:PASSWORD@${target.host}:${target.port}/${encodeURIComponent(target.database)}`,
    ...notes,
  ];
  return [comment(head), ...objects.map(documentOf)].join('---\n').trimEnd();
}

function documentOf({ notes, object }: ImportedObject): string {
  return `${comment(notes)}${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

/** Names may hold anything; a comment ends with its line. */
function comment(sentences: readonly string[]): string {
  return sentences.map((sentence) => `# ${sentence.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')}\n`).join('');
}
