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

test('shows how captures stand, and forgets them with their policy', async () => {
  const stop = new AbortController();
  const metrics = createPrometheusMetrics();
  const port = await metrics.serve('127.0.0.1:0', stop.signal);
  const page = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  metrics.captured({ namespace: 'shop', name: 'orders' }, { lagBytes: 1024, lagSeconds: 2, gaps: 1, retention: { retainedBytes: 4096 } });
  const text = await page();
  for (const line of ['rowseal_audit_lag_bytes', 'rowseal_audit_lag_seconds', 'rowseal_audit_gaps', 'rowseal_audit_retained_wal_bytes']) expect(text).toContain(`${line}{namespace="shop",name="orders"}`);
  metrics.captured({ namespace: 'shop', name: 'orders' }, undefined);
  expect(await page()).not.toContain('name="orders"');
  stop.abort();
});

test.each(['nothing', '127.0.0.1', '127.0.0.1:99999', 'a:b:1'])('refuses the address %s', async (address) => {
  await expect(createPrometheusMetrics().serve(address, new AbortController().signal)).rejects.toMatchObject({ code: 'BadUsage' });
});
