// A real Kubernetes API server with etcd behind it, on loopback, for tests; kubectl beside it.
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { goBinary } from './go-binaries.ts';
import { freePort } from './postgres.ts';

interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ControlPlane {
  /** Kubeconfig of a member of system:masters. */
  readonly kubeconfig: string;
  /** Kubeconfig of the user `plain`, who may do nothing until a test grants it. */
  readonly plainKubeconfig: string;
  readonly server: string;
  readonly token: string;
  readonly ca: string;
  /** Runs kubectl as the administrator; a non-zero status is a result, not an error. */
  kubectl(args: readonly string[], input?: string): Promise<CommandResult>;
  /** Applies crds/ and waits until they are served. */
  installCrds(): Promise<void>;
  /** Kills the API server and starts it again on the same etcd; with `compact`, all history is compacted in between. */
  restart(options?: { readonly compact?: boolean }): Promise<void>;
  /** Ends the API server only, so that a test can see what an outage does; `restart` brings it back. */
  stopApiServer(): Promise<void>;
  stop(): Promise<void>;
}

const startDeadlineMs = 60_000;
const commandDeadlineMs = 60_000;
const crdFolder = fileURLToPath(new URL('../../crds', import.meta.url));

interface Places {
  readonly folder: string;
  readonly etcdUrl: string;
  readonly port: number;
  readonly tokens: { readonly admin: string; readonly plain: string };
}

export async function startControlPlane(): Promise<ControlPlane> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-control-plane-'));
  const places: Places = {
    folder,
    etcdUrl: `http://127.0.0.1:${await freePort()}`,
    port: await freePort(),
    tokens: { admin: randomBytes(16).toString('hex'), plain: randomBytes(16).toString('hex') },
  };
  const etcd = await startEtcd(places);
  writeCredentials(places);
  const server = `https://127.0.0.1:${places.port}`;
  let apiServer = await startApiServer(places);
  const onExit = () => {
    apiServer.kill('SIGKILL');
    etcd.kill('SIGKILL');
  };
  process.once('exit', onExit);

  const kubeconfig = join(folder, 'kubeconfig');
  const plainKubeconfig = join(folder, 'kubeconfig-plain');
  const ca = join(folder, 'certificates', 'apiserver.crt');
  writeFileSync(kubeconfig, kubeconfigFor(server, ca, places.tokens.admin), { mode: 0o600 });
  writeFileSync(plainKubeconfig, kubeconfigFor(server, ca, places.tokens.plain), { mode: 0o600 });
  const kubectlPath = await goBinary('kubectl');
  const kubectl = (args: readonly string[], input?: string) => run(kubectlPath, ['--kubeconfig', kubeconfig, ...args], { folder, input });

  return {
    kubeconfig,
    plainKubeconfig,
    server,
    token: places.tokens.admin,
    ca: readFileSync(ca, 'utf8'),
    kubectl,
    installCrds: async () => {
      await mustSucceed(kubectl(['apply', '--server-side', '--force-conflicts', '-f', crdFolder]));
      await mustSucceed(kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']));
    },
    restart: async (options = {}) => {
      await ended(apiServer, 'SIGKILL');
      if (options.compact === true) await compact(places.etcdUrl);
      apiServer = await startApiServer(places);
    },
    stopApiServer: () => ended(apiServer, 'SIGKILL'),
    stop: async () => {
      process.removeListener('exit', onExit);
      await ended(apiServer, 'SIGKILL');
      await ended(etcd, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startEtcd({ folder, etcdUrl }: Places): Promise<ChildProcess> {
  const peerUrl = `http://127.0.0.1:${await freePort()}`;
  const child = launch(await goBinary('etcd'), folder, [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
    '--log-level=error',
  ]);
  await readyOrFail(child, 'etcd', async () => (await request(`${etcdUrl}/health`)).statusCode === 200);
  return child.process;
}

async function startApiServer({ folder, etcdUrl, port, tokens }: Places): Promise<ChildProcess> {
  const child = launch(await goBinary('kube-apiserver'), folder, [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--disable-admission-plugins=ServiceAccount',
    '--endpoint-reconciler-type=none',
    '--etcd-compaction-interval=0',
  ]);
  // The certificate is the server's own, fresh in its folder; that it is ours is what the port and the token say here.
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  await readyOrFail(child, 'kube-apiserver', async () => {
    const headers = { authorization: `Bearer ${tokens.admin}` };
    const answer = await request(`https://127.0.0.1:${port}/readyz`, { dispatcher: agent, headers });
    await answer.body.dump();
    if (answer.statusCode !== 200) return false;
    const namespace = await request(`https://127.0.0.1:${port}/api/v1/namespaces/kube-system`, { dispatcher: agent, headers });
    await namespace.body.dump();
    return namespace.statusCode === 200;
  });
  await agent.destroy();
  return child.process;
}

function writeCredentials({ folder, tokens }: Places): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'service-account.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(folder, 'service-account.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(folder, 'tokens.csv'), `${tokens.admin},admin,1,system:masters\n${tokens.plain},plain,2\n`, { mode: 0o600 });
}

function kubeconfigFor(server: string, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': ca } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });
}

/** Makes every resourceVersion up to now too old to watch from. */
async function compact(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const answer = await request(`${etcdUrl}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const parsed = (await answer.body.json()) as { header?: { revision?: string } };
    if (answer.statusCode !== 200) throw new Error(`etcd refused ${path}: ${JSON.stringify(parsed)}`);
    return parsed;
  };
  const status = await post('/v3/kv/range', { key: Buffer.from('compaction-probe').toString('base64') });
  await post('/v3/kv/compaction', { revision: status.header?.revision ?? '1', physical: true });
}

interface Launched {
  readonly process: ChildProcess;
  log(): string;
}

function launch(path: string, folder: string, args: readonly string[]): Launched {
  const child = spawn(path, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-8000);
  });
  return { process: child, log: () => log };
}

async function readyOrFail(child: Launched, name: string, ready: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  for (;;) {
    if (child.process.exitCode !== null) throw new Error(`${name} ended: ${child.log()}`);
    if (await ready().catch(() => false)) return;
    if (Date.now() > deadline) {
      child.process.kill('SIGKILL');
      throw new Error(`${name} did not become ready: ${child.log()}`);
    }
    await sleep(50);
  }
}

async function run(path: string, args: readonly string[], options: { folder: string; input: string | undefined }): Promise<CommandResult> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: options.folder, KUBECACHEDIR: join(options.folder, 'kubectl-cache') };
  const child = spawn(path, args, { env, stdio: 'pipe', timeout: commandDeadlineMs });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  return { status, ...output };
}

async function mustSucceed(result: Promise<CommandResult>): Promise<void> {
  const { status, stderr } = await result;
  if (status !== 0) throw new Error(`kubectl failed: ${stderr}`);
}

async function ended(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  await exit;
}
