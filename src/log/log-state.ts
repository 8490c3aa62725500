// The state of every source of a log as canonical JSON; LSNs in it are PostgreSQL's text.
import canonicalize from 'canonicalize';
import { formatLsn, parseLsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { Lineage, SealedMarker, SourcePosition, SourceState } from './source-state.ts';

/** By source name. */
export type LogState = ReadonlyMap<string, SourceState>;

export function encodeLogState(state: LogState): Buffer {
  const sources = Object.fromEntries([...state].map(([name, source]) => [name, plainOf(source)]));
  return Buffer.from(canonicalize({ sources }) ?? '');
}

/** Attacker-controlled input. Throws BadLogData. */
export function parseLogState(bytes: Uint8Array): LogState {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    throw badState(cause);
  }
  const sources = recordOf(recordOf(parsed)['sources']);
  return new Map(Object.entries(sources).map(([name, source]) => [name, sourceOf(name, recordOf(source))]));
}

function plainOf({ position, marker, lineage, ...rest }: SourceState): object {
  return {
    ...rest,
    ...(lineage === undefined ? {} : { lineage: { ...lineage, past: lineage.past.map(({ timeline, end }) => ({ timeline, end: formatLsn(end) })) } }),
    position: { ...position, lsn: formatLsn(position.lsn) },
    ...(marker === undefined ? {} : { marker: { ...marker, commitLsn: formatLsn(marker.commitLsn) } }),
  };
}

function sourceOf(name: string, plain: Record<string, unknown>): SourceState {
  const counters = recordOf(plain['counters']);
  if (plain['source'] !== name) throw badState();
  return {
    source: name,
    position: positionOf(recordOf(plain['position'])),
    ...(plain['marker'] === undefined ? {} : { marker: markerOf(recordOf(plain['marker'])) }),
    relations: textsOf(plain['relations']),
    policies: textsOf(plain['policies']),
    ...(plain['environment'] === undefined ? {} : { environment: textOf(plain['environment']) }),
    ...(plain['proven'] === undefined ? {} : { proven: textOf(plain['proven']) }),
    ...(plain['plainSince'] === undefined ? {} : { plainSince: textOf(plain['plainSince']) }),
    configuration: plain['configuration'],
    ...(plain['lineage'] === undefined ? {} : { lineage: lineageOf(recordOf(plain['lineage'])) }),
    ...(plain['connection'] === undefined ? {} : { connection: connectionOf(recordOf(plain['connection'])) }),
    ...(plain['gaps'] === undefined ? {} : { gaps: textsOf(plain['gaps']) }),
    ...(plain['ended'] === 'Retained' || plain['ended'] === 'Removed' ? { ended: plain['ended'] } : {}),
    counters: { changes: countOf(counters['changes']), attributed: countOf(counters['attributed']), gaps: countOf(counters['gaps']) },
  };
}

function positionOf(plain: Record<string, unknown>): SourcePosition {
  const { incarnation, lsn, seq, complete } = plain;
  if (typeof complete !== 'boolean') throw badState();
  return { incarnation: countOf(incarnation), lsn: parseLsn(textOf(lsn)), seq: countOf(seq), complete };
}

function markerOf(plain: Record<string, unknown>): SealedMarker {
  return { nonce: textOf(plain['nonce']), commitLsn: parseLsn(textOf(plain['commitLsn'])), xid: countOf(plain['xid']) };
}

function lineageOf({ timeline, past }: Record<string, unknown>): Lineage {
  if (!Array.isArray(past)) throw badState();
  return { timeline: countOf(timeline), past: past.map(recordOf).map((one) => ({ timeline: countOf(one['timeline']), end: parseLsn(textOf(one['end'])) })) };
}

function connectionOf({ name, turn }: Record<string, unknown>): { readonly name: string; readonly turn: number } {
  return { name: textOf(name), turn: countOf(turn) };
}

function textsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(recordOf(value)).map(([key, text]) => [key, textOf(text)]));
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badState();
  return value as Record<string, unknown>;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw badState();
  return value;
}

function countOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badState();
  return value;
}

function badState(cause?: unknown): RowsealError {
  return new RowsealError('BadLogData', 'the source state in a journal object is malformed', { cause });
}
