// Every page of docs/lints: its bad example is found, with its witness where it says so, and its good one is not.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lints } from '../../src/lint/lints.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

const folder = fileURLToPath(new URL('../../docs/lints/', import.meta.url));
const read = (file: string): string => readFileSync(folder + file, 'utf8');

test('every lint has a page and a row in the list, and no page or row is without a lint', () => {
  const ids = lints.map((lint) => lint.id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(readdirSync(folder).filter((file) => file !== 'README.md').sort()).toEqual(ids.map((id) => `${id}.md`).sort());
  const rows = [...read('README.md').matchAll(/^\| \[([a-z-]+)\]\(\1\.md\) \| (\w+) \| (.+) \|$/gm)].map(([, id, severity, title]) => ({ id, severity, title }));
  expect(rows).toEqual(lints.map(({ id, severity, title }) => ({ id, severity, title })).sort((a, b) => (a.id < b.id ? -1 : 1)));
});

interface Page {
  readonly object: string;
  readonly witness: boolean;
  readonly bad: string;
  readonly good: string;
}

function pageOf(id: string): Page {
  const text = read(`${id}.md`);
  const [, bad = '', good = ''] = text.split(/^## (?:Bad|Good)$/m);
  const sql = (part: string): string => /```sql\n([\s\S]*?)```/.exec(part)?.[1] ?? '';
  const found = /^Found on `([^`]+)`, (with its witness|without a witness)\b/m.exec(bad);
  return { object: found?.[1] ?? '', witness: found?.[2] === 'with its witness', bad: sql(bad), good: sql(good) };
}

/** What no SQL can bring about has a test of its own. */
const testedElsewhere: ReadonlySet<string> = new Set(['server-version']);

describe.each(supportedMajors)('on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
  });
  afterAll(() => postgres?.stop());

  describe.each(lints.map((lint) => lint.id))('%s', (id) => {
    test.skipIf(testedElsewhere.has(id))('the bad example is found', async () => {
      const page = pageOf(id);
      await withCase(postgres, page.bad, ({ findings }) => {
        const found = findings.filter((finding) => finding.lint === id);
        expect(found.map((finding) => finding.object)).toEqual([page.object]);
        expect(found.map((finding) => finding.outcome?.result)).toEqual([page.witness ? 'Shown' : undefined]);
      });
    });

    test('the good example is not', async () => {
      const page = pageOf(id);
      expect(page.good).not.toBe('');
      await withCase(postgres, page.good, ({ findings }) => {
        expect(findings.filter((finding) => finding.lint === id)).toEqual([]);
      });
    });
  });
});
