// Brings the servers that the tests run: found, or built from Go modules and cached. Says how to get what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { debianPostgres15 } from '../test/parts/postgres.ts';
import { goBinary } from '../test/parts/go-binaries.ts';

try {
  await Promise.all((['versitygw', 'etcd', 'kube-apiserver', 'kubectl'] as const).map((name) => goBinary(name)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
if (debianPostgres15() === undefined && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) installDebianPostgres15();

/** The second major version: without it the tests that need it are skipped, and say so. */
function installDebianPostgres15(): void {
  process.stderr.write('installing PostgreSQL 15 of the distribution\n');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { env: environment, stdio: 'ignore', timeout: 300_000 });
  const packages = ['postgresql-15', 'postgresql-client-15'];
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env: environment, stdio: 'ignore', timeout: 600_000 });
}
