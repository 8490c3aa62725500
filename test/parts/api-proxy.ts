// A misbehaving way to the API server: answers 429, cuts answers in the middle, holds watches back, and counts what is asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ControlPlane } from './control-plane.ts';

interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly atMs: number;
}

export interface ApiProxy {
  readonly kubeconfig: string;
  readonly seen: SeenRequest[];
  /** Refuses the next requests that match, with this status and Retry-After. */
  refuseNext(count: number, refusal: { readonly matching: RegExp; readonly statusCode: number; readonly retryAfterSeconds?: number }): void;
  /** Rewrites the page size of lists. */
  pageSize: number | undefined;
  /** Ends every watch in the middle of an event; those that come later are left alone. */
  cutWatches(): number;
  /** Watches get no bytes any more, without being closed. */
  stallWatches(stalled: boolean): void;
  /** Nothing gets through, in either direction. */
  block(blocked: boolean): void;
  stop(): Promise<void>;
}

export async function startApiProxy(cluster: ControlPlane): Promise<ApiProxy> {
  const target = new URL(cluster.server);
  const watches = new Set<ServerResponse>();
  const state = { stalled: false, blocked: false };
  const refusals: { left: number; readonly matching: RegExp; readonly statusCode: number; readonly retryAfterSeconds?: number }[] = [];
  const seen: SeenRequest[] = [];

  const handle = (incoming: IncomingMessage, answer: ServerResponse) => {
    const url = new URL(incoming.url ?? '/', 'http://proxy');
    const watching = url.searchParams.get('watch') === 'true';
    seen.push({ method: incoming.method ?? '', path: url.pathname, query: url.searchParams, atMs: performance.now() });
    if (state.blocked) {
      answer.destroy();
      return;
    }
    const refusal = refusals.find(({ left, matching }) => left > 0 && matching.test(`${incoming.method} ${incoming.url}`));
    if (refusal !== undefined) {
      refusal.left -= 1;
      answer.writeHead(refusal.statusCode, refusal.retryAfterSeconds === undefined ? {} : { 'retry-after': String(refusal.retryAfterSeconds) });
      answer.end(JSON.stringify({ kind: 'Status', code: refusal.statusCode, message: 'the test says no' }));
      return;
    }
    if (proxy.pageSize !== undefined && url.searchParams.has('limit')) url.searchParams.set('limit', String(proxy.pageSize));
    const onward = httpsRequest(
      { host: target.hostname, port: target.port, path: `${url.pathname}?${url.searchParams.toString()}`, method: incoming.method, headers: { ...incoming.headers, host: target.host }, ca: cluster.ca },
      (reply) => {
        answer.writeHead(reply.statusCode ?? 500, reply.headers);
        answer.flushHeaders();
        if (watching) watches.add(answer);
        reply.on('data', (chunk: Buffer) => (watching && state.stalled ? undefined : answer.write(chunk)));
        reply.on('end', () => answer.end());
        reply.on('error', () => answer.destroy());
      },
    );
    onward.on('error', () => answer.destroy());
    answer.on('close', () => {
      watches.delete(answer);
      onward.destroy();
    });
    incoming.pipe(onward);
  };

  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-api-proxy-'));
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor((server.address() as AddressInfo).port, cluster.token), { mode: 0o600 });

  const proxy: ApiProxy = {
    kubeconfig,
    seen,
    pageSize: undefined,
    refuseNext: (count, refusal) => void refusals.push({ left: count, ...refusal }),
    cutWatches: () => {
      const cut = [...watches];
      for (const answer of cut) answer.write('{"type":"MODIFIED","object":{"metadata":{"na', () => answer.destroy());
      return cut.length;
    },
    stallWatches: (stalled) => (state.stalled = stalled),
    block: (blocked) => {
      state.blocked = blocked;
      if (blocked) for (const answer of watches) answer.destroy();
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return proxy;
}

function kubeconfigFor(port: number, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'proxy',
    // Plain HTTP on loopback, which client-node takes only with this word.
    clusters: [{ name: 'proxy', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'proxy', user: { token } }],
    contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
  });
}
