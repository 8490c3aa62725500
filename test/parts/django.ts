// Django with psycopg in a virtual environment under the user's cache folder, as `make test` brings it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const requirements = ['django==5.2.19', 'psycopg[binary]==3.3.9'];
const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'rowseal', 'django-5.2.19');
const installedMark = join(folder, 'installed');

/** The Python that has Django; undefined where it could not be installed. */
export function djangoPython(): string | undefined {
  return existsSync(installedMark) ? join(folder, 'bin', 'python') : undefined;
}

/** Why not, or undefined. If we die in between, the mark is missing and the next call begins anew. */
export function installDjango(): string | undefined {
  if (djangoPython() !== undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ['python3', ['-m', 'venv', '--clear', folder]],
    [join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements]],
    ['touch', [installedMark]],
  ];
  for (const [command, args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) return `${command} ${args[0]} failed: ${(stderr ?? '').trim().split('\n').at(-1) ?? ''}`;
  }
  return undefined;
}
