// What the tests of the Kubernetes adapter share: an API server with our CRDs, a proxy before it, and a namespace a test.
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { connectKubernetes, type KubernetesCluster, type KubernetesOptions } from '../../src/adapters/kubernetes/kubernetes-cluster.ts';
import { apiVersion, type Resource } from '../../src/model/kinds.ts';
import type { ClusterEvent } from '../../src/ports/cluster.ts';
import { goodSpecs } from '../model/objects.ts';
import { type ApiProxy, startApiProxy } from '../parts/api-proxy.ts';
import { type ControlPlane, startControlPlane } from '../parts/control-plane.ts';
import { quietLogger, type SaidLine } from '../parts/quiet-logger.ts';
import { until } from '../parts/until.ts';

interface Started {
  readonly cluster: KubernetesCluster;
  readonly events: ClusterEvent[];
  readonly said: SaidLine[];
  readonly signal: AbortSignal;
}

export interface Harness {
  readonly server: ControlPlane;
  readonly proxy: ApiProxy;
  readonly namespace: string;
  /** Runs kubectl as the administrator; throws when it fails. */
  must(args: readonly string[], input?: string): Promise<string>;
  /** A connected and started cluster, through the proxy unless said otherwise; closed after the test. */
  start(options?: Partial<KubernetesOptions>): Promise<Started>;
  /** The manifest of an AuditLog in the test's namespace. */
  manifest(name: string, metadata?: object): string;
  /** Creates that AuditLog and waits until the cluster has seen it. */
  created(cluster: KubernetesCluster, name: string, metadata?: object): Promise<Resource<'AuditLog'>>;
  /** Names of the AuditLogs of the test's namespace, sorted. */
  names(cluster: KubernetesCluster): string[];
  /** How many lists of AuditLogs were asked for, and when. */
  lists(): ApiProxy['seen'];
}

export function useApiServer(): Harness {
  const at: { server?: ControlPlane; proxy?: ApiProxy; namespace: string } = { namespace: '' };
  const opened: { readonly stop: AbortController; readonly cluster: KubernetesCluster }[] = [];
  let count = 0;
  beforeAll(async () => {
    at.server = await startControlPlane();
    await at.server.installCrds();
  });
  afterAll(() => at.server?.stop());
  beforeEach(async () => {
    at.proxy = await startApiProxy(there(at.server));
    at.namespace = `test-${(count += 1)}`;
    await harness.must(['create', 'namespace', at.namespace]);
  });
  afterEach(async () => {
    for (const { stop, cluster } of opened.splice(0)) {
      stop.abort();
      await cluster.close();
    }
    await at.proxy?.stop();
  });

  const harness: Harness = {
    get server() {
      return there(at.server);
    },
    get proxy() {
      return there(at.proxy);
    },
    get namespace() {
      return at.namespace;
    },
    must: async (args, input) => {
      const { status, stdout, stderr } = await harness.server.kubectl(args, input);
      if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    start: async (options = {}) => {
      const stop = new AbortController();
      const events: ClusterEvent[] = [];
      const said: SaidLine[] = [];
      const cluster = await connectKubernetes({ kubeconfig: harness.proxy.kubeconfig, logger: quietLogger(said), startDeadlineMs: 10_000, ...options }, stop.signal);
      opened.push({ stop, cluster });
      await cluster.start((event) => events.push(event), stop.signal);
      return { cluster, events, said, signal: stop.signal };
    },
    manifest: (name, metadata = {}) =>
      JSON.stringify({ apiVersion, kind: 'AuditLog', metadata: { name, namespace: at.namespace, ...metadata }, spec: goodSpecs.AuditLog }),
    created: async (cluster, name, metadata = {}) => {
      await harness.must(['create', '-f', '-'], harness.manifest(name, metadata));
      return until(() => cluster.get('AuditLog', { namespace: at.namespace, name }), name);
    },
    names: (cluster) =>
      cluster
        .list('AuditLog')
        .filter(({ metadata }) => metadata.namespace === at.namespace)
        .map(({ metadata }) => metadata.name)
        .sort(),
    lists: () => harness.proxy.seen.filter(({ path, query }) => path.endsWith('/auditlogs') && !query.has('watch')),
  };
  return harness;
}

/** A status as a healthy log has it. */
export function readyStatus(treeSize = 3) {
  const condition = { type: 'Ready', status: 'True' as const, reason: 'Sealing', message: 'all is sealed', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 };
  return { observedGeneration: 1, treeSize, publishedAt: '2026-01-01T00:00:00Z', conditions: [condition] };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the API server of the tests is not there yet');
  return value;
}
