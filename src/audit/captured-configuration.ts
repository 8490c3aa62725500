// The configuration as the source state keeps it: without digests, which change on their own, and with since when a table was not captured.
import type { CaptureConfiguration, ConfiguredTable } from '../ports/audit-database.ts';
import { canonical } from './actor.ts';

type AbsentTable = CaptureConfiguration['absent'][number];

export interface CapturedConfiguration extends Omit<CaptureConfiguration, 'tables' | 'absent'> {
  readonly tables: readonly Omit<ConfiguredTable, 'policyDigest'>[];
  /** Declared and not captured, with the end of the WAL that was last known to be covered. */
  readonly absent?: readonly (AbsentTable & { readonly since?: string })[];
  /** Tables that were captured once and are not any more, by OID: when they come back, what happened meanwhile is missing. */
  readonly left?: readonly { readonly oid: number; readonly since: string }[];
  /** Found in the catalog when the slot was made: it holds until the stream brings the first one. */
  readonly provisional?: true;
}

/** So that a baseline of the slot's start lacks no change up to the first configuration in the WAL. */
export function provisionalConfiguration(found: CaptureConfiguration): CapturedConfiguration {
  return { ...withoutDigests(found), provisional: true };
}

export function withoutDigests({ tables, ...rest }: CaptureConfiguration): CapturedConfiguration {
  return { ...rest, tables: tables.map(({ policyDigest: _changesOnItsOwn, ...table }) => table) };
}

/** Whether what was found is what the state says is in force. */
export function isInForce(found: CaptureConfiguration, stored: unknown): boolean {
  const captured = capturedConfiguration(stored);
  if (captured === undefined) return false;
  const { left: _ours, provisional: _firstToCome, absent = [], ...declared } = captured;
  return canonical(withoutDigests(found)) === canonical({ ...declared, absent: absent.map(({ since: _seen, ...table }) => table) });
}

/** What a source state holds; undefined before the first configuration. The journal's signature vouches for its shape. */
export function capturedConfiguration(stored: unknown): CapturedConfiguration | undefined {
  return typeof stored === 'object' && stored !== null && 'tables' in stored ? (stored as CapturedConfiguration) : undefined;
}

export function configuredTables(stored: unknown): ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>> {
  return new Map((capturedConfiguration(stored)?.tables ?? []).map((table) => [table.oid, table]));
}
