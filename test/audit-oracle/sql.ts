// Values as SQL literals, for statements of which many are sent as one text.
import pg from 'pg';
import type { Row, Script } from './script.ts';

export type Operation = (script: Script) => void;

export function lit(value: string | null | undefined): string {
  return value === null || value === undefined ? 'null' : pg.escapeLiteral(value);
}

/** `(…), (…)`: every value a literal of unknown type, which takes that of its column. */
export function values(rows: readonly Row[]): string {
  return rows.map((row) => `(${Object.values(row).map(lit).join(', ')})`).join(', ');
}

export function ids(rows: readonly Row[]): string {
  return rows.map((row) => row['id']).join(', ');
}
