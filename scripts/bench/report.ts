// How benchmarks measure and report: medians, beside the limit where there is one, as a table or as JSON.

export interface Measured {
  readonly what: string;
  readonly valueMs: number;
  /** Of this process alone: what it would take at least on a machine with nothing else to do. */
  readonly cpuMs?: number;
  /** What it should stay under. */
  readonly limitMs?: number;
}

interface Taken {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export async function measure(action: () => Promise<void>): Promise<Taken> {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  await action();
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - started, cpuMs: (user + system) / 1_000 };
}

export function medians(what: string, taken: readonly Taken[], limitMs?: number): Measured {
  const values = { valueMs: median(taken.map(({ wallMs }) => wallMs)), cpuMs: median(taken.map(({ cpuMs }) => cpuMs)) };
  return { what, ...values, ...(limitMs === undefined ? {} : { limitMs }) };
}

function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that `percent` of all don't exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1))] ?? NaN;
}

/** Nothing fails here: a machine that is busy with something else is no defect. */
export function print(measured: readonly Measured[], asJson: boolean): void {
  if (asJson) {
    console.log(JSON.stringify(measured, undefined, 2));
    return;
  }
  const lines = measured.map(({ what, valueMs, cpuMs, limitMs }) => [`${valueMs.toFixed(valueMs < 10 ? 2 : 0)} ms`, cpuMs === undefined ? '' : `(${cpuMs.toFixed(0)} ms of CPU)`, limitMs === undefined ? '' : `${valueMs <= limitMs ? 'within' : 'OVER'} ${limitMs} ms`, what] as const);
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  for (const [value, cpu, limit, what] of lines) console.log(`${value.padStart(widths[0] ?? 0)}  ${cpu.padEnd(widths[1] ?? 0)}  ${limit.padEnd(widths[2] ?? 0)}  ${what}`);
}
