// Metrics for Prometheus: counters, gauges, and the HTTP endpoint that shows them.
import { createServer } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { describeError, RowsealError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/kinds.ts';
import type { Metrics } from '../../ports/metrics.ts';

export interface PrometheusMetrics extends Metrics {
  /** Serves GET /metrics until the signal is aborted; resolves with the port once it listens. Throws BadUsage for an address that cannot be had. */
  serve(address: string, signal: AbortSignal): Promise<number>;
}

const labelNames = ['namespace', 'name'] as const;
const requestDeadlineMs = 10_000;

export function createPrometheusMetrics(): PrometheusMetrics {
  const registry = new Registry();
  const drift = new Counter({ name: 'rowseal_policy_drift_total', help: 'Tables of a RowPolicy found changed by somebody else, and mended.', labelNames, registers: [registry] });
  const statements = new Counter({ name: 'rowseal_policy_statements_total', help: 'Statements applied for a RowPolicy.', labelNames, registers: [registry] });
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers: [registry] });
  const capture = {
    lagBytes: gauge('rowseal_audit_lag_bytes', 'WAL between the database and what is sealed, by AuditPolicy.'),
    lagSeconds: gauge('rowseal_audit_lag_seconds', 'Age of the oldest change that is read and not sealed.'),
    retainedBytes: gauge('rowseal_audit_retained_wal_bytes', 'WAL that the server keeps for the slot.'),
    gaps: gauge('rowseal_audit_gaps', 'Gaps that were sealed for the source of an AuditPolicy.'),
  };
  return {
    captured: (policy, figures) => {
      const labels = labelsOf(policy);
      if (figures === undefined) {
        for (const one of Object.values(capture)) one.remove(labels);
        return;
      }
      capture.lagBytes.set(labels, figures.lagBytes);
      capture.lagSeconds.set(labels, figures.lagSeconds);
      capture.gaps.set(labels, figures.gaps);
      if (figures.retention !== undefined) capture.retainedBytes.set(labels, figures.retention.retainedBytes);
    },
    drifted: (policy, tables) => drift.inc(labelsOf(policy), tables),
    applied: (policy, count) => statements.inc(labelsOf(policy), count),
    serve: (address, signal) => serve(registry, address, signal),
  };
}

function labelsOf({ namespace, name }: ObjectKey) {
  return { namespace, name };
}

async function serve(registry: Registry, address: string, signal: AbortSignal): Promise<number> {
  const { host, port } = placeOf(address);
  const server = createServer({ requestTimeout: requestDeadlineMs }, (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  signal.addEventListener('abort', () => server.close().closeAllConnections(), { once: true });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new RowsealError('BadUsage', `metrics cannot be served: ${describeError(error)}`, { object: address, next: 'give another address with --metrics-address', cause: error })));
    server.listen(port, host, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
  });
}

/** `host:port`, `[::1]:port`, or `:port` for every address. */
function placeOf(address: string): { readonly host: string | undefined; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new RowsealError('BadUsage', `${JSON.stringify(address)} is no address`, { next: 'write host:port or :port' });
  const host = match[1] ?? match[2];
  return { host: host === undefined || host === '' ? undefined : host, port };
}
