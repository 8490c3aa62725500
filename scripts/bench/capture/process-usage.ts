// CPU seconds and peak memory of processes, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

export interface Usage {
  readonly cpuSeconds: number;
  /** Peak of resident memory. */
  readonly peakMebibytes: number;
  /** Of its busiest thread, which a second core can't help. */
  readonly threadCpuSeconds: number;
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
  const threadsBefore = threadsOf(pid);
  let threads = threadsBefore;
  let last: Omit<Usage, 'threadCpuSeconds'> = { cpuSeconds: before, peakMebibytes: 0 };
  const look = (): void => {
    const found = usageOf(pid);
    if (found !== undefined) [last, threads] = [found, threadsOf(pid)];
  };
  const timer = setInterval(look, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      const busiest = Math.max(0, ...[...threads].map(([id, seconds]) => seconds - (threadsBefore.get(id) ?? 0)));
      return { cpuSeconds: last.cpuSeconds - before, peakMebibytes: last.peakMebibytes, threadCpuSeconds: busiest };
    },
  };
}

/** CPU seconds of all children that a process has seen end. */
export function endedChildrenCpuSeconds(pid: number): number {
  const fields = statFields(`/proc/${pid}/stat`);
  return (Number(fields?.[13]) + Number(fields?.[14])) / ticksPerSecond;
}

export function childrenOf(pid: number): number[] {
  return (textOf(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter((id) => id !== '').map(Number);
}

function usageOf(pid: number): Omit<Usage, 'threadCpuSeconds'> | undefined {
  const fields = statFields(`/proc/${pid}/stat`);
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1];
  return fields === undefined || peak === undefined ? undefined : { cpuSeconds: ownSeconds(fields), peakMebibytes: Number(peak) / 1024 };
}

function threadsOf(pid: number): ReadonlyMap<string, number> {
  try {
    return new Map(readdirSync(`/proc/${pid}/task`).map((id) => [id, ownSeconds(statFields(`/proc/${pid}/task/${id}/stat`) ?? [])]));
  } catch {
    return new Map();
  }
}

function ownSeconds(fields: readonly string[]): number {
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

/** From the state on; the name of the program before it may hold blanks and parentheses. */
function statFields(file: string): string[] | undefined {
  return textOf(file)?.split(') ').pop()?.split(' ');
}

/** A process may end between two looks. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
