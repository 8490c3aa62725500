// The metrics endpoint as Prometheus reads it.
import { expect, test } from 'vitest';
import { createPrometheusMetrics } from '../../src/adapters/metrics/prometheus.ts';

test('counts drift by RowPolicy and shows it on /metrics alone, until it is stopped', async () => {
  const stop = new AbortController();
  const metrics = createPrometheusMetrics();
  const port = await metrics.serve('127.0.0.1:0', stop.signal);
  metrics.drifted({ namespace: 'shop', name: 'orders' }, 2);
  metrics.drifted({ namespace: 'shop', name: 'orders' }, 1);
  metrics.applied({ namespace: 'shop', name: 'orders' }, 4);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await response.text();
  expect(response.headers.get('content-type')).toContain('text/plain');
  expect(text).toContain('rowseal_policy_drift_total{namespace="shop",name="orders"} 3');
  expect(text).toContain('rowseal_policy_statements_total{namespace="shop",name="orders"} 4');
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  stop.abort();
  await expect.poll(() => fetch(`http://127.0.0.1:${port}/metrics`).then(() => 'open', () => 'closed')).toBe('closed');
});

test.each(['nothing', '127.0.0.1', '127.0.0.1:99999', 'a:b:1'])('refuses the address %s', async (address) => {
  await expect(createPrometheusMetrics().serve(address, new AbortController().signal)).rejects.toMatchObject({ code: 'BadUsage' });
});
