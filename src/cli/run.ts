// `rowseal run`: the core on a folder of manifests, without Kubernetes.
import { type Command, Option } from 'commander';
import { resolve } from 'node:path';
import { openManifests } from '../adapters/manifests/manifest-cluster.ts';
import { createPrometheusMetrics } from '../adapters/metrics/prometheus.ts';
import { runCore } from './core.ts';
import { type Io, writeLine } from './io.ts';
import { createLogger, logLevels } from './logger.ts';

interface RunOptions {
  readonly manifests: string;
  readonly state?: string;
  readonly metricsAddress?: string;
  readonly logLevel: (typeof logLevels)[number];
}

export function registerRun(program: Command, io: Io): void {
  program
    .command('run')
    .description('Runs the core on a folder of manifests: it is read and watched, status is written beside it')
    .requiredOption('--manifests <folder>', 'the folder with the manifests; Secrets (v1) may stand in it, too')
    .option('--state <folder>', 'where status and generated Secrets are kept; .rowseal inside the manifests folder when left out')
    .option('--metrics-address <host:port>', 'where GET /metrics shows metrics for Prometheus; nowhere when left out')
    .addOption(new Option('--log-level <level>', 'how much is logged to stderr, as JSON lines').choices(logLevels).default('info'))
    .action(async (options: RunOptions) => {
      const logger = createLogger(options.logLevel);
      const metrics = createPrometheusMetrics();
      if (options.metricsAddress !== undefined) await metrics.serve(options.metricsAddress, io.signal);
      const cluster = await openManifests({
        path: resolve(io.cwd, options.manifests),
        ...(options.state === undefined ? {} : { stateFolder: resolve(io.cwd, options.state) }),
        logger,
      });
      writeLine(io.stderr, `rowseal: running on ${options.manifests}, status in ${cluster.stateFolder}; end with Ctrl-C`);
      await runCore({ cluster, logger, cwd: io.cwd, metrics }, io.signal);
    });
}
