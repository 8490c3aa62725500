// PostgreSQL 15 of the distribution with pgaudit, whose records the npm packages' servers cannot write.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Folder for `startPostgres({ installation })`; its `bin` holds pgbench, pg_recvlogical and pg_basebackup, too. */
export const pgauditInstallation = '/usr/lib/postgresql/15';

/** For postgresql.conf; which statements it records is `pgaudit.log` of a database or role. */
export const pgauditSettings: readonly string[] = ["shared_preload_libraries = 'pgaudit'"];

function pgauditInstalled(): boolean {
  return existsSync(`${pgauditInstallation}/bin/postgres`) && existsSync(`${pgauditInstallation}/lib/pgaudit.so`) && existsSync(`${pgauditInstallation}/bin/pgbench`);
}

/** Gives back why it isn't there; undefined when it is. */
export function installPgaudit(): string | undefined {
  if (pgauditInstalled()) return undefined;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return 'install the packages postgresql-15, postgresql-contrib and postgresql-15-pgaudit';
  process.stderr.write('installing PostgreSQL 15 with pgaudit of the distribution\n');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { env: environment, stdio: 'ignore', timeout: 300_000 });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'postgresql-15', 'postgresql-contrib', 'postgresql-15-pgaudit'], { env: environment, stdio: 'ignore', timeout: 600_000 });
  return pgauditInstalled() ? undefined : 'the distribution does not give postgresql-15-pgaudit';
}
