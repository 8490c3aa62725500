// Servers that exist only as Go modules, built once and cached under the user's cache folder (DESIGN §10).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const controlPlaneModule = fileURLToPath(new URL('../controlplane', import.meta.url));
const versityModule = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  versitygw: versityModule,
} as const;

export type GoBinary = keyof typeof packages;
const buildDeadlineMs = 30 * 60_000;

/** Path of the binary: from KUBEBUILDER_ASSETS, the cache, or a build (about five minutes once for the API server). */
export async function goBinary(name: GoBinary): Promise<string> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets !== undefined && existsSync(join(assets, name))) return join(assets, name);
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'rowseal', 'bin', fingerprint(name));
  const path = join(folder, name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  await withLock(join(folder, `${name}.lock`), () => {
    if (!existsSync(path)) build(name, folder, path);
  });
  return path;
}

function fingerprint(name: GoBinary): string {
  const hash = createHash('sha256').update(packages[name]);
  if (name !== 'versitygw') hash.update(readFileSync(join(controlPlaneModule, 'go.mod')));
  return hash.digest('hex').slice(0, 16);
}

function build(name: GoBinary, folder: string, path: string): void {
  process.stderr.write(`building ${name} from Go modules, once\n`);
  const temporary = join(folder, `building-${process.pid}`);
  const module = name === 'versitygw';
  const result = spawnSync(
    'go',
    module ? ['install', '-ldflags=-s -w', packages[name]] : ['build', '-trimpath', '-ldflags=-s -w', '-o', join(temporary, name), packages[name]],
    {
      cwd: module ? folder : controlPlaneModule,
      env: { ...process.env, CGO_ENABLED: '0', ...(module ? { GOBIN: temporary } : {}) },
      encoding: 'utf8',
      timeout: buildDeadlineMs,
    },
  );
  if (result.error) throw new Error(`${name} cannot be built: ${result.error.message}; install Go 1.26 or newer, or set KUBEBUILDER_ASSETS`);
  if (result.status !== 0) throw new Error(`${name} cannot be built: ${result.stderr.slice(-2000)}`);
  renameSync(join(temporary, name), path);
  rmSync(temporary, { recursive: true, force: true });
}

/** One build at a time, over all test processes; a lock older than a build may take is a dead one's. */
async function withLock(lock: string, action: () => void): Promise<void> {
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > buildDeadlineMs) rmSync(lock, { recursive: true, force: true });
      await sleep(500);
    }
  }
  try {
    action();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}
