// Every key of a log with its versions, and reading what was sealed: the oldest version (DESIGN §6, Write-once on S3).
import { checkpointKey } from '../log/checkpoint.ts';
import { parseTileKey } from '../log/tile.ts';
import type { LogReader, StoredVersion } from '../ports/log-store.ts';
import type { Findings } from './verdict.ts';

export interface Inventory {
  /** True when there is no key at all. */
  readonly empty: boolean;
  /** Numbers of `journal/` and `digests/`, ascending. */
  readonly journals: readonly number[];
  readonly digests: readonly number[];
  /** The bytes that were sealed under a key; marks the key as accounted for. */
  read(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Widths in which a tile (`level` a number) or a bundle (`entries`) of this index is stored. */
  widths(level: number | 'entries', index: number): readonly number[];
  /** Keys that nothing has read. */
  unread(): Iterable<string>;
}

/** Lists everything once; shadowing versions and delete markers are findings right away. */
export async function takeInventory(reader: LogReader, findings: Findings, signal: AbortSignal): Promise<Inventory> {
  const unread = new Set<string>();
  const oldestOf = new Map<string, string>();
  const widths = new Map<string, number[]>();
  for await (const versions of byKey(reader.versions('', signal))) {
    const [{ key } = { key: '' }] = versions;
    unread.add(key);
    const parsed = parseTileKey(key);
    if (parsed !== undefined) push(widths, `${parsed.kind === 'bundle' ? 'entries' : parsed.level}/${parsed.index}`, parsed.width);
    const oldest = versions.find(({ deleteMarker }) => !deleteMarker);
    if (key === checkpointKey || versions.length === 1) continue;
    reportVersions(versions, findings);
    if (oldest !== undefined) oldestOf.set(key, oldest.versionId);
  }
  const empty = unread.size === 0;
  // A live writer went on while we listed: what it sealed until now explains every file above, and later ones are not looked at.
  const digests = await numbersIn(reader, 'digests/', signal);
  const journals = await numbersIn(reader, 'journal/', signal);
  return {
    empty,
    journals,
    digests,
    read: async (key, readSignal) => {
      unread.delete(key);
      const versionId = oldestOf.get(key);
      return versionId === undefined ? reader.read(key, readSignal) : reader.readVersion(key, versionId, readSignal);
    },
    widths: (level, index) => widths.get(`${level}/${index}`) ?? [],
    unread: () => unread,
  };
}

async function* byKey(versions: AsyncIterable<StoredVersion>): AsyncGenerator<StoredVersion[]> {
  let group: StoredVersion[] = [];
  for await (const version of versions) {
    // The checkpoint has a version for every publication; none of them matters but the latest.
    if (group[0] !== undefined && (group[0].key !== version.key || version.key === checkpointKey)) {
      if (group[0].key !== version.key) yield group;
      group = [];
    }
    group.push(version);
  }
  if (group.length > 0) yield group;
}

function reportVersions(versions: readonly StoredVersion[], findings: Findings): void {
  const [{ key } = { key: '' }] = versions;
  const stored = versions.filter(({ deleteMarker }) => !deleteMarker);
  for (const { lastModified } of stored.slice(1)) {
    findings.add({ code: 'Shadowed', file: key, message: `a version written at ${lastModified} shadows what was sealed` });
  }
  for (const { lastModified } of versions.filter(({ deleteMarker }) => deleteMarker)) {
    findings.add({ code: 'DeleteMarker', file: key, message: `a delete marker written at ${lastModified} hides what was sealed` });
  }
}

function push(map: Map<string, number[]>, key: string, value: number): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

async function numbersIn(reader: LogReader, folder: string, signal: AbortSignal): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { key } of reader.list(folder, signal)) {
    const number = /^\d{20}$/.test(key.slice(folder.length)) ? Number(key.slice(folder.length)) : 0;
    if (number > 0 && Number.isSafeInteger(number)) numbers.push(number);
  }
  return numbers.sort((a, b) => a - b);
}
