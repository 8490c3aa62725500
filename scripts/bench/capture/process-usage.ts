// CPU seconds and peak memory of processes, from /proc.
import { readFileSync } from 'node:fs';

export interface Usage {
  readonly cpuSeconds: number;
  /** Peak of resident memory. */
  readonly peakMebibytes: number;
}

const ticksPerSecond = 100;
const intervalMs = 50;

export interface UsageWatch {
  /** What was used since the watch began. */
  stop(): Usage;
}

/** Watches one process, which may end meanwhile: then its last look counts. */
export function watchUsage(pid: number): UsageWatch {
  const before = usageOf(pid)?.cpuSeconds ?? 0;
  let last: Usage = { cpuSeconds: before, peakMebibytes: 0 };
  const look = (): void => {
    const found = usageOf(pid);
    if (found !== undefined) last = found;
  };
  const timer = setInterval(look, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return { cpuSeconds: last.cpuSeconds - before, peakMebibytes: last.peakMebibytes };
    },
  };
}

function usageOf(pid: number): Usage | undefined {
  try {
    // The name of the program may hold blanks and parentheses; what follows the last one doesn't.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ') ?? [];
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (peak === undefined) return undefined;
    return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond, peakMebibytes: Number(peak) / 1024 };
  } catch {
    return undefined;
  }
}
