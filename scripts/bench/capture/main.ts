// make bench-capture: what capturing costs and how fast it is, beside what else there is, on one server, in interleaved rounds.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Shape } from './backlog.ts';
import { buildDebezium } from './debezium.ts';
import { measureDrain, type Peer } from './drain.ts';
import { measureLatency } from './latency.ts';
import { describe, type Report } from './report.ts';
import { describeMachine, startServer } from './server.ts';
import { say } from './table.ts';
import { measureWritePath } from './write-path.ts';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const wanted = (process.env['PARTS'] ?? 'write,drain,latency').split(',');
const rounds = number('ROUNDS', 5);
const seconds = number('SECONDS', 5);
const changes = number('CHANGES', 2_000_000);
const major = number('ROWSEAL_BENCH_MAJOR', 15);

const shapes: readonly Shape[] = [
  { name: 'small rows', changes, rowsPerTransaction: 100, noteBytes: 20 },
  { name: '1 KB rows', changes: number('WIDE_CHANGES', changes), rowsPerTransaction: 100, noteBytes: 1024 },
  { name: 'small rows, 1 a transaction', changes: number('SINGLE_CHANGES', changes / 10), rowsPerTransaction: 1, noteBytes: 20 },
];

const withoutDebezium = wanted.includes('drain') ? buildDebezium() : undefined;
if (withoutDebezium !== undefined) say(`without Debezium: ${withoutDebezium}`);
const peers: readonly Peer[] = (process.env['PEERS']?.split(',') as Peer[] | undefined) ?? ['rowseal', ...(withoutDebezium === undefined ? (['debezium'] as const) : []), 'pg_recvlogical'];

// Through the exit handlers of the parts, so that an interrupted run leaves no servers.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const server = await startServer(major);
try {
  const report: Report = {
    at: new Date().toISOString(),
    machine: describeMachine(),
    node: process.version,
    postgres: major,
    ...(wanted.includes('write') ? { writePath: await measureWritePath(server, { rounds, seconds, clients: number('CLIENTS', 1) }) } : {}),
    ...(wanted.includes('drain') ? { drain: await measureDrain(server, { rounds: number('DRAIN_ROUNDS', Math.min(rounds, 3)), shapes: shapes.filter(({ changes: count }) => count > 0), peers }) } : {}),
    ...(wanted.includes('latency') ? { latency: await measureLatency(server, { rounds: Math.min(rounds, 3), seconds: 2 * seconds, changesPerSecond: number('RATE', 1_000) }) } : {}),
  };
  describe(report);
  const folder = fileURLToPath(new URL('../../../.rowseal/bench', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'capture.json');
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  say(`\nwritten to ${file}`);
} finally {
  await server.stop();
}
