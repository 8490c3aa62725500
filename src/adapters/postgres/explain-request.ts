// What is asked: which table, as whom, and what the session says about itself.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { ExplainedCommand } from '../../policy/explanation.ts';
import type { TableName } from '../../policy/table-name.ts';

export interface ExplainRequest {
  readonly table: TableName;
  readonly role: string;
  readonly command: ExplainedCommand;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly way: ClaimsConfiguration;
  /** How many rows are looked at. */
  readonly first: number;
}

export function valueAt(claims: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, word) => (typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[word] : undefined), claims);
}
