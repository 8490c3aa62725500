// Writes crds/*.yaml and docs/reference.md from the schemas in src/model; with --check exits 1 when they differ.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Document, Scalar, visit } from 'yaml';
import { customResourceDefinition } from '../src/model/crd.ts';
import { apiGroup, kindDefinitions } from '../src/model/kinds.ts';
import { referencePage } from './reference-page.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const head = '# Generated from src/model by scripts/generate-crds.ts; do not edit.\n';

function wantedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const definition of Object.values(kindDefinitions)) {
    files.set(join('crds', `${definition.plural}.${apiGroup}.yaml`), head + yamlOf(customResourceDefinition(definition)));
  }
  files.set(join('docs', 'reference.md'), referencePage(Object.values(kindDefinitions)));
  return files;
}

/** A field that fits on one line stands on one line: unrolled predicates would otherwise be mostly indentation. */
function yamlOf(value: object): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Collection: (_, node) => {
      if (JSON.stringify(node).length > 240) return;
      node.flow = true;
      // Not every parser takes the same plain words inside braces.
      visit(node, { Scalar: (_key, scalar) => void (typeof scalar.value === 'string' && /[^\w ./-]/.test(scalar.value) && (scalar.type = Scalar.QUOTE_DOUBLE)) });
      return visit.SKIP;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function strayFiles(wanted: ReadonlyMap<string, string>): string[] {
  const folder = join(root, 'crds');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join('crds', name))
    .filter((path) => !wanted.has(path));
}

const wanted = wantedFiles();
const stray = strayFiles(wanted);
const different = [...wanted].filter(([path, content]) => {
  const full = join(root, path);
  return !existsSync(full) || readFileSync(full, 'utf8') !== content;
});

if (process.argv.includes('--check')) {
  for (const path of [...different.map(([name]) => name), ...stray]) process.stderr.write(`${path} is not what src/model says; run \`npm run crds\`\n`);
  process.exitCode = different.length + stray.length === 0 ? 0 : 1;
} else {
  for (const path of stray) rmSync(join(root, path));
  for (const [path, content] of different) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    process.stdout.write(`${path}\n`);
  }
}
