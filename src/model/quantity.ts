// Durations and byte sizes as they are written in manifests.
import { RowsealError } from './errors.ts';

const millisecondsPer = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const bytesPer = { '': 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;

/** `1500ms`, `10s`, `5m` or `24h` in milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d{1,8})(ms|s|m|h)$/.exec(text);
  if (!match) throw new RowsealError('BadManifest', `not a duration: ${JSON.stringify(text)}`, { next: 'write for example 500ms, 10s, 5m or 24h' });
  return Number(match[1]) * millisecondsPer[match[2] as keyof typeof millisecondsPer];
}

/** `8Mi` or `1048576` in bytes. */
export function parseByteSize(text: string): number {
  const match = /^(\d{1,12})(Ki|Mi|Gi)?$/.exec(text);
  if (!match) throw new RowsealError('BadManifest', `not a size: ${JSON.stringify(text)}`, { next: 'write for example 512Ki or 8Mi' });
  return Number(match[1]) * bytesPer[(match[2] ?? '') as keyof typeof bytesPer];
}
