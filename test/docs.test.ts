// The documentation says what the code says.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../src/model/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

describe('docs/errors.md', () => {
  const documented = [...read('docs/errors.md').matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);

  test('explains every code, and no other', () => {
    expect(new Set(documented)).toEqual(new Set(errorCodes));
    expect(documented.length).toBe(errorCodes.length);
  });

  test('every code is thrown somewhere', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('errors.ts'))
      .map((file) => read(join('src', file)))
      .join('\n');
    expect(errorCodes.filter((code) => !sources.includes(`'${code}'`))).toEqual([]);
  });
});

describe('links between documents', () => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((file) => join('docs', file))].filter(
    (file) => file.endsWith('.md'),
  );

  test.each(documents)('%s leads to files that exist', (document) => {
    const targets = [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    expect(targets.filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
  });

  test('ARCHITECTURE.md names every folder of src', () => {
    const text = read('ARCHITECTURE.md');
    const folders = [...readdirSync(join(root, 'src')), ...readdirSync(join(root, 'src', 'adapters'))];
    expect(folders.filter((folder) => !text.includes(`${folder}/`) && !text.includes(`\`${folder}\``))).toEqual([]);
  });
});
