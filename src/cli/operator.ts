// `rowseal operator`: the core against a Kubernetes API server.
import { type Command, Option } from 'commander';
import { connectKubernetes } from '../adapters/kubernetes/kubernetes-cluster.ts';
import { createPrometheusMetrics } from '../adapters/metrics/prometheus.ts';
import { runCore } from './core.ts';
import type { Io } from './io.ts';
import { createLogger, logLevels } from './logger.ts';

interface OperatorOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly metricsAddress?: string;
  readonly logLevel: (typeof logLevels)[number];
}

export function registerOperator(program: Command, io: Io): void {
  program
    .command('operator')
    .description('Runs the core against a Kubernetes API server; in a Pod it uses the service account')
    .option('--kubeconfig <file>', 'kubeconfig; KUBECONFIG, the service account or ~/.kube/config when left out')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--metrics-address <host:port>', 'where GET /metrics shows metrics for Prometheus; nowhere when left out')
    .addOption(new Option('--log-level <level>', 'how much is logged to stderr, as JSON lines').choices(logLevels).default('info'))
    .action(async (options: OperatorOptions) => {
      const logger = createLogger(options.logLevel);
      const metrics = createPrometheusMetrics();
      if (options.metricsAddress !== undefined) await metrics.serve(options.metricsAddress, io.signal);
      const cluster = await connectKubernetes(
        {
          ...(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig }),
          ...(options.context === undefined ? {} : { context: options.context }),
          logger,
        },
        io.signal,
      );
      try {
        await runCore({ cluster, logger, cwd: io.cwd, metrics }, io.signal);
      } finally {
        await cluster.close();
      }
    });
}
