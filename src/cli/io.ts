// What a verb may touch of its process: streams, environment, folder, and the signal that ends it.
import type { Writable } from 'node:stream';

/** 0 sound or done, 1 tampered or refused, 2 incomplete, 3 usage or unreachable (DESIGN §6, Verify). */
export type ExitStatus = 0 | 1 | 2 | 3;

export interface Io {
  /** Data only. */
  readonly stdout: Writable;
  /** Messages for people. */
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether stdout may be coloured: a terminal, and no NO_COLOR. */
  readonly color: boolean;
  /** The verb's verdict; the process exits with it once nothing is left to do. */
  exit(status: ExitStatus): void;
}

export function writeLine(stream: Writable, line = ''): void {
  stream.write(`${line}\n`);
}
