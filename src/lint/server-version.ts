// Minor versions of PostgreSQL in which row security itself can be passed.
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';

export const serverVersion: Lint = {
  id: 'server-version',
  severity: 'warning',
  title: 'this PostgreSQL has a known way past row security',
  reason: 'Policies are only as good as the server that asks them. Some minor versions have published defects that let a role see rows, or samples of them, past its policies.',
  fix: 'install the newest minor version: same data, a restart',
  find: (landscape) => finding(landscape),
};

interface Defect {
  readonly cve: string;
  readonly what: string;
  /** The first minor version of each major one that is mended. */
  readonly mended: Readonly<Record<number, number>>;
}

/** From the project's own security pages and release notes; majors that are missing never had it, or are out of support. */
const defects: readonly Defect[] = [
  { cve: 'CVE-2025-8713', what: 'statistics give away samples of hidden rows to an operator of the role', mended: { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 } },
  { cve: 'CVE-2024-10976', what: 'a plan that is reused under another role keeps policies of the first, in sub-queries, WITH, security_invoker views and SQL functions', mended: { 12: 21, 13: 17, 14: 14, 15: 9, 16: 5, 17: 1 } },
  { cve: 'CVE-2023-39418', what: 'MERGE does not ask all policies for UPDATE and SELECT', mended: { 15: 4 } },
  { cve: 'CVE-2023-2455', what: 'a plan with an inlined function that is reused under another role keeps policies of the first', mended: { 11: 20, 12: 15, 13: 11, 14: 8, 15: 3 } },
];

function finding({ catalog: { server }, guarded }: Landscape): readonly LintFinding[] {
  if (guarded.length === 0) return [];
  const major = Math.floor(server.versionNumber / 10_000);
  const minor = server.versionNumber % 10_000;
  const open = defects.filter(({ mended }) => minor < (mended[major] ?? 0));
  const newest = Math.max(...open.map(({ mended }) => mended[major] ?? 0));
  return open.length === 0
    ? []
    : [{ object: `server ${server.version}`, tables: [], why: `${open.map(({ cve, what }) => `${cve}: ${what}`).join('. ')}.`, fix: `Install PostgreSQL ${major}.${newest} or a later ${major}` }];
}
