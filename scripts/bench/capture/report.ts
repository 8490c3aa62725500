// What `make bench-capture` prints, beside what it should reach.
import type { DrainResult } from './drain.ts';
import type { LatencyResult } from './latency.ts';
import { printTable, thousands } from './table.ts';
import type { WritePathResult } from './write-path.ts';

export interface Report {
  readonly at: string;
  readonly machine: string;
  readonly node: string;
  readonly postgres: number;
  readonly writePath?: readonly WritePathResult[];
  readonly drain?: readonly DrainResult[];
  readonly latency?: LatencyResult;
}

export function describe(report: Report): void {
  console.log(`PostgreSQL ${report.postgres}, Node.js ${report.node}, ${report.machine}, ${report.at}`);
  if (report.writePath !== undefined) describeWritePath(report.writePath);
  if (report.drain !== undefined) describeDrain(report.drain);
  if (report.latency !== undefined) describeLatency(report.latency);
}

function describeWritePath(results: readonly WritePathResult[]): void {
  const header = ['one UPDATE a transaction', 'audited by', 'transactions/s', '(least – most)', 'µs each', 'added µs', 'added %', '(least – most)', 'CPU µs', 'added CPU µs', 'of the row trigger’s'];
  const lines = results.map((one) => {
    const trigger = results.find(({ workload, variant }) => workload === one.workload && variant === 'row trigger');
    const share = trigger === undefined || one.variant === 'bare' || one.variant === 'row trigger' ? '' : `1/${(trigger.addedCpuUs / one.addedCpuUs).toFixed(1)}`;
    const added = one.variant === 'bare' ? ['', '', ''] : [one.addedUs.toFixed(0), one.addedPercent.toFixed(0), one.addedPercentSpread.map((value) => value.toFixed(0)).join(' – ')];
    const cpu = [one.serverCpuUs.toFixed(0), one.variant === 'bare' ? '' : one.addedCpuUs.toFixed(0)];
    return [one.workload, one.variant, thousands(one.tps), one.tpsSpread.map(thousands).join(' – '), one.transactionUs.toFixed(0), ...added, ...cpu, share];
  });
  printTable('Write path: pgbench, prepared, no synchronous commit. To reach: 1 row at most 20 µs and 20 %; 1,000 rows at most 25 %; less than 1/5 of a row trigger.', header, lines);
}

function describeDrain(results: readonly DrainResult[]): void {
  const header = ['backlog', 'drained by', 'changes/s', '(least – most)', '× Debezium', 'of the limit', 'CPU s/M', 'busiest thread', 'walsender', 'two cores carry', 'peak MiB'];
  const lines = results.map((one) => [
    `${thousands(one.changes)} ${one.shape}`,
    one.peer,
    thousands(one.perSecond),
    one.perSecondSpread.map(thousands).join(' – '),
    one.timesDebezium?.toFixed(2) ?? '',
    one.shareOfLimit?.toFixed(2) ?? '',
    one.cpuSeconds.toFixed(1),
    one.threadCpuSeconds.toFixed(1),
    one.walsenderCpuSeconds.toFixed(1),
    thousands(one.perSecondByCpu),
    one.peakMebibytes.toFixed(0),
  ]);
  printTable('Drain: Rowseal into a sealed, published, verified log; Debezium into a file of JSON; pg_recvlogical to /dev/null. To reach on small rows: 100,000 changes/s, 2 × Debezium, 0.5 of the limit.', header, lines);
}

function describeLatency({ changesPerSecond, changes, p50Ms, p99Ms, maxMs, p99SpreadMs }: LatencyResult): void {
  const line = [`${thousands(changesPerSecond)} changes/s`, thousands(changes), ...[p50Ms, p99Ms, maxMs].map((value) => value.toFixed(0)), p99SpreadMs.map((value) => value.toFixed(0)).join(' – ')];
  printTable('Commit to seal, maxDelay 100ms, on a folder. To reach: p99 at most 250 ms.', ['rate', 'changes', 'p50 ms', 'p99 ms', 'most ms', 'p99 of rounds'], [line]);
}
