// Brings the servers that the tests run: found, or built from Go modules and cached. Says how to get what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { installDjango } from '../test/parts/django.ts';
import { goBinary } from '../test/parts/go-binaries.ts';
import { installPgaudit } from '../test/parts/pgaudit.ts';
import { pgBouncerInstalled } from '../test/parts/pgbouncer.ts';

try {
  await Promise.all((['versitygw', 'etcd', 'kube-apiserver', 'kubectl'] as const).map((name) => goBinary(name)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
if (!pgBouncerInstalled) installPgBouncer();
const withoutPgaudit = installPgaudit();
if (withoutPgaudit !== undefined) process.stderr.write(`reads by pgaudit are not tested: ${withoutPgaudit}\n`);
const withoutDjango = installDjango();
if (withoutDjango !== undefined) process.stderr.write(`the Django example is not tested: ${withoutDjango}\n`);

/** The pooler of the examples: without it their tests are skipped, and say so. */
function installPgBouncer(): void {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    process.stderr.write('the examples behind a pooler are not tested: install the package pgbouncer\n');
    return;
  }
  process.stderr.write('installing PgBouncer of the distribution\n');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { env: environment, stdio: 'ignore', timeout: 300_000 });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'pgbouncer'], { env: environment, stdio: 'ignore', timeout: 600_000 });
}
