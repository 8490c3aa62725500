// The architecture check must be able to fail: each kind of rule is shown to find its violation.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
let copy = '';

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'rowseal-architecture-'));
  cpSync(join(root, 'src', 'model'), join(copy, 'src', 'model'), { recursive: true });
  for (const file of ['.dependency-cruiser.cjs', 'package.json']) cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

function violations(files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    writeFileSync(join(copy, path), text);
  }
  const result = spawnSync(join(root, 'node_modules/.bin/depcruise'), ['--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'src'], { cwd: copy, encoding: 'utf8' });
  for (const path of Object.keys(files)) rmSync(join(copy, path));
  return result.stdout + result.stderr;
}

const target = { 'src/ports/clock.ts': 'export interface Clock { now(): number }\n' };

describe('the architecture check', () => {
  test('a clean tree has no violation', () => {
    expect(violations(target)).toContain('no dependency violations found');
  });

  test.each([
    ['model-is-the-ground', { 'src/model/odd.ts': "import type { Clock } from '../ports/clock.ts';\nexport type Odd = Clock;\n" }],
    ['verify-never-reaches-the-writer', { 'src/audit/odd.ts': 'export const odd = 1;\n', 'src/verify/odd.ts': "import { odd } from '../audit/odd.ts';\nexport const odder = odd;\n" }],
    ['adapter-s3-has-no-siblings', { 'src/adapters/filesystem/odd.ts': 'export const odd = 1;\n', 'src/adapters/s3/odd.ts': "export { odd } from '../filesystem/odd.ts';\n" }],
    ['effects-live-in-adapters-and-cli', { 'src/log/odd.ts': "export { readFileSync } from 'node:fs';\n" }],
    ['pg-stays-in-its-adapter', { 'src/cli/odd.ts': "import pg from 'pg';\nexport const odd = pg;\n" }],
    ['ports-hold-types-only', { 'src/ports/odd.ts': "export { formatLsn } from '../model/branded.ts';\n" }],
    ['no-cycles', { 'src/log/a.ts': "import type { B } from './b.ts';\nexport type A = B;\n", 'src/log/b.ts': "import type { A } from './a.ts';\nexport type B = A | 1;\n" }],
  ])('finds a breach of %s', (rule, files) => {
    expect(violations({ ...target, ...files })).toContain(`error ${rule}`);
  });
});
